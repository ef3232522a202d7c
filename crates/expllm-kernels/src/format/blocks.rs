//! What a block of 32 numbers holds in a row of a file, for all formats whose numbers share scales.
//!
//! All but [`Format::Q4A`], which is this project's own, are those of `ggml-common.h` in ggml (MIT).

use half::f16;

use super::row::Q4ARow;
use super::{BLOCK, Format};

/// Blocks that share steps of their scales in formats of 256 numbers.
pub(crate) const SHARED: usize = 8;

/// How the numbers of a block become weights: `scale * (number - middle) + offset`, with a scale for
/// either half of the block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    pub(crate) scales: [f32; 2],
    pub(crate) middle: u8,
    pub(crate) offset: f32,
}

impl Line {
    /// That of a block of a row.
    pub(super) fn of(format: Format, row: &[u8], block: usize) -> Self {
        let bytes = block_of(format, row, block);
        let even = |scale, middle, offset| Self {
            scales: [scale; 2],
            middle,
            offset,
        };
        match format {
            Format::Q8_0 => even(half(bytes, 0), 128, 0.0),
            Format::Q4_0 => even(half(bytes, 0), 8, 0.0),
            Format::Q5_0 => even(half(bytes, 0), 16, 0.0),
            Format::Q4_1 | Format::Q5_1 => even(half(bytes, 0), 0, half(bytes, 2)),
            Format::Q4K | Format::Q5K => {
                let [scale, offset] = six_bits(&bytes[4..16], block % SHARED).map(f32::from);
                even(half(bytes, 0) * scale, 0, -(half(bytes, 2) * offset))
            }
            Format::Q6K => {
                let scale = |inner: usize| f32::from(bytes[six_scale(block) + inner].cast_signed());
                Self {
                    scales: [0, 1].map(|inner| half(bytes, 208) * scale(inner)),
                    middle: 32,
                    offset: 0.0,
                }
            }
            _ => {
                let (scale, offset) = Q4ARow::new(row).line(block);
                even(scale, 0, -offset)
            }
        }
    }

    /// Writes the weights of a block, or those of its columns that a row has.
    pub(super) fn write(&self, numbers: [u8; BLOCK], weights: &mut [f32]) {
        for (place, (weight, number)) in weights.iter_mut().zip(numbers).enumerate() {
            *weight = self.weight(place, number);
        }
    }

    /// A weight of a block.
    fn weight(&self, place: usize, number: u8) -> f32 {
        let number = f32::from(number) - f32::from(self.middle);
        self.scales[place / (BLOCK / 2)] * number + self.offset
    }
}

/// Bytes of a block of a file, or of the eight that share steps; 0 for [`Format::Q4A`], whose
/// numbers and scales lie apart.
pub(super) fn stored_bytes(format: Format) -> usize {
    match format {
        Format::Q8_0 => 34,
        Format::Q4_0 => 18,
        Format::Q4_1 => 20,
        Format::Q5_0 => 22,
        Format::Q5_1 => 24,
        Format::Q4K => 144,
        Format::Q5K => 176,
        Format::Q6K => 210,
        _ => 0,
    }
}

/// Blocks of 32 that are stored as one.
pub(super) fn stored_together(format: Format) -> usize {
    match format {
        Format::Q4K | Format::Q5K | Format::Q6K => SHARED,
        _ => 1,
    }
}

/// The bytes that hold a block.
pub(super) fn block_of(format: Format, row: &[u8], block: usize) -> &[u8] {
    let bytes = stored_bytes(format);
    let start = block / stored_together(format) * bytes;
    &row[start..start + bytes]
}

fn block_of_mut(format: Format, row: &mut [u8], block: usize) -> &mut [u8] {
    let bytes = stored_bytes(format);
    let start = block / stored_together(format) * bytes;
    &mut row[start..start + bytes]
}

/// The f16 number at a place.
pub(super) fn half(bytes: &[u8], place: usize) -> f32 {
    f16::from_le_bytes([bytes[place], bytes[place + 1]]).to_f32()
}

/// Where the scales of a block begin in the 210 bytes of [`Format::Q6K`].
pub(super) fn six_scale(block: usize) -> usize {
    192 + block % SHARED * 2
}

/// Scale and offset number `index` of eight, which twelve bytes hold with 6 bits each.
pub(super) fn six_bits(packed: &[u8], index: usize) -> [u8; 2] {
    match index < 4 {
        true => [packed[index] & 63, packed[index + 4] & 63],
        false => [
            packed[index + 4] & 15 | packed[index - 4] >> 6 << 4,
            packed[index + 4] >> 4 | packed[index] >> 6 << 4,
        ],
    }
}

/// Writes them, where there are zeros.
pub(super) fn set_six_bits(packed: &mut [u8], index: usize, [scale, offset]: [u8; 2]) {
    if index < 4 {
        packed[index] |= scale;
        packed[index + 4] |= offset;
    } else {
        packed[index + 4] |= scale & 15 | offset << 4;
        packed[index - 4] |= scale >> 4 << 6;
        packed[index] |= offset >> 4 << 6;
    }
}

/// Numbers of 4 bits: the first half is in the low halves of the bytes.
fn nibbles(bytes: &[u8]) -> [u8; BLOCK] {
    let mut numbers = [0; BLOCK];
    let (low, high) = numbers.split_at_mut(BLOCK / 2);
    for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
        (*low, *high) = (byte & 15, byte >> 4);
    }
    numbers
}

/// The bytes of a block that are two numbers of 4 bits each, those of its first half in the low
/// halves; `None` where numbers have more bits or stand in another order.
pub(super) fn stored_nibbles(format: Format, row: &[u8], block: usize) -> Option<&[u8; BLOCK / 2]> {
    match format {
        Format::Q4_0 => block_of(format, row, block)[2..].first_chunk(),
        Format::Q4_1 => block_of(format, row, block)[4..].first_chunk(),
        Format::Q4A => Q4ARow::new(row).quants(block).first_chunk(),
        _ => None,
    }
}

/// The numbers of a block, from zero on.
pub(super) fn quants(format: Format, row: &[u8], block: usize) -> [u8; BLOCK] {
    let bytes = block_of(format, row, block);
    let with_bits = |bits: &[u8], quants: &[u8]| {
        let mut numbers = nibbles(quants);
        for (place, number) in numbers.iter_mut().enumerate() {
            *number |= (bits[place / 8] >> (place % 8) & 1) << 4;
        }
        numbers
    };
    let inner = block % SHARED;
    match format {
        Format::Q8_0 => std::array::from_fn(|place| bytes[2 + place] ^ 0x80),
        Format::Q4_0 => nibbles(&bytes[2..]),
        Format::Q4_1 => nibbles(&bytes[4..]),
        Format::Q5_0 => with_bits(&bytes[2..6], &bytes[6..]),
        Format::Q5_1 => with_bits(&bytes[4..8], &bytes[8..]),
        Format::Q4K | Format::Q5K => {
            // Two blocks share 32 bytes, and all eight those of the highest bits.
            let start = if format == Format::Q4K { 16 } else { 48 };
            let low = &bytes[start + inner / 2 * BLOCK..][..BLOCK];
            let shift = inner % 2 * 4;
            let high = if format == Format::Q4K { 0 } else { 1 };
            std::array::from_fn(|place| {
                (low[place] >> shift & 15) | (bytes[16 + place] >> inner & high) << 4
            })
        }
        Format::Q6K => {
            let (low, high, [shift, pair]) = six_places(inner);
            let (low, high) = (&bytes[low..][..BLOCK], &bytes[high..][..BLOCK]);
            std::array::from_fn(|place| (low[place] >> shift & 15) | (high[place] >> pair & 3) << 4)
        }
        _ => nibbles(Q4ARow::new(row).quants(block)),
    }
}

/// Where the low and the high bits of a block of [`Format::Q6K`] begin, and how far up they stand.
fn six_places(inner: usize) -> (usize, usize, [usize; 2]) {
    let (part, stretch) = (inner / 4, inner % 4);
    let low = 64 * part + stretch % 2 * BLOCK;
    (low, 128 + BLOCK * part, [stretch / 2 * 4, stretch * 2])
}

/// Writes the numbers of a block, where there are zeros; not those of [`Format::Q4A`].
pub(super) fn set_quants(format: Format, row: &mut [u8], block: usize, numbers: &[u8; BLOCK]) {
    let bytes = block_of_mut(format, row, block);
    let set_bits = |bits: &mut [u8]| {
        for (place, number) in numbers.iter().enumerate() {
            bits[place / 8] |= (number >> 4) << (place % 8);
        }
    };
    let inner = block % SHARED;
    match format {
        Format::Q8_0 => {
            for (byte, number) in bytes[2..].iter_mut().zip(numbers) {
                *byte = number ^ 0x80;
            }
        }
        Format::Q4_0 => set_nibbles(&mut bytes[2..], numbers),
        Format::Q4_1 => set_nibbles(&mut bytes[4..], numbers),
        Format::Q5_0 => {
            set_bits(&mut bytes[2..6]);
            set_nibbles(&mut bytes[6..], numbers);
        }
        Format::Q5_1 => {
            set_bits(&mut bytes[4..8]);
            set_nibbles(&mut bytes[8..], numbers);
        }
        Format::Q6K => {
            let (low, high, [shift, pair]) = six_places(inner);
            for (place, number) in numbers.iter().enumerate() {
                bytes[low + place] |= (number & 15) << shift;
                bytes[high + place] |= (number >> 4) << pair;
            }
        }
        _ => {
            let start = if format == Format::Q4K { 16 } else { 48 };
            for (place, number) in numbers.iter().enumerate() {
                bytes[start + inner / 2 * BLOCK + place] |= (number & 15) << (inner % 2 * 4);
                if format == Format::Q5K {
                    bytes[16 + place] |= (number >> 4) << inner;
                }
            }
        }
    }
}

/// Writes numbers of 4 bits, or the lowest 4 bits of numbers.
pub(super) fn set_nibbles(bytes: &mut [u8], numbers: &[u8; BLOCK]) {
    let (low, high) = numbers.split_at(BLOCK / 2);
    for ((byte, low), high) in bytes.iter_mut().zip(low).zip(high) {
        *byte = low & 15 | high << 4;
    }
}
