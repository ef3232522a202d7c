//! Rows as they stand in files.

use half::{bf16, f16};

use super::blocks::{Line, quants, stored_bytes, stored_together};
use super::encode::encode_blocks;
use super::{BLOCK, Format};
use crate::KernelError;
use crate::error::Unfit;

const NOT_FINITE: &str = "mend the weights";
const BEYOND: &str = "choose a format with a larger range, such as bf16";

/// Writes a row of weights in a format.
///
/// # Errors
///
/// [`KernelError::Weight`] for numbers that are not finite or beyond the range of the format;
/// [`KernelError::Size`] when the room is not [`Format::row_bytes`].
pub fn encode_row(format: Format, row: &[f32], bytes: &mut [u8]) -> Result<(), KernelError> {
    check_size(format, row.len(), bytes.len())?;
    encode(format, row, bytes).map_err(|unfit| unfit.at(0, format))
}

/// Reads a row of weights.
///
/// # Errors
///
/// [`KernelError::Size`] when there are not [`Format::row_bytes`].
pub fn decode_row(format: Format, bytes: &[u8], row: &mut [f32]) -> Result<(), KernelError> {
    check_size(format, row.len(), bytes.len())?;
    match format {
        Format::F32 => {
            for (weight, bytes) in row.iter_mut().zip(bytes.as_chunks().0) {
                *weight = f32::from_le_bytes(*bytes);
            }
        }
        Format::F16 => {
            for (weight, bytes) in row.iter_mut().zip(bytes.as_chunks().0) {
                *weight = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        Format::Bf16 => {
            for (weight, bytes) in row.iter_mut().zip(bytes.as_chunks().0) {
                *weight = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        _ => {
            for (block, weights) in row.chunks_mut(BLOCK).enumerate() {
                let numbers = quants(format, bytes, block);
                Line::of(format, bytes, block).write(numbers, weights);
            }
        }
    }
    Ok(())
}

/// Checks a row that comes from a file: its size, and that its scales are numbers.
///
/// # Errors
///
/// [`KernelError::Size`] or [`KernelError::Weight`] with the first column of the block.
pub fn check_row(format: Format, columns: usize, bytes: &[u8]) -> Result<(), KernelError> {
    check_size(format, columns, bytes.len())?;
    let advice = NOT_FINITE;
    find_unfit(format, bytes).map_err(|unfit| Unfit { advice, ..unfit }.at(0, format))
}

/// A row of [`Format::Q4A`]: two steps, scales, offsets, 4-bit numbers.
pub(super) struct Q4ARow<'a> {
    bytes: &'a [u8],
    blocks: usize,
}

impl<'a> Q4ARow<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let blocks = (bytes.len() - 8) / 18;
        Self { bytes, blocks }
    }

    /// The steps of scales and of offsets.
    pub(super) fn steps(&self) -> [f32; 2] {
        let number = |place: usize| {
            let bytes = &self.bytes[place..place + 4];
            f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        [number(0), number(4)]
    }

    pub(super) fn scale(&self, block: usize) -> u8 {
        self.bytes[8 + block]
    }

    pub(super) fn offset(&self, block: usize) -> u8 {
        self.bytes[8 + self.blocks + block]
    }

    pub(super) fn quants(&self, block: usize) -> &'a [u8] {
        let start = 8 + 2 * self.blocks + 16 * block;
        &self.bytes[start..start + 16]
    }

    pub(super) fn line(&self, block: usize) -> (f32, f32) {
        let [scale, offset] = self.steps();
        (
            scale * f32::from(self.scale(block)),
            offset * f32::from(self.offset(block)),
        )
    }
}

fn check_size(format: Format, columns: usize, found: usize) -> Result<(), KernelError> {
    let expected = format.row_bytes(columns);
    match expected {
        Some(expected) if expected == found => Ok(()),
        _ => Err(KernelError::Size {
            what: "bytes of a row",
            found,
            expected: expected.unwrap_or(usize::MAX),
        }),
    }
}

/// Writes a row whose size is right.
pub(crate) fn encode(format: Format, row: &[f32], bytes: &mut [u8]) -> Result<(), Unfit> {
    if let Some(column) = row.iter().position(|weight| !weight.is_finite()) {
        return Err(Unfit {
            column,
            value: row[column],
            advice: NOT_FINITE,
        });
    }
    match format {
        Format::F32 => {
            for (bytes, weight) in bytes.as_chunks_mut().0.iter_mut().zip(row) {
                *bytes = weight.to_le_bytes();
            }
        }
        Format::F16 => {
            for (bytes, weight) in bytes.as_chunks_mut().0.iter_mut().zip(row) {
                *bytes = f16::from_f32(*weight).to_le_bytes();
            }
        }
        Format::Bf16 => {
            for (bytes, weight) in bytes.as_chunks_mut().0.iter_mut().zip(row) {
                *bytes = bf16::from_f32(*weight).to_le_bytes();
            }
        }
        _ => encode_blocks(format, row, bytes),
    }
    find_unfit(format, bytes).map_err(|unfit| Unfit {
        value: row[unfit.column],
        ..unfit
    })
}

/// The first column whose number or scale is not finite.
fn find_unfit(format: Format, bytes: &[u8]) -> Result<(), Unfit> {
    let unfit = |column, value| Unfit {
        column,
        value,
        advice: BEYOND,
    };
    let halves = |step: usize| {
        let scales = bytes.chunks_exact(step);
        scales.map(|block| f16::from_le_bytes([block[0], block[1]]))
    };
    let found = match format {
        Format::F32 => {
            let mut numbers = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
            numbers.position(|number| !number.is_finite())
        }
        Format::F16 => halves(2).position(|number| !number.is_finite()),
        Format::Bf16 => {
            let mut numbers = bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b));
            numbers.position(|number| !number.is_finite())
        }
        Format::Q4A => {
            let [scale, offset] = Q4ARow::new(bytes).steps();
            let good = scale >= f32::MIN_POSITIVE
                && offset >= 0.0
                && (255.0 * 15.0 * scale).is_finite()
                && (255.0 * offset).is_finite()
                && (offset / scale).is_finite();
            (!good).then_some(0)
        }
        _ => {
            let stored = bytes.chunks_exact(stored_bytes(format));
            let finite = |place: usize, block: &[u8]| {
                f16::from_le_bytes([block[place], block[place + 1]]).is_finite()
            };
            let good = |block: &[u8]| match format {
                Format::Q6K => finite(208, block),
                Format::Q8_0 | Format::Q4_0 | Format::Q5_0 => finite(0, block),
                _ => finite(0, block) && finite(2, block),
            };
            let mut found = stored.enumerate().filter(|(_, block)| !good(block));
            found
                .next()
                .map(|(index, _)| index * stored_together(format) * BLOCK)
        }
    };
    match found {
        Some(column) => Err(unfit(column, f32::NAN)),
        None => Ok(()),
    }
}
