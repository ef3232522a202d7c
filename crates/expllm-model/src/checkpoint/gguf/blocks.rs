//! Numbers of GGUF files: plain ones, and blocks that share scales.

use burn::tensor::DType;
use expllm_kernels::{BLOCK, Format, decode_row};
use rayon::prelude::*;

/// Numbers that are decoded on one thread at a time.
const STRETCH: usize = 1 << 16;

/// How the numbers of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Plain(DType),
    Blocks(Format),
}

impl Number {
    /// Bytes of a row; `None` when it does not consist of whole blocks or cannot be counted.
    pub(super) fn row_bytes(self, columns: usize) -> Option<usize> {
        match self {
            Self::Plain(dtype) => columns.checked_mul(dtype.size()),
            Self::Blocks(format) => {
                let whole = columns.is_multiple_of(block_sizes(format).0);
                format.row_bytes(columns).filter(|_| whole)
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

    pub(super) fn blocks(self) -> Option<Format> {
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
        2 => Number::Blocks(Format::Q4_0),
        3 => Number::Blocks(Format::Q4_1),
        6 => Number::Blocks(Format::Q5_0),
        7 => Number::Blocks(Format::Q5_1),
        8 => Number::Blocks(Format::Q8_0),
        12 => Number::Blocks(Format::Q4K),
        13 => Number::Blocks(Format::Q5K),
        14 => Number::Blocks(Format::Q6K),
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

/// The numbers of whole rows of blocks.
pub(in crate::checkpoint) fn decode(format: Format, bytes: &[u8]) -> Vec<f32> {
    // Whole blocks are rows of their own.
    let (numbers, block) = block_sizes(format);
    let mut decoded = vec![0.0; bytes.len() / block * numbers];
    let blocks = STRETCH / numbers;
    decoded
        .par_chunks_mut(blocks * numbers)
        .zip(bytes.par_chunks(blocks * block))
        // The sizes fit, so this cannot fail.
        .for_each(|(numbers, bytes)| drop(decode_row(format, bytes, numbers)));
    decoded
}

/// Numbers and bytes of a block.
fn block_sizes(format: Format) -> (usize, usize) {
    let numbers = match format {
        Format::Q4K | Format::Q5K | Format::Q6K => 256,
        _ => BLOCK,
    };
    (numbers, format.row_bytes(numbers).unwrap_or(1))
}
