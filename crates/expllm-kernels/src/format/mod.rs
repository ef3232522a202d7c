//! Number formats of weights.
//!
//! A row is stored in files as a run of bytes ([`encode_row`], [`decode_row`]); in memory the rows
//! of a matrix stand in panels of sixteen, see [`Matrix`](crate::Matrix).

mod blocks;
mod encode;
mod panel;
mod quantise;
mod row;

pub(crate) use blocks::{Line, SHARED};
#[cfg(target_arch = "aarch64")]
pub(crate) use panel::half_scale;
pub(crate) use panel::{PanelLayout, place_row, read_row, take_block, take_row};
pub(crate) use row::encode;
pub use row::{check_row, decode_row, encode_row};

/// Numbers that share a scale in the formats of 8 and 4 bits.
pub const BLOCK: usize = 32;

/// Rows that stand side by side in a panel.
pub(crate) const LANES: usize = 16;

/// A number format of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// 32 bits.
    F32,
    /// 16 bits, 5 of them for the exponent.
    F16,
    /// 16 bits, 8 of them for the exponent.
    Bf16,
    /// 8 bits in blocks of 32 with an f16 scale: 8.5 bits a number. The rows are those of
    /// `Q8_0` in GGUF files.
    Q8_0,
    /// 4 bits in blocks of 32 with an f16 scale: 4.5 bits a number. The rows are those of
    /// `Q4_0` in GGUF files.
    Q4_0,
    /// 4 bits in blocks of 32 with an f16 scale and an f16 offset: 5 bits a number. The rows are
    /// those of `Q4_1` in GGUF files.
    Q4_1,
    /// 4 bits in blocks of 32 with a scale and an offset of 8 bits each, which count in steps of
    /// the whole row: 4.5 bits a number, and a smaller error than [`Q4_0`](Self::Q4_0).
    Q4A,
    /// 5 bits in blocks of 32 with an f16 scale: 5.5 bits a number. The rows are those of `Q5_0` in
    /// GGUF files.
    Q5_0,
    /// 5 bits in blocks of 32 with an f16 scale and an f16 offset: 6 bits a number. The rows are
    /// those of `Q5_1` in GGUF files.
    Q5_1,
    /// 4 bits in blocks of 32 with a scale and an offset of 6 bits each, which count in f16 steps of
    /// 256 numbers: 4.5 bits a number. The rows are those of `Q4_K` in GGUF files.
    Q4K,
    /// 5 bits, else as [`Q4K`](Self::Q4K): 5.5 bits a number. The rows are those of `Q5_K` in GGUF
    /// files.
    Q5K,
    /// 6 bits in blocks of 16 with a scale of 8 bits, which counts in f16 steps of 256 numbers: 6.6
    /// bits a number. The rows are those of `Q6_K` in GGUF files.
    Q6K,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 12] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q4A,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Bytes of a row in a file; rows that are not a multiple of [`BLOCK`], or of 256 where as many
    /// numbers share steps, end with zeros.
    /// `None` when they are more than can be addressed.
    #[must_use]
    pub fn row_bytes(self, columns: usize) -> Option<usize> {
        let count = columns.div_ceil(BLOCK);
        match self {
            Self::F32 => columns.checked_mul(4),
            Self::F16 | Self::Bf16 => columns.checked_mul(2),
            Self::Q4A => count.checked_mul(18)?.checked_add(8),
            _ => count
                .div_ceil(blocks::stored_together(self))
                .checked_mul(blocks::stored_bytes(self)),
        }
    }

    /// Whether numbers share scales, so that activations are turned into 8 bits for products.
    #[must_use]
    pub fn is_quantised(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }

    /// The name in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q4A => "q4a",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Q4K => "q4_k",
            Self::Q5K => "q5_k",
            Self::Q6K => "q6_k",
        }
    }

    /// The format with a name; `None` for a name that no format has.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}
