//! Attention over a cache of keys and values.
#![allow(unsafe_code)] // Heads write parts of one output, and instructions.

use std::cell::RefCell;

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::buffer::Numbers;
use crate::elementwise::softmax;
use crate::format::{Format, LANES, PanelLayout};
use crate::input::{InputKind, TileInput, interleave};
use crate::isa::IsaKind;
use crate::multiply::tile::Tile;
use crate::multiply::{panels_of, run};
use crate::parallel::for_each_index;
use crate::shared::SharedMut;
use crate::{BLOCK, Isa};

/// Query rows per head of keys up to which the cache is read once for each, without unpacking.
const STREAMED_ROWS: usize = 4;

/// Sizes of grouped-query attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Heads of keys and values, a divisor of `heads`; neighbouring query heads share one.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub head_dim: usize,
}

/// Numbers of keys or values.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum CachedNumbers<'a> {
    /// f16 numbers.
    F16(&'a [f16]),
    /// f32 numbers.
    F32(&'a [f32]),
}

/// Keys and values that queries attend to.
#[derive(Debug, Clone, Copy)]
pub struct Cached<'a> {
    /// Keys; number `d` of head `h` at position `p` stands at
    /// `h * head_stride + p * position_stride + d`.
    pub keys: CachedNumbers<'a>,
    /// Values, placed as the keys.
    pub values: CachedNumbers<'a>,
    /// Numbers from one head to the next.
    pub head_stride: usize,
    /// Numbers from one position to the next.
    pub position_stride: usize,
    /// Positions.
    pub length: usize,
}

/// Which positions a query may see.
#[derive(Debug, Clone, Copy)]
pub enum Visible<'a> {
    /// All.
    All,
    /// Query `i` sees the positions up to `start + i`.
    Causal {
        /// Positions before those of the queries.
        start: usize,
    },
    /// One row of positions for each query.
    Rows(&'a [bool]),
}

impl Visible<'_> {
    /// Positions beyond which a query sees nothing.
    fn end(self, query: usize, length: usize) -> usize {
        match self {
            Self::Causal { start } => length.min(start + query + 1),
            Self::All | Self::Rows(_) => length,
        }
    }

    fn hide(self, query: usize, length: usize, scores: &mut [f32]) {
        if let Self::Rows(rows) = self {
            let row = &rows[query * length..(query + 1) * length];
            for (score, seen) in scores.iter_mut().zip(row) {
                *score = if *seen { *score } else { f32::NEG_INFINITY };
            }
        }
    }
}

/// Queries and what they attend to.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Sizes.
    pub shape: AttentionShape,
    /// Queries; number `d` of head `h` of token `t` stands at `t * query_stride + h * head_dim + d`.
    pub query: &'a [f32],
    /// Numbers from one token to the next.
    pub query_stride: usize,
    /// Tokens.
    pub tokens: usize,
    /// Keys and values.
    pub cached: Cached<'a>,
    /// What may be seen.
    pub visible: Visible<'a>,
}

#[derive(Default)]
struct Scratch {
    keys: Numbers<f32>,
    values: Numbers<f32>,
    row: Vec<f32>,
    rows: Vec<f32>,
    packed: Numbers<f32>,
    scores: Vec<f32>,
}

thread_local! {
    /// Memory of a thread, which keeps its size from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Attention<'_> {
    /// `softmax(q kᵀ / sqrt(head_dim)) v` for every head and token, in f32; a token that sees
    /// nothing gets zeros. The heads are shared among threads.
    ///
    /// `output` is `[tokens, heads * head_dim]`.
    ///
    /// # Panics
    ///
    /// When a slice does not hold what the sizes say.
    pub fn run(&self, isa: Isa, output: &mut [f32]) {
        self.assert_sizes(output.len());
        if self.tokens == 0 {
            return;
        }
        let output = SharedMut::new(output);
        let work = |head: usize| {
            SCRATCH.with_borrow_mut(|scratch| {
                // SAFETY: each head writes numbers of its own queries, and runs once.
                unsafe { self.run_head(isa, head, scratch, &output) };
            });
        };
        let numbers = self.tokens * self.cached.length * self.shape.heads * self.shape.head_dim;
        match numbers < 1 << 15 {
            true => (0..self.shape.kv_heads).for_each(work),
            false => for_each_index(self.shape.kv_heads, &work),
        }
    }

    fn assert_sizes(&self, output: usize) {
        let AttentionShape {
            heads,
            kv_heads,
            head_dim,
        } = self.shape;
        let cached = &self.cached;
        assert!(
            kv_heads > 0 && head_dim > 0 && heads > 0 && heads.is_multiple_of(kv_heads),
            "no heads"
        );
        assert!(cached.length > 0, "nothing to attend to");
        let last =
            (kv_heads - 1) * cached.head_stride + (cached.length - 1) * cached.position_stride;
        for numbers in [cached.keys, cached.values] {
            let found = match numbers {
                CachedNumbers::F16(numbers) => numbers.len(),
                CachedNumbers::F32(numbers) => numbers.len(),
            };
            assert!(found >= last + head_dim, "keys or values are too few");
        }
        assert_eq!(output, self.tokens * heads * head_dim, "output");
        let queries = self.tokens.saturating_sub(1) * self.query_stride + heads * head_dim;
        assert!(self.tokens == 0 || self.query.len() >= queries, "queries");
        if let Visible::Rows(rows) = self.visible {
            assert_eq!(rows.len(), self.tokens * cached.length, "visible positions");
        }
    }

    /// # Safety
    ///
    /// No other thread uses the numbers of the query heads that share head `kv`.
    unsafe fn run_head(
        &self,
        isa: Isa,
        kv: usize,
        scratch: &mut Scratch,
        output: &SharedMut<'_, f32>,
    ) {
        let group = self.shape.heads / self.shape.kv_heads;
        let start = kv * self.cached.head_stride;
        if let (CachedNumbers::F16(keys), CachedNumbers::F16(values)) =
            (self.cached.keys, self.cached.values)
            && self.tokens * group <= STREAMED_ROWS
        {
            for head in kv * group..(kv + 1) * group {
                for token in 0..self.tokens {
                    let place = (token * self.shape.heads + head) * self.shape.head_dim;
                    // SAFETY: the promise of the caller.
                    let output = unsafe { output.range(place, self.shape.head_dim) };
                    let cache = [&keys[start..], &values[start..]];
                    self.stream(isa, (token, head), cache, scratch, output);
                }
            }
            return;
        }
        self.unpack(kv, scratch);
        for head in kv * group..(kv + 1) * group {
            let step = InputKind::F32.tile(isa);
            for token in (0..self.tokens).step_by(step) {
                let width = step.min(self.tokens - token);
                // SAFETY: the promise of the caller.
                unsafe { self.run_tile(isa, (token, width), head, scratch, output) };
            }
        }
    }

    fn query(&self, token: usize, head: usize) -> &[f32] {
        let start = token * self.query_stride + head * self.shape.head_dim;
        &self.query[start..start + self.shape.head_dim]
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape.head_dim as f32).sqrt()
    }

    /// One query, straight from the cache.
    fn stream(
        &self,
        isa: Isa,
        (token, head): (usize, usize),
        [keys, values]: [&[f16]; 2],
        scratch: &mut Scratch,
        output: &mut [f32],
    ) {
        let end = self.visible.end(token, self.cached.length);
        let stride = self.cached.position_stride;
        scratch.scores.resize(end, 0.0);
        scratch.row.resize(self.shape.head_dim, 0.0);
        let query = self.query(token, head);
        streamed_scores(
            isa,
            query,
            (keys, stride),
            &mut scratch.row,
            &mut scratch.scores,
        );
        self.visible
            .hide(token, self.cached.length, &mut scratch.scores);
        softmax(isa, &mut scratch.scores, self.scale());
        streamed_mix(
            isa,
            &scratch.scores,
            (values, stride),
            &mut scratch.row,
            output,
        );
    }

    /// Keys and values of a head as panels: keys with positions as rows, values with channels.
    fn unpack(&self, kv: usize, scratch: &mut Scratch) {
        let (width, length) = (self.shape.head_dim, self.cached.length);
        let columns = width.next_multiple_of(BLOCK);
        let positions = length.next_multiple_of(BLOCK);
        scratch.row.resize(width, 0.0);
        scratch
            .keys
            .resize(length.next_multiple_of(LANES) * columns);
        scratch.keys.fill(0.0);
        scratch
            .values
            .resize(width.next_multiple_of(LANES) * positions);
        scratch.values.fill(0.0);
        for position in 0..length {
            let start = kv * self.cached.head_stride + position * self.cached.position_stride;
            let range = start..start + width;
            let panel = &mut scratch.keys[position / LANES * LANES * columns..];
            let row = read(self.cached.keys, range.clone(), &mut scratch.row);
            let lane = panel.iter_mut().skip(position % LANES).step_by(LANES);
            lane.zip(row).for_each(|(to, from)| *to = *from);
            let row = read(self.cached.values, range, &mut scratch.row);
            for (panel, numbers) in row.chunks(LANES).enumerate() {
                let place = (panel * positions + position) * LANES;
                scratch.values[place..place + numbers.len()].copy_from_slice(numbers);
            }
        }
    }

    /// A few queries of one head, with unpacked keys and values.
    ///
    /// # Safety
    ///
    /// No other thread uses the numbers of this head.
    unsafe fn run_tile(
        &self,
        isa: Isa,
        (token, width): (usize, usize),
        head: usize,
        scratch: &mut Scratch,
        output: &SharedMut<'_, f32>,
    ) {
        let (head_dim, length) = (self.shape.head_dim, self.cached.length);
        let columns = head_dim.next_multiple_of(BLOCK);
        let positions = length.next_multiple_of(BLOCK);
        let end = self.visible.end(token + width - 1, length);
        scratch.rows.clear();
        for inner in 0..width {
            scratch
                .rows
                .extend_from_slice(self.query(token + inner, head));
        }
        scratch.packed.resize(width * columns);
        interleave(&scratch.rows, head_dim, &mut scratch.packed, 1, |x| x);
        scratch.scores.resize(width * positions, 0.0);
        let product = Panels {
            isa,
            layout: PanelLayout::new(Format::F32, head_dim),
            panels: &scratch.keys,
            rows: end,
        };
        // SAFETY: the scores belong to this thread and have room.
        unsafe {
            let place = (scratch.scores.as_mut_ptr(), positions);
            product.multiply(&scratch.packed, width, columns / BLOCK, place);
        }
        for (inner, scores) in scratch.scores.chunks_exact_mut(positions).enumerate() {
            let (seen, hidden) = scores.split_at_mut(self.visible.end(token + inner, length));
            self.visible.hide(token + inner, length, seen);
            softmax(isa, seen, self.scale());
            hidden.fill(0.0);
        }
        scratch.packed.resize(width * positions);
        interleave(&scratch.scores, positions, &mut scratch.packed, 1, |x| x);
        let product = Panels {
            isa,
            layout: PanelLayout::new(Format::F32, length),
            panels: &scratch.values,
            rows: head_dim,
        };
        let stride = self.shape.heads * head_dim;
        let place = output.pointer(token * stride + head * head_dim);
        // SAFETY: the numbers of this head are within the output, by its size, and are the
        // caller's promise.
        unsafe {
            product.multiply(&scratch.packed, width, end.div_ceil(BLOCK), (place, stride));
        }
    }
}

/// Unpacked f32 panels.
struct Panels<'a> {
    isa: Isa,
    layout: PanelLayout,
    panels: &'a [f32],
    rows: usize,
}

impl Panels<'_> {
    /// Multiplies the first blocks of columns of the first rows with one tile of tokens.
    ///
    /// # Safety
    ///
    /// `rows` numbers may be written at the output for each token, which no other thread uses.
    unsafe fn multiply(
        &self,
        input: &[f32],
        tokens: usize,
        blocks: usize,
        (output, stride): (*mut f32, usize),
    ) {
        let numbers = self.layout.blocks * BLOCK * LANES;
        let at_once = panels_of(self.isa);
        let panels = self.rows.div_ceil(LANES);
        for first in (0..panels).step_by(at_once) {
            let count = at_once.min(panels - first);
            let floats = &self.panels[first * numbers..(first + count) * numbers];
            // SAFETY: numbers looked at as bytes.
            let bytes =
                unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) };
            let tile = Tile {
                layout: self.layout,
                panels: bytes,
                panel_bytes: 4 * numbers,
                blocks: 0..blocks,
                input: TileInput::F32(input),
                output: output.wrapping_add(first * LANES),
                stride,
                rows: (self.rows - first * LANES).min(count * LANES),
                add: false,
            };
            // SAFETY: the promise of the caller.
            unsafe { run(self.isa, &tile, InputKind::F32, [count, tokens]) };
        }
    }
}

fn read<'a>(
    numbers: CachedNumbers<'a>,
    range: std::ops::Range<usize>,
    row: &'a mut [f32],
) -> &'a [f32] {
    match numbers {
        CachedNumbers::F32(numbers) => &numbers[range],
        CachedNumbers::F16(numbers) => {
            numbers[range].convert_to_f32_slice(row);
            row
        }
    }
}

/// Products of a query with the key of each position; `row` is room for one key.
fn streamed_scores(
    isa: Isa,
    query: &[f32],
    (keys, stride): (&[f16], usize),
    row: &mut [f32],
    scores: &mut [f32],
) {
    match isa.kind() {
        // SAFETY: `Isa` holds only what the processor has; `assert_sizes` and the end of what is
        // visible keep to the keys.
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 | IsaKind::Avx512Bf16 => unsafe {
            wide::scores(query, (keys, stride), scores);
        },
        _ => {
            for (position, score) in scores.iter_mut().enumerate() {
                let key = &keys[position * stride..][..query.len()];
                key.convert_to_f32_slice(row);
                *score = query.iter().zip(&*row).map(|(q, k)| q * k).sum();
            }
        }
    }
}

/// The sum of values, each times its share; `row` is room for one value.
fn streamed_mix(
    isa: Isa,
    shares: &[f32],
    (values, stride): (&[f16], usize),
    row: &mut [f32],
    output: &mut [f32],
) {
    match isa.kind() {
        // SAFETY: as for the scores.
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 | IsaKind::Avx512Bf16 => unsafe {
            wide::mix(shares, (values, stride), output);
        },
        _ => {
            output.fill(0.0);
            for (position, share) in shares.iter().enumerate() {
                values[position * stride..][..output.len()].convert_to_f32_slice(row);
                for (output, value) in output.iter_mut().zip(&*row) {
                    *output += share * value;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    //! The cache read in registers of sixteen numbers.

    use std::arch::x86_64::*;

    use half::f16;

    const LANES: usize = 16;

    /// The first `count` of sixteen lanes.
    fn first(count: usize) -> u16 {
        ((1_u32 << count.min(LANES)) - 1) as u16
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn scores(
        query: &[f32],
        (keys, stride): (&[f16], usize),
        scores: &mut [f32],
    ) {
        assert!(scores.is_empty() || keys.len() >= (scores.len() - 1) * stride + query.len());
        for (position, score) in scores.iter_mut().enumerate() {
            let mut sums = [_mm512_setzero_ps(); 2];
            for (index, part) in query.chunks(LANES).enumerate() {
                let mask = first(part.len());
                // SAFETY: the masked lanes are within the query and, by the assertion, the keys.
                unsafe {
                    let key = keys.as_ptr().add(position * stride + index * LANES);
                    let key = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, key.cast()));
                    let part = _mm512_maskz_loadu_ps(mask, part.as_ptr());
                    sums[index % 2] = _mm512_fmadd_ps(part, key, sums[index % 2]);
                }
            }
            *score = _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn mix(
        shares: &[f32],
        (values, stride): (&[f16], usize),
        output: &mut [f32],
    ) {
        assert!(shares.is_empty() || values.len() >= (shares.len() - 1) * stride + output.len());
        for (index, output) in output.chunks_mut(4 * LANES).enumerate() {
            let mut sums = [_mm512_setzero_ps(); 4];
            let mut masks = [0_u16; 4];
            for (part, mask) in masks.iter_mut().enumerate() {
                *mask = first(output.len().saturating_sub(part * LANES));
            }
            for (position, share) in shares.iter().enumerate() {
                let share = _mm512_set1_ps(*share);
                let place = position * stride + index * 4 * LANES;
                for part in 0..4 {
                    // SAFETY: the masked lanes are within the values by the assertion; addresses
                    // beyond are not read.
                    unsafe {
                        let value = values.as_ptr().wrapping_add(place + part * LANES);
                        let value = _mm256_maskz_loadu_epi16(masks[part], value.cast());
                        sums[part] = _mm512_fmadd_ps(_mm512_cvtph_ps(value), share, sums[part]);
                    }
                }
            }
            for part in 0..4 {
                // SAFETY: the masked lanes are within the output.
                unsafe {
                    let place = output.as_mut_ptr().wrapping_add(part * LANES);
                    _mm512_mask_storeu_ps(place, masks[part], sums[part]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|index| ((index * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0)
            .collect()
    }

    /// Attention in f64, position by position.
    fn reference(attention: &Attention<'_>, [keys, values]: [&[f32]; 2]) -> Vec<f64> {
        let AttentionShape {
            heads,
            kv_heads,
            head_dim,
        } = attention.shape;
        let length = attention.cached.length;
        let mut output = Vec::new();
        for token in 0..attention.tokens {
            for head in 0..heads {
                let kv = head / (heads / kv_heads);
                let at = |position: usize, d: usize| {
                    kv * attention.cached.head_stride
                        + position * attention.cached.position_stride
                        + d
                };
                let query = attention.query(token, head);
                let sees = |position: usize| match attention.visible {
                    Visible::All => true,
                    Visible::Causal { start } => position <= start + token,
                    Visible::Rows(rows) => rows[token * length + position],
                };
                let scores: Vec<f64> = (0..length)
                    .map(|position| {
                        let dot = (0..head_dim)
                            .map(|d| f64::from(query[d]) * f64::from(keys[at(position, d)]));
                        match sees(position) {
                            true => (dot.sum::<f64>() / (head_dim as f64).sqrt()).exp(),
                            false => 0.0,
                        }
                    })
                    .collect();
                let total: f64 = scores.iter().sum();
                output.extend((0..head_dim).map(|d| {
                    let mixed = (0..length).map(|p| scores[p] * f64::from(values[at(p, d)]));
                    if total == 0.0 {
                        0.0
                    } else {
                        mixed.sum::<f64>() / total
                    }
                }));
            }
        }
        output
    }

    #[test]
    fn attention_equals_that_in_f64_in_every_way_of_running() {
        let shapes = [
            (4, 2, 16, 1, 1),
            (4, 4, 12, 5, 70),
            (2, 1, 128, 1, 33),
            (6, 3, 20, 27, 40),
        ];
        for (heads, kv_heads, head_dim, tokens, length) in shapes {
            let shape = AttentionShape {
                heads,
                kv_heads,
                head_dim,
            };
            let capacity = length + 3;
            let halves = |seed| -> Vec<f16> {
                let numbers = numbers(kv_heads * capacity * head_dim, seed);
                numbers.into_iter().map(f16::from_f32).collect()
            };
            let (keys, values) = (halves(1), halves(2));
            let wide = |halves: &[f16]| halves.iter().map(|x| x.to_f32()).collect::<Vec<_>>();
            let (wide_keys, wide_values) = (wide(&keys), wide(&values));
            let stride = heads * head_dim + 5;
            let query: Vec<f32> = numbers(tokens * stride, 3)
                .iter()
                .map(|x| 4.0 * x)
                .collect();
            let rows: Vec<bool> = (0..tokens * length).map(|index| index % 3 != 1).collect();
            let visibles = [
                Visible::All,
                Visible::Causal {
                    start: length - tokens,
                },
                Visible::Rows(&rows),
            ];
            for visible in visibles {
                let halves = [CachedNumbers::F16(&keys), CachedNumbers::F16(&values)];
                let floats = [
                    CachedNumbers::F32(&wide_keys),
                    CachedNumbers::F32(&wide_values),
                ];
                for [keys, values] in [halves, floats] {
                    let attention = Attention {
                        shape,
                        query: &query,
                        query_stride: stride,
                        tokens,
                        cached: Cached {
                            keys,
                            values,
                            head_stride: capacity * head_dim,
                            position_stride: head_dim,
                            length,
                        },
                        visible,
                    };
                    let wanted = reference(&attention, [&wide_keys, &wide_values]);
                    for isa in Isa::available() {
                        let mut output = vec![9.0; tokens * heads * head_dim];
                        attention.run(isa, &mut output);
                        for (found, wanted) in output.iter().zip(&wanted) {
                            let error = (f64::from(*found) - wanted).abs();
                            assert!(
                                error < 1e-5,
                                "{isa:?} {shape:?} {visible:?}: {found} {wanted}"
                            );
                        }
                    }
                }
            }
        }
    }
}
