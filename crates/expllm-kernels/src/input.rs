//! Activations in the form that kernels multiply.
#![allow(unsafe_code)] // Threads fill tiles of one buffer.

use half::bf16;

use crate::buffer::{Numbers, Plain};
use crate::disjoint::SharedMut;
use crate::elementwise::{quantise_block, vectorised};
use crate::isa::IsaKind;
use crate::parallel::for_each_index;
use crate::{BLOCK, Format, Isa};

/// The most tokens that one kernel call multiplies.
pub(crate) const MAX_TILE: usize = 12;

/// Tokens of a tile register.
pub(crate) const TILE_TOKENS: usize = 16;

/// Tokens from which on unpacking quantised weights into tiles costs less than it saves.
const TOKENS_FOR_UNPACKING: usize = 32;

/// Tokens that are prepared as one piece of work at most.
const SERIAL_NUMBERS: usize = 1 << 14;

/// The most tokens of which [`few_are_exact`] speaks.
pub const FEW_TOKENS: usize = 6;

/// Whether up to [`FEW_TOKENS`] tokens give the same numbers together as one by one, bit for bit, in
/// products with weights of a format and in [`Attention`](crate::Attention) over a cache in f16.
/// Narrow paths add up the columns of quantised weights in another order for one token.
#[must_use]
pub fn few_are_exact(isa: Isa, format: Format) -> bool {
    let kinds = [1, FEW_TOKENS].map(|tokens| InputKind::of(isa, format, tokens));
    kinds[0] == kinds[1]
        && match isa.kind() {
            IsaKind::Avx512 | IsaKind::Avx512Bf16 | IsaKind::Amx => true,
            IsaKind::Avx2 => kinds[0] == InputKind::F32,
            _ => false,
        }
}

/// The number format of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum InputKind {
    #[default]
    F32,
    Bf16,
    /// bf16 in tiles of sixteen tokens and 32 columns.
    Tiles,
    /// 8 bits in blocks of 32 with a scale.
    Q8,
}

impl InputKind {
    /// What a format of weights is multiplied with. A single token meets bf16 weights in f32:
    /// reading them takes longer than turning them into f32, so that this costs nothing.
    pub(crate) fn of(isa: Isa, format: Format, tokens: usize) -> Self {
        let has_tiles = isa.kind() == IsaKind::Amx;
        match format {
            format if format.is_quantised() => match has_tiles && tokens >= TOKENS_FOR_UNPACKING {
                true => Self::Tiles,
                false => Self::Q8,
            },
            Format::Bf16 if has_tiles && tokens > 1 => Self::Tiles,
            Format::Bf16 if isa.kind() == IsaKind::Avx512Bf16 && tokens > 1 => Self::Bf16,
            _ => Self::F32,
        }
    }

    /// Tokens of a whole tile.
    pub(crate) fn tile(self, isa: Isa) -> usize {
        match (isa.kind(), self) {
            (_, Self::Tiles) => TILE_TOKENS,
            (IsaKind::Avx512 | IsaKind::Avx512Bf16 | IsaKind::Amx, Self::Q8) => 6,
            (IsaKind::Avx512 | IsaKind::Avx512Bf16 | IsaKind::Amx, _) => MAX_TILE,
            (IsaKind::Avx2, Self::Q8) => 2,
            (IsaKind::Avx2, _) => 6,
            _ => 4,
        }
    }
}

/// What belongs to a block of 32 activations of one token.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct BlockMeta {
    /// Step of the 8-bit numbers.
    pub(crate) scale: f32,
    /// `scale` times the sum of the 8-bit numbers.
    pub(crate) weighted_sum: f32,
    /// -8 times the sums of either half of them: what is too much when weights are stored 8 too
    /// large.
    pub(crate) minus_8_sums: [i32; 2],
}

impl BlockMeta {
    /// Minus so many times the sum of all of them; a multiple of 8.
    #[inline(always)]
    pub(crate) fn minus_sums(&self, times: i32) -> i32 {
        (self.minus_8_sums[0] + self.minus_8_sums[1]) * (times / 8)
    }
}

// SAFETY: four numbers of 32 bits without padding.
unsafe impl Plain for BlockMeta {}

/// Rows of activations, prepared for products with weights.
///
/// The memory is kept when other activations take its place. Tokens stand in tiles of a few, so
/// that a kernel finds the numbers of a tile one behind the other.
#[derive(Debug, Clone, Default)]
pub struct Input {
    kind: InputKind,
    tokens: usize,
    columns: usize,
    blocks: usize,
    tile: usize,
    floats: Numbers<f32>,
    halves: Numbers<bf16>,
    quants: Numbers<i8>,
    metas: Numbers<BlockMeta>,
}

impl Input {
    /// No activations yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes rows of `columns` activations for products with weights of a format.
    ///
    /// Weights in 8 or 4 bits meet activations in 8 bits with a scale per 32 of them, or in bf16
    /// when the rows are many and the processor multiplies tiles of these; bf16 weights meet
    /// several rows in bf16 where it multiplies these at all, and all else is f32. A block with a
    /// number that is not finite becomes NaN or stays what it is.
    ///
    /// # Panics
    ///
    /// When the numbers are not whole rows.
    pub fn set(&mut self, isa: Isa, format: Format, rows: &[f32], columns: usize) {
        assert!(
            columns > 0 && rows.len().is_multiple_of(columns),
            "not whole rows"
        );
        self.tokens = rows.len() / columns;
        self.columns = columns;
        self.blocks = columns.div_ceil(BLOCK);
        self.kind = InputKind::of(isa, format, self.tokens);
        self.tile = self.kind.tile(isa);
        let padded = self.blocks * BLOCK;
        let (blocks, tile, tokens) = (self.blocks, self.tile, self.tokens);
        let width = |index: usize| tile.min(tokens - index * tile);
        let source = |index: usize| {
            let first = index * tile * columns;
            &rows[first..first + width(index) * columns]
        };
        let tiles = tokens.div_ceil(tile);
        let each = |work: &(dyn Fn(usize) + Sync)| match rows.len() > SERIAL_NUMBERS {
            true => for_each_index(tiles, work),
            false => (0..tiles).for_each(work),
        };
        match self.kind {
            InputKind::F32 => {
                self.floats.resize(tokens * padded);
                let shared = SharedMut::new(&mut self.floats);
                each(&|index| {
                    // SAFETY: tiles do not overlap, and each index runs once.
                    let tile =
                        unsafe { shared.range(index * tile * padded, width(index) * padded) };
                    interleave::<_, 1>(source(index), columns, tile, |x| x);
                });
            }
            InputKind::Bf16 => {
                self.halves.resize(tokens * padded);
                let shared = SharedMut::new(&mut self.halves);
                each(&|index| {
                    // SAFETY: tiles do not overlap, and each index runs once.
                    let tile =
                        unsafe { shared.range(index * tile * padded, width(index) * padded) };
                    interleave::<_, 2>(source(index), columns, tile, to_bf16);
                });
            }
            InputKind::Tiles => {
                self.halves.resize(tiles * tile * padded);
                let shared = SharedMut::new(&mut self.halves);
                each(&|index| {
                    // SAFETY: tiles do not overlap, and each index runs once.
                    let tile = unsafe { shared.range(index * tile * padded, tile * padded) };
                    fill_tile(isa, source(index), columns, tile);
                });
            }
            InputKind::Q8 => {
                self.quants.resize(tokens * padded);
                self.metas.resize(tokens * blocks);
                let quants = SharedMut::new(&mut self.quants);
                let metas = SharedMut::new(&mut self.metas);
                each(&|index| {
                    let (start, width) = (index * tile, width(index));
                    // SAFETY: tiles do not overlap, and each index runs once.
                    let quants = unsafe { quants.range(start * padded, width * padded) };
                    // SAFETY: as above.
                    let metas = unsafe { metas.range(start * blocks, width * blocks) };
                    for (token, row) in source(index).chunks_exact(columns).enumerate() {
                        quantise_row(isa, row, (token, width), quants, metas);
                    }
                });
            }
        }
    }

    /// Whether the activations, as they are, can meet weights of a format.
    #[must_use]
    pub fn fits(&self, isa: Isa, format: Format) -> bool {
        // f32 activations meet all weights that are not quantised.
        let kind = self.kind == InputKind::of(isa, format, self.tokens)
            || (self.kind == InputKind::F32 && !format.is_quantised());
        kind && self.tile == self.kind.tile(isa)
    }

    /// How many rows there are.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Numbers of a row.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn kind(&self) -> InputKind {
        self.kind
    }

    /// Tokens of a whole tile.
    pub(crate) fn tile(&self) -> usize {
        self.tile
    }

    /// All of [`InputKind::Tiles`]: `[tiles, blocks, 16, 32]`, the last tile filled up with zeros.
    pub(crate) fn tiles(&self) -> &[bf16] {
        match self.kind {
            InputKind::Tiles => &self.halves,
            _ => &[],
        }
    }

    /// The numbers of a tile, and what belongs to its blocks.
    pub(crate) fn tile_at(&self, token: usize, width: usize) -> TileInput<'_> {
        let padded = self.blocks * BLOCK;
        let numbers = token * padded..(token + width) * padded;
        match self.kind {
            InputKind::F32 => TileInput::F32(&self.floats[numbers]),
            InputKind::Bf16 | InputKind::Tiles => TileInput::Bf16(&self.halves[numbers]),
            InputKind::Q8 => TileInput::Q8(
                &self.quants[numbers],
                &self.metas[token * self.blocks..(token + width) * self.blocks],
            ),
        }
    }
}

/// The activations of a tile of tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TileInput<'a> {
    /// `[columns, tokens]`.
    F32(&'a [f32]),
    /// `[columns / 2, tokens, 2]`.
    Bf16(&'a [bf16]),
    /// `[columns / 4, tokens, 4]` and `[blocks, tokens]`.
    Q8(&'a [i8], &'a [BlockMeta]),
}

/// Writes rows as groups of `UNIT` numbers, token after token; columns beyond the rows are zero.
pub(crate) fn interleave<T: Copy + Default, const UNIT: usize>(
    rows: &[f32],
    columns: usize,
    tile: &mut [T],
    convert: impl Fn(f32) -> T,
) {
    let width = rows.len() / columns;
    let groups = tile.chunks_exact_mut(UNIT * width.max(1));
    for (column, group) in (0..).step_by(UNIT).zip(groups) {
        let there = columns.saturating_sub(column).min(UNIT);
        for (token, numbers) in group.as_chunks_mut::<UNIT>().0.iter_mut().enumerate() {
            let row = &rows[token * columns..];
            for (inner, number) in numbers.iter_mut().enumerate() {
                *number = match inner < there {
                    true => convert(row[column + inner]),
                    false => T::default(),
                };
            }
        }
    }
}

vectorised! {
    /// Writes rows into a tile of blocks; tokens and columns beyond the rows are zero.
    fn fill_tile(rows: &[f32], columns: usize, tile: &mut [bf16]) {
        for (block, numbers) in tile.chunks_exact_mut(TILE_TOKENS * BLOCK).enumerate() {
            let mut lines = numbers.chunks_exact_mut(BLOCK);
            for (line, row) in lines.by_ref().zip(rows.chunks_exact(columns)) {
                let from = &row[block * BLOCK..columns.min((block + 1) * BLOCK)];
                let mut whole = [0.0; BLOCK];
                match from.try_into() {
                    Ok(from) => whole = from,
                    Err(_) => whole[..from.len()].copy_from_slice(from),
                }
                for (to, from) in line.iter_mut().zip(whole) {
                    *to = to_bf16(from);
                }
            }
            lines.for_each(|line| line.fill(bf16::ZERO));
        }
    }
}

/// Rounds to the nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
fn to_bf16(number: f32) -> bf16 {
    let bits = number.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    let kept = if bits & 0x7fff_ffff > 0x7f80_0000 {
        bits | 0x40_0000
    } else {
        rounded
    };
    bf16::from_bits((kept >> 16) as u16)
}

/// Writes one row of a tile in 8 bits.
fn quantise_row(
    isa: Isa,
    row: &[f32],
    (token, width): (usize, usize),
    quants: &mut [i8],
    metas: &mut [BlockMeta],
) {
    let tile_block = BLOCK * width;
    for (index, numbers) in row.chunks(BLOCK).enumerate() {
        let mut block = [0.0; BLOCK];
        block[..numbers.len()].copy_from_slice(numbers);
        let mut q = [0_i8; BLOCK];
        let (scale, sums) = quantise_block(isa, &block, &mut q);
        let groups = quants[index * tile_block..(index + 1) * tile_block].chunks_exact_mut(4);
        let groups = groups.skip(token).step_by(width);
        for (group, numbers) in groups.zip(q.as_chunks::<4>().0) {
            group.copy_from_slice(numbers);
        }
        metas[index * width + token] = BlockMeta {
            scale,
            weighted_sum: scale * (sums[0] + sums[1]) as f32,
            minus_8_sums: sums.map(|sum| -8 * sum),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_as_the_library_does() {
        for bits in (0..u32::MAX).step_by(65_521) {
            let number = f32::from_bits(bits);
            let (ours, theirs) = (to_bf16(number), bf16::from_f32(number));
            assert!(
                ours == theirs || (ours.is_nan() && theirs.is_nan()),
                "{bits:x}"
            );
        }
    }

    #[test]
    fn blocks_that_are_not_finite_become_nan_and_tiny_ones_zero() {
        for isa in Isa::available() {
            let mut input = Input::new();
            let mut row = vec![1.0_f32; 96];
            row[3] = f32::INFINITY;
            row[40] = -127.0;
            row[64..].fill(1e-45);
            input.set(isa, Format::Q8_0, &row, 96);
            let TileInput::Q8(quants, metas) = input.tile_at(0, 1) else {
                panic!("{:?}", input.kind());
            };
            assert!(metas[0].scale.is_nan() && metas[0].weighted_sum.is_nan());
            assert_eq!((metas[1].scale, quants[40], quants[41]), (1.0, -127, 1));
            assert_eq!(
                (metas[1].minus_sums(8), metas[1].weighted_sum),
                (768, -96.0)
            );
            assert_eq!((metas[2].scale, quants[70]), (0.0, 0));
        }
    }
}
