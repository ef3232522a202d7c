//! Number formats of weights as arguments.

use clap::ValueEnum;
use expllm_model::{DType, Format};

/// Number formats of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NumberFormat {
    /// 32 bits.
    F32,
    /// 16 bits, 5 of them for the exponent.
    F16,
    /// 16 bits, 8 of them for the exponent, as f32 has.
    Bf16,
}

impl NumberFormat {
    /// The format as the libraries name it.
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// Formats in blocks of numbers that share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BlockFormat {
    /// 8 bits.
    Q8,
    /// 4 bits, the vision encoder in 8.
    Q4,
}

impl BlockFormat {
    /// The format as the libraries name it.
    pub const fn format(self) -> Format {
        match self {
            Self::Q8 => Format::Q8_0,
            Self::Q4 => Format::Q4A,
        }
    }
}

/// Number formats of weights in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WeightFormat {
    /// 32 bits.
    F32,
    /// 16 bits, 5 of them for the exponent.
    F16,
    /// 16 bits, 8 of them for the exponent, as f32 has.
    Bf16,
    /// 8 bits in blocks of 32 with a scale; on the cpu backend.
    Q8,
    /// 4 bits in blocks of 32 with a scale and an offset, the vision encoder in 8; on the cpu
    /// backend.
    Q4,
}

impl WeightFormat {
    /// The format as the libraries name it.
    pub const fn format(self) -> Format {
        match self {
            Self::F32 => Format::F32,
            Self::F16 => Format::F16,
            Self::Bf16 => Format::Bf16,
            Self::Q8 => Format::Q8_0,
            Self::Q4 => Format::Q4A,
        }
    }
}
