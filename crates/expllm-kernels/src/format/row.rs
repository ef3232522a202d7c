//! Rows as they stand in files.

use half::{bf16, f16};

use super::quantise::{Affine, blocks, extreme, largest};
use super::{BLOCK, Format};
use crate::KernelError;
use crate::error::Unfit;

const NOT_FINITE: &str = "mend the weights";
const BEYOND: &str = "choose a format with a larger range, such as bf16";

/// The smallest step of scales over that of offsets in [`Format::Q4A`], so that their quotient
/// stays a number; a row that needs less is constant but for its offsets.
const SMALLEST_STEP: f32 = 1e-6;

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
        Format::Q8_0 => {
            for (weights, block) in row.chunks_mut(BLOCK).zip(bytes.as_chunks::<34>().0) {
                let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
                for (weight, &q) in weights.iter_mut().zip(&block[2..]) {
                    *weight = scale * f32::from(q.cast_signed());
                }
            }
        }
        Format::Q4_0 => {
            for (weights, block) in row.chunks_mut(BLOCK).zip(bytes.as_chunks::<18>().0) {
                let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
                for (index, weight) in weights.iter_mut().enumerate() {
                    *weight = scale * (f32::from(nibble(&block[2..], index)) - 8.0);
                }
            }
        }
        Format::Q4_1 => {
            for (weights, block) in row.chunks_mut(BLOCK).zip(bytes.as_chunks::<20>().0) {
                let [scale, offset] = pair_of_halves(block);
                for (index, weight) in weights.iter_mut().enumerate() {
                    *weight = scale * f32::from(nibble(&block[4..], index)) + offset;
                }
            }
        }
        Format::Q4A => {
            let row_blocks = Q4ARow::new(bytes);
            for (index, weights) in row.chunks_mut(BLOCK).enumerate() {
                let (scale, offset) = row_blocks.line(index);
                let quants = row_blocks.quants(index);
                for (place, weight) in weights.iter_mut().enumerate() {
                    *weight = scale * f32::from(nibble(quants, place)) - offset;
                }
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
    find_unfit(format, bytes).map_err(|unfit| unfit.at(0, format))
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

    fn line(&self, block: usize) -> (f32, f32) {
        let [scale, offset] = self.steps();
        (
            scale * f32::from(self.scale(block)),
            offset * f32::from(self.offset(block)),
        )
    }
}

/// The 4-bit number at a place of a block: the first half of the block is in the low halves of
/// the bytes.
pub(super) fn nibble(quants: &[u8], place: usize) -> u8 {
    match place < BLOCK / 2 {
        true => quants[place] & 15,
        false => quants[place - BLOCK / 2] >> 4,
    }
}

fn set_nibbles(quants: &mut [u8], values: impl Fn(usize) -> u8) {
    for (place, byte) in quants.iter_mut().enumerate() {
        *byte = values(place) | values(place + BLOCK / 2) << 4;
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
        Format::Q8_0 => {
            for (block, bytes) in blocks(row).zip(bytes.as_chunks_mut::<34>().0) {
                let scale = f16::from_f32(largest(&block) / 127.0);
                bytes[..2].copy_from_slice(&scale.to_le_bytes());
                let inverse = inverse(scale.to_f32());
                for (byte, weight) in bytes[2..].iter_mut().zip(block) {
                    let rounded = (weight * inverse).round().clamp(-127.0, 127.0);
                    *byte = (rounded as i8).cast_unsigned();
                }
            }
        }
        Format::Q4_0 => {
            for (block, bytes) in blocks(row).zip(bytes.as_chunks_mut::<18>().0) {
                // The number of the largest magnitude gets the end of the range that is farther
                // from the middle.
                let scale = f16::from_f32(extreme(&block) / -8.0);
                bytes[..2].copy_from_slice(&scale.to_le_bytes());
                let inverse = inverse(scale.to_f32());
                set_nibbles(&mut bytes[2..], |place| {
                    (block[place] * inverse + 8.0).round().clamp(0.0, 15.0) as u8
                });
            }
        }
        Format::Q4_1 => {
            for (block, bytes) in blocks(row).zip(bytes.as_chunks_mut::<20>().0) {
                encode_q4_1(&block, bytes);
            }
        }
        Format::Q4A => encode_q4a(row, bytes),
    }
    find_unfit(format, bytes).map_err(|unfit| Unfit {
        value: row[unfit.column],
        ..unfit
    })
}

fn encode_q4_1(block: &[f32; BLOCK], bytes: &mut [u8; 20]) {
    let line = Affine::fit(block);
    bytes[..2].copy_from_slice(&f16::from_f32(line.scale).to_le_bytes());
    bytes[2..4].copy_from_slice(&f16::from_f32(-line.offset).to_le_bytes());
    let [scale, offset] = pair_of_halves(bytes);
    let kept = Affine {
        scale,
        offset: -offset,
    };
    set_nibbles(&mut bytes[4..], |place| kept.round(block[place]));
}

/// The f16 scale and offset that a block of [`Format::Q4_1`] begins with.
fn pair_of_halves(block: &[u8; 20]) -> [f32; 2] {
    [0, 2].map(|place| f16::from_le_bytes([block[place], block[place + 1]]).to_f32())
}

fn encode_q4a(row: &[f32], bytes: &mut [u8]) {
    let count = (bytes.len() - 8) / 18;
    let lines: Vec<Affine> = blocks(row).map(|block| Affine::fit(&block)).collect();
    let step = |of: fn(&Affine) -> f32| lines.iter().map(of).fold(0.0, f32::max) / 255.0;
    let offset_step = step(|line| line.offset);
    let scale_step = step(|line| line.scale).max(offset_step * SMALLEST_STEP);
    // Any step will do for a row of zeros.
    let scale_step = match scale_step >= f32::MIN_POSITIVE {
        true => scale_step,
        false => 1.0,
    };
    bytes[..4].copy_from_slice(&scale_step.to_le_bytes());
    bytes[4..8].copy_from_slice(&offset_step.to_le_bytes());
    let count_steps = |value: f32, step: f32| match step > 0.0 {
        true => (value / step).round().clamp(0.0, 255.0) as u8,
        false => 0,
    };
    for (index, block) in blocks(row).enumerate() {
        let scale = count_steps(lines[index].scale, scale_step);
        let offset = count_steps(lines[index].offset, offset_step);
        bytes[8 + index] = scale;
        bytes[8 + count + index] = offset;
        let kept = Affine {
            scale: scale_step * f32::from(scale),
            offset: offset_step * f32::from(offset),
        };
        let start = 8 + 2 * count + 16 * index;
        set_nibbles(&mut bytes[start..start + 16], |place| {
            kept.round(block[place])
        });
    }
}

fn inverse(scale: f32) -> f32 {
    match scale == 0.0 {
        true => 0.0,
        false => 1.0 / scale,
    }
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
        Format::Q8_0 => halves(34)
            .position(|scale| !scale.is_finite())
            .map(|block| block * BLOCK),
        Format::Q4_0 => halves(18)
            .position(|scale| !scale.is_finite())
            .map(|block| block * BLOCK),
        Format::Q4_1 => bytes
            .as_chunks::<20>()
            .0
            .iter()
            .position(|block| !pair_of_halves(block).iter().all(|half| half.is_finite()))
            .map(|block| block * BLOCK),
        Format::Q4A => {
            let [scale, offset] = Q4ARow::new(bytes).steps();
            let good = scale >= f32::MIN_POSITIVE
                && offset >= 0.0
                && (255.0 * 15.0 * scale).is_finite()
                && (255.0 * offset).is_finite()
                && (offset / scale).is_finite();
            (!good).then_some(0)
        }
    };
    match found {
        Some(column) => Err(unfit(column, f32::NAN)),
        None => Ok(()),
    }
}
