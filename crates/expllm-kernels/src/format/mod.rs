//! Number formats of weights.
//!
//! A row is stored in files as a run of bytes ([`encode_row`], [`decode_row`]); in memory the rows
//! of a matrix stand in panels of sixteen, see [`Matrix`](crate::Matrix).

mod panel;
mod quantise;
mod row;

pub(crate) use panel::{PanelLayout, half_scale, place_row, take_row};
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
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 7] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q4A,
    ];

    /// Bytes of a row in a file; rows that are not a multiple of [`BLOCK`] end with zeros.
    /// `None` when they are more than can be addressed.
    #[must_use]
    pub fn row_bytes(self, columns: usize) -> Option<usize> {
        let blocks = columns.div_ceil(BLOCK);
        match self {
            Self::F32 => columns.checked_mul(4),
            Self::F16 | Self::Bf16 => columns.checked_mul(2),
            Self::Q8_0 => blocks.checked_mul(34),
            Self::Q4_0 => blocks.checked_mul(18),
            Self::Q4_1 => blocks.checked_mul(20),
            Self::Q4A => blocks.checked_mul(18)?.checked_add(8),
        }
    }

    /// Whether numbers share scales, so that activations are turned into 8 bits for products.
    #[must_use]
    pub fn is_quantised(self) -> bool {
        matches!(self, Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q4A)
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
        }
    }

    /// The format with a name; `None` for a name that no format has.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}
