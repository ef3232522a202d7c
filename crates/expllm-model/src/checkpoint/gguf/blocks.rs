//! Numbers of GGUF files: plain ones, and blocks that share scales.
//!
//! The blocks are those of `ggml-common.h` and `ggml-quants.c` in ggml (MIT).

use burn::tensor::DType;
use expllm_kernels::{Format, decode_row};
use half::f16;
use rayon::prelude::*;

/// Numbers that are decoded on one thread at a time.
const STRETCH: usize = 1 << 16;

/// How the numbers of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Plain(DType),
    Blocks(BlockFormat),
}

impl Number {
    /// Bytes of a row; `None` when it does not consist of whole blocks or cannot be counted.
    pub(super) fn row_bytes(self, columns: usize) -> Option<usize> {
        match self {
            Self::Plain(dtype) => columns.checked_mul(dtype.size()),
            Self::Blocks(format) => {
                let whole = columns.is_multiple_of(format.numbers());
                (columns / format.numbers())
                    .checked_mul(format.bytes())
                    .filter(|_| whole)
            }
        }
    }

    /// The number format after decoding.
    pub(super) fn dtype(self) -> DType {
        match self {
            Self::Plain(dtype) => dtype,
            Self::Blocks(_) => DType::F32,
        }
    }

    pub(super) fn blocks(self) -> Option<BlockFormat> {
        match self {
            Self::Plain(_) => None,
            Self::Blocks(format) => Some(format),
        }
    }
}

/// The number format with this id in GGUF files.
pub(super) fn number(id: u32) -> Result<Number, String> {
    Ok(match id {
        0 => Number::Plain(DType::F32),
        1 => Number::Plain(DType::F16),
        2 => Number::Blocks(BlockFormat::Q4_0),
        3 => Number::Blocks(BlockFormat::Q4_1),
        6 => Number::Blocks(BlockFormat::Q5_0),
        7 => Number::Blocks(BlockFormat::Q5_1),
        8 => Number::Blocks(BlockFormat::Q8_0),
        12 => Number::Blocks(BlockFormat::Q4K),
        13 => Number::Blocks(BlockFormat::Q5K),
        14 => Number::Blocks(BlockFormat::Q6K),
        24 => Number::Plain(DType::I8),
        25 => Number::Plain(DType::I16),
        26 => Number::Plain(DType::I32),
        27 => Number::Plain(DType::I64),
        28 => Number::Plain(DType::F64),
        30 => Number::Plain(DType::BF16),
        other => {
            return Err(format!(
                "the number format {other}; F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q5_1, Q5_0, Q4_K, \
                 Q4_1 and Q4_0 can be read"
            ));
        }
    })
}

/// A format of blocks that share scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checkpoint) enum BlockFormat {
    /// 32 numbers of 4 bits with a scale.
    Q4_0,
    /// 32 numbers of 4 bits with a scale and an offset.
    Q4_1,
    /// 32 numbers of 5 bits with a scale.
    Q5_0,
    /// 32 numbers of 5 bits with a scale and an offset.
    Q5_1,
    /// 32 numbers of 8 bits with a scale.
    Q8_0,
    /// 256 numbers of 4 bits; each 32 have a scale and an offset of 6 bits.
    Q4K,
    /// 256 numbers of 5 bits; each 32 have a scale and an offset of 6 bits.
    Q5K,
    /// 256 numbers of 6 bits; each 16 have a scale of 8 bits.
    Q6K,
}

impl BlockFormat {
    /// Numbers of a block.
    fn numbers(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    fn bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// The same format among those of the kernels; `None` for the others.
    pub(in crate::checkpoint) fn kernel_format(self) -> Option<Format> {
        match self {
            Self::Q4_0 => Some(Format::Q4_0),
            Self::Q4_1 => Some(Format::Q4_1),
            Self::Q8_0 => Some(Format::Q8_0),
            _ => None,
        }
    }

    /// The numbers of whole blocks.
    pub(in crate::checkpoint) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let mut numbers = vec![0.0; bytes.len() / self.bytes() * self.numbers()];
        let blocks = STRETCH / self.numbers();
        numbers
            .par_chunks_mut(blocks * self.numbers())
            .zip(bytes.par_chunks(blocks * self.bytes()))
            .for_each(|(numbers, bytes)| self.decode_stretch(bytes, numbers));
        numbers
    }

    fn decode_stretch(self, bytes: &[u8], numbers: &mut [f32]) {
        let block: fn(&[u8], &mut [f32]) = match self {
            // The sizes fit, so these cannot fail.
            Self::Q4_0 => return drop(decode_row(Format::Q4_0, bytes, numbers)),
            Self::Q8_0 => return drop(decode_row(Format::Q8_0, bytes, numbers)),
            Self::Q4_1 => q4_1,
            Self::Q5_0 => q5_0,
            Self::Q5_1 => q5_1,
            Self::Q4K => q4_k,
            Self::Q5K => q5_k,
            Self::Q6K => q6_k,
        };
        let chunks = numbers.chunks_exact_mut(self.numbers());
        for (numbers, bytes) in chunks.zip(bytes.chunks_exact(self.bytes())) {
            block(bytes, numbers);
        }
    }
}

/// The f16 number at a place.
fn half(bytes: &[u8], place: usize) -> f32 {
    f16::from_le_bytes([bytes[place], bytes[place + 1]]).to_f32()
}

/// The 4-bit number at a place of 32: the first half is in the low halves of the bytes.
fn nibble(quants: &[u8], place: usize) -> u8 {
    match place < 16 {
        true => quants[place] & 15,
        false => quants[place - 16] >> 4,
    }
}

/// The 5-bit number at a place of 32, whose highest bits are in `high`.
fn five_bits(high: &[u8], quants: &[u8], place: usize) -> f32 {
    let bit = high[place / 8] >> (place % 8) & 1;
    f32::from(nibble(quants, place) | bit << 4)
}

fn q4_1(block: &[u8], numbers: &mut [f32]) {
    let (scale, offset) = (half(block, 0), half(block, 2));
    for (place, number) in numbers.iter_mut().enumerate() {
        *number = scale * f32::from(nibble(&block[4..], place)) + offset;
    }
}

fn q5_0(block: &[u8], numbers: &mut [f32]) {
    let scale = half(block, 0);
    for (place, number) in numbers.iter_mut().enumerate() {
        *number = scale * (five_bits(&block[2..6], &block[6..], place) - 16.0);
    }
}

fn q5_1(block: &[u8], numbers: &mut [f32]) {
    let (scale, offset) = (half(block, 0), half(block, 2));
    for (place, number) in numbers.iter_mut().enumerate() {
        *number = scale * five_bits(&block[4..8], &block[8..], place) + offset;
    }
}

/// Scale and offset number `index` of eight, which twelve bytes hold with 6 bits each.
fn six_bits(packed: &[u8], index: usize) -> [f32; 2] {
    let pair = match index < 4 {
        true => [packed[index] & 63, packed[index + 4] & 63],
        false => [
            packed[index + 4] & 15 | packed[index - 4] >> 6 << 4,
            packed[index + 4] >> 4 | packed[index] >> 6 << 4,
        ],
    };
    pair.map(f32::from)
}

/// Eight stretches of 32 numbers, each with a scale and an offset; `quant` gives the number at
/// a place of a stretch.
fn q_k(block: &[u8], numbers: &mut [f32], quant: impl Fn(usize, usize) -> u8) {
    let (scale, offset) = (half(block, 0), half(block, 2));
    for (stretch, numbers) in numbers.chunks_exact_mut(32).enumerate() {
        let [steps, low] = six_bits(&block[4..16], stretch);
        let (scale, offset) = (scale * steps, offset * low);
        for (place, number) in numbers.iter_mut().enumerate() {
            *number = scale * f32::from(quant(stretch, place)) - offset;
        }
    }
}

/// The 4-bit number at a place of a stretch: two stretches share 32 bytes.
fn stretch_nibble(quants: &[u8], stretch: usize, place: usize) -> u8 {
    quants[stretch / 2 * 32 + place] >> (4 * (stretch % 2)) & 15
}

fn q4_k(block: &[u8], numbers: &mut [f32]) {
    q_k(block, numbers, |stretch, place| {
        stretch_nibble(&block[16..], stretch, place)
    });
}

fn q5_k(block: &[u8], numbers: &mut [f32]) {
    let (high, quants) = (&block[16..48], &block[48..]);
    q_k(block, numbers, |stretch, place| {
        let bit = high[place] >> stretch & 1;
        stretch_nibble(quants, stretch, place) | bit << 4
    });
}

fn q6_k(block: &[u8], numbers: &mut [f32]) {
    let scale = half(block, 208);
    for (part, numbers) in numbers.chunks_exact_mut(128).enumerate() {
        let low = &block[64 * part..];
        let high = &block[128 + 32 * part..];
        let scales = &block[192 + 8 * part..];
        for (index, number) in numbers.iter_mut().enumerate() {
            // Four stretches of 32: two in the low halves of 64 bytes, two in the high ones.
            let (stretch, place) = (index / 32, index % 32);
            let nibble = low[stretch % 2 * 32 + place] >> (4 * (stretch / 2)) & 15;
            let bits = high[place] >> (2 * stretch) & 3;
            let quant = f32::from(nibble | bits << 4) - 32.0;
            *number = scale * f32::from(scales[index / 16].cast_signed()) * quant;
        }
    }
}
