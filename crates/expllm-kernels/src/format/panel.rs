//! Sixteen rows side by side.
//!
//! Each group of columns that one instruction multiplies (1 of f32 and f16, 2 of bf16, 4 of the
//! quantised formats) of all sixteen rows fills one or half a cache line, so that the sums of
//! sixteen rows grow in the lanes of one register and a number of the activations serves all of
//! them. Behind the numbers of a panel stand its scales.

use half::{bf16, f16};

use super::blocks::{
    Line, SHARED, block_of, half, quants, set_nibbles, set_quants, set_six_bits, six_bits,
    six_scale, stored_bytes, stored_nibbles, stored_together,
};
use super::row::Q4ARow;
use super::{BLOCK, Format, LANES};
use crate::buffer::LINE;

/// Where things lie in the panels of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PanelLayout {
    pub(crate) format: Format,
    /// Blocks of 32 columns, the last one filled up with zeros.
    pub(crate) blocks: usize,
}

impl PanelLayout {
    pub(crate) fn new(format: Format, columns: usize) -> Self {
        Self {
            format,
            blocks: columns.div_ceil(BLOCK),
        }
    }

    /// Bytes of the numbers of one block of columns.
    pub(crate) const fn block_bytes(format: Format) -> usize {
        match format {
            Format::F32 => 4 * BLOCK * LANES,
            Format::F16 | Format::Bf16 => 2 * BLOCK * LANES,
            Format::Q8_0 => BLOCK * LANES,
            _ => BLOCK * LANES / 2 * (4 + Self::planes(format)) / 4,
        }
    }

    /// Bits of a number beyond the lowest four. Each is a plane of 64 bytes behind the halves of
    /// bytes: a bit for each number of sixteen rows in four columns, then the next four columns.
    pub(crate) const fn planes(format: Format) -> usize {
        match format {
            Format::Q5_0 | Format::Q5_1 | Format::Q5K => 1,
            Format::Q6K => 2,
            _ => 0,
        }
    }

    /// Bytes of the scales of one block of columns.
    pub(crate) const fn scale_bytes(format: Format) -> usize {
        match format {
            Format::F32 | Format::F16 | Format::Bf16 => 0,
            Format::Q4_1 | Format::Q5_1 => 4 * LANES,
            _ => 2 * LANES,
        }
    }

    /// Where the scales of a block begin.
    pub(crate) fn scales(self, block: usize) -> usize {
        self.blocks * Self::block_bytes(self.format) + block * Self::scale_bytes(self.format)
    }

    /// Bytes of the steps that eight blocks share.
    pub(crate) const fn step_bytes(format: Format) -> usize {
        match format {
            Format::Q4K | Format::Q5K => 4 * LANES,
            Format::Q6K => 2 * LANES,
            _ => 0,
        }
    }

    /// Where the steps begin: those of [`Format::Q4A`], sixteen for scales and sixteen for offsets,
    /// or of each eight blocks sixteen for scales and, where there are offsets, as many for these.
    pub(crate) fn steps(self) -> usize {
        self.scales(self.blocks).next_multiple_of(LINE)
    }

    /// Where the steps of a block begin that it shares with others.
    pub(crate) fn shared_steps(self, block: usize) -> usize {
        self.steps() + block / SHARED * Self::step_bytes(self.format)
    }

    /// Bytes of a panel; `None` when they are more than can be addressed.
    pub(crate) fn bytes(self) -> Option<usize> {
        let block = Self::block_bytes(self.format) + Self::scale_bytes(self.format);
        let steps = match self.format {
            Format::Q4A => 8 * LANES,
            format => self.blocks.div_ceil(SHARED) * Self::step_bytes(format),
        };
        let scaled = self.blocks.checked_mul(block)?;
        let steps = steps.next_multiple_of(LINE);
        scaled.checked_next_multiple_of(LINE)?.checked_add(steps)
    }

    /// Where a number lies in the formats without blocks.
    fn place(self, lane: usize, column: usize) -> usize {
        match self.format {
            Format::F32 => (column * LANES + lane) * 4,
            Format::F16 => (column * LANES + lane) * 2,
            _ => (column / 2 * LANES + lane) * 4 + column % 2 * 2,
        }
    }

    /// Where the numbers of a block lie.
    pub(crate) fn block(self, index: usize) -> std::ops::Range<usize> {
        let bytes = Self::block_bytes(self.format);
        index * bytes..(index + 1) * bytes
    }
}

/// Puts a row into a lane of a panel. Unused columns hold zeros.
pub(crate) fn place_row(layout: PanelLayout, panel: &mut [u8], lane: usize, row: &[u8]) {
    match layout.format {
        Format::F32 => {
            for (column, number) in row.as_chunks::<4>().0.iter().enumerate() {
                let place = layout.place(lane, column);
                panel[place..place + 4].copy_from_slice(number);
            }
        }
        Format::F16 | Format::Bf16 => {
            for (column, number) in row.as_chunks::<2>().0.iter().enumerate() {
                let place = layout.place(lane, column);
                panel[place..place + 2].copy_from_slice(number);
            }
        }
        format => {
            for block in 0..layout.blocks {
                let panel = &mut panel[layout.block(block)];
                match stored_nibbles(format, row, block) {
                    Some(bytes) => place_nibbles(panel, lane, bytes),
                    None => place_block(format, panel, lane, &quants(format, row, block)),
                }
            }
            let panel = &mut |place: usize, bytes: &[u8]| {
                panel[place..place + bytes.len()].copy_from_slice(bytes);
            };
            place_scales(layout, panel, lane, row);
        }
    }
}

/// The four bytes of a lane begin here, in eight columns of 4 bits or four of 8.
fn lane_bytes(group: usize, lane: usize) -> std::ops::Range<usize> {
    let start = (group * LANES + lane) * 4;
    start..start + 4
}

/// Where the bits of four numbers of a lane lie in a plane, and how far up.
fn bits_of(plane: usize, group: usize, lane: usize) -> (usize, usize) {
    let place = BLOCK * LANES / 2 + plane * BLOCK * LANES / 8 + group * LANES / 2;
    (place + lane / 2, lane % 2 * 4)
}

/// Puts the numbers of a block into a lane, four of them at a time, as they stand in a row: a model
/// has a billion of them to load.
fn place_nibbles(block: &mut [u8], lane: usize, bytes: &[u8; BLOCK / 2]) {
    const LOW: u32 = 0x0f0f_0f0f;
    let words = bytes.as_chunks::<4>().0;
    for (index, pair) in words.as_chunks::<2>().0.iter().enumerate() {
        let [even, odd] = pair.map(u32::from_le_bytes);
        let eights = [even & LOW | (odd & LOW) << 4, even >> 4 & LOW | odd & !LOW];
        for (half, eight) in eights.into_iter().enumerate() {
            let group = lane_bytes(2 * half + index, lane);
            block[group].copy_from_slice(&eight.to_le_bytes());
        }
    }
}

/// Puts the numbers of a block into a lane.
fn place_block(format: Format, block: &mut [u8], lane: usize, numbers: &[u8; BLOCK]) {
    if format == Format::Q8_0 {
        for (group, four) in numbers.as_chunks::<4>().0.iter().enumerate() {
            block[lane_bytes(group, lane)].copy_from_slice(four);
        }
        return;
    }
    for (group, eight) in numbers.as_chunks::<8>().0.iter().enumerate() {
        // Four columns are in the low halves of the bytes, the next four in the high ones.
        let eight = u64::from_le_bytes(*eight) & 0x0f0f_0f0f_0f0f_0f0f;
        let four = eight as u32 | ((eight >> 32) as u32) << 4;
        block[lane_bytes(group, lane)].copy_from_slice(&four.to_le_bytes());
    }
    for plane in 0..PanelLayout::planes(format) {
        for (group, four) in numbers.as_chunks::<4>().0.iter().enumerate() {
            let bit = |inner: usize| (four[inner] >> (4 + plane) & 1) << inner;
            let bits = bit(0) | bit(1) | bit(2) | bit(3);
            let (place, shift) = bits_of(plane, group, lane);
            block[place] = block[place] & !(15 << shift) | bits << shift;
        }
    }
}

/// The numbers of a block of a lane.
pub(crate) fn take_block(format: Format, block: &[u8], lane: usize) -> [u8; BLOCK] {
    let mut numbers = [0; BLOCK];
    for (group, four) in numbers.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        if format == Format::Q8_0 {
            four.copy_from_slice(&block[lane_bytes(group, lane)]);
            continue;
        }
        let bytes = &block[lane_bytes(group / 2, lane)];
        for (inner, (number, byte)) in four.iter_mut().zip(bytes).enumerate() {
            *number = byte >> (group % 2 * 4) & 15;
            for plane in 0..PanelLayout::planes(format) {
                let (place, shift) = bits_of(plane, group, lane);
                *number |= (block[place] >> shift >> inner & 1) << (4 + plane);
            }
        }
    }
    numbers
}

impl Line {
    /// That of a block of a lane.
    pub(crate) fn in_panel(layout: PanelLayout, panel: &[u8], block: usize, lane: usize) -> Self {
        let scales = &panel[layout.scales(block)..];
        let steps = &panel[layout.shared_steps(block).min(panel.len())..];
        let even = |scale, middle, offset| Self {
            scales: [scale; 2],
            middle,
            offset,
        };
        let bytes = [scales[lane], scales[LANES + lane]];
        match layout.format {
            Format::Q8_0 => even(half(scales, 2 * lane), 128, 0.0),
            Format::Q4_0 => even(half(scales, 2 * lane), 8, 0.0),
            Format::Q5_0 => even(half(scales, 2 * lane), 16, 0.0),
            Format::Q4_1 | Format::Q5_1 => {
                let offset = half(scales, 2 * LANES + 2 * lane);
                even(half(scales, 2 * lane), 0, offset)
            }
            Format::Q6K => Self {
                scales: bytes.map(|byte| half(steps, 2 * lane) * f32::from(byte.cast_signed())),
                middle: 32,
                offset: 0.0,
            },
            Format::Q4K | Format::Q5K => {
                let [scale, offset] = bytes.map(f32::from);
                let step = half(steps, 2 * LANES + 2 * lane);
                even(half(steps, 2 * lane) * scale, 0, -(step * offset))
            }
            _ => {
                let step = |index: usize| {
                    let four = steps[4 * index..].first_chunk().copied();
                    f32::from_le_bytes(four.unwrap_or_default())
                };
                let [scale, offset] = bytes.map(f32::from);
                even(step(lane) * scale, 0, -(step(LANES + lane) * offset))
            }
        }
    }
}

/// Puts what numbers share, of all blocks of a row, into a lane.
fn place_scales(layout: PanelLayout, put: &mut impl FnMut(usize, &[u8]), lane: usize, row: &[u8]) {
    let format = layout.format;
    if format == Format::Q4A {
        let steps = layout.steps() + 4 * lane;
        put(steps, &row[..4]);
        put(steps + 4 * LANES, &row[4..8]);
    }
    for block in 0..layout.blocks {
        let bytes = block_of(format, row, block);
        let (scales, steps) = (layout.scales(block), layout.shared_steps(block) + 2 * lane);
        match format {
            Format::Q4A => {
                let row = Q4ARow::new(row);
                put(scales + lane, &[row.scale(block)]);
                put(scales + LANES + lane, &[row.offset(block)]);
            }
            Format::Q4K | Format::Q5K => {
                let [scale, offset] = six_bits(&bytes[4..16], block % SHARED);
                put(scales + lane, &[scale]);
                put(scales + LANES + lane, &[offset]);
                put(steps, &bytes[..2]);
                put(steps + 2 * LANES, &bytes[2..4]);
            }
            Format::Q6K => {
                let start = six_scale(block);
                put(scales + lane, &bytes[start..=start]);
                put(scales + LANES + lane, &bytes[start + 1..start + 2]);
                put(steps, &bytes[208..]);
            }
            _ => {
                put(scales + 2 * lane, &bytes[..2]);
                if PanelLayout::scale_bytes(format) > 2 * LANES {
                    put(scales + 2 * LANES + 2 * lane, &bytes[2..4]);
                }
            }
        }
    }
}

/// The numbers of a row of a panel.
pub(crate) fn read_row(layout: PanelLayout, panel: &[u8], lane: usize, row: &mut [f32]) {
    let number = |column: usize| {
        let place = layout.place(lane, column);
        [panel[place], panel[place + 1]]
    };
    match layout.format {
        Format::F32 => {
            for (column, weight) in row.iter_mut().enumerate() {
                let four = panel[layout.place(lane, column)..].first_chunk().copied();
                *weight = f32::from_le_bytes(four.unwrap_or_default());
            }
        }
        Format::F16 => {
            for (column, weight) in row.iter_mut().enumerate() {
                *weight = f16::from_le_bytes(number(column)).to_f32();
            }
        }
        Format::Bf16 => {
            for (column, weight) in row.iter_mut().enumerate() {
                *weight = bf16::from_le_bytes(number(column)).to_f32();
            }
        }
        format => {
            for (block, weights) in row.chunks_mut(BLOCK).enumerate() {
                let numbers = take_block(format, &panel[layout.block(block)], lane);
                Line::in_panel(layout, panel, block, lane).write(numbers, weights);
            }
        }
    }
}

/// Reads a row back out of a panel, as it was put there.
pub(crate) fn take_row(layout: PanelLayout, panel: &[u8], lane: usize, row: &mut [u8]) {
    match layout.format {
        Format::F32 => {
            for (column, number) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let place = layout.place(lane, column);
                number.copy_from_slice(&panel[place..place + 4]);
            }
        }
        Format::F16 | Format::Bf16 => {
            for (column, number) in row.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let place = layout.place(lane, column);
                number.copy_from_slice(&panel[place..place + 2]);
            }
        }
        format => {
            row.fill(0);
            for block in 0..layout.blocks {
                let numbers = take_block(format, &panel[layout.block(block)], lane);
                match format {
                    Format::Q4A => {
                        let start = 8 + 2 * layout.blocks + BLOCK / 2 * block;
                        set_nibbles(&mut row[start..start + BLOCK / 2], &numbers);
                    }
                    _ => set_quants(format, row, block, &numbers),
                }
            }
            take_scales(layout, panel, lane, row);
        }
    }
}

fn take_scales(layout: PanelLayout, panel: &[u8], lane: usize, row: &mut [u8]) {
    let format = layout.format;
    if format == Format::Q4A {
        let steps = layout.steps() + 4 * lane;
        row[..4].copy_from_slice(&panel[steps..steps + 4]);
        row[4..8].copy_from_slice(&panel[steps + 4 * LANES..][..4]);
    }
    for block in 0..layout.blocks {
        let (scales, steps) = (layout.scales(block), layout.shared_steps(block) + 2 * lane);
        let start = block / stored_together(format) * stored_bytes(format);
        let pair = [panel[scales + lane], panel[scales + LANES + lane]];
        match format {
            Format::Q4A => {
                row[8 + block] = pair[0];
                row[8 + layout.blocks + block] = pair[1];
            }
            Format::Q4K | Format::Q5K => {
                let bytes = &mut row[start..];
                set_six_bits(&mut bytes[4..16], block % SHARED, pair);
                bytes[..2].copy_from_slice(&panel[steps..steps + 2]);
                bytes[2..4].copy_from_slice(&panel[steps + 2 * LANES..][..2]);
            }
            Format::Q6K => {
                let bytes = &mut row[start..];
                bytes[six_scale(block)..][..2].copy_from_slice(&pair);
                bytes[208..210].copy_from_slice(&panel[steps..steps + 2]);
            }
            _ => {
                for place in 0..PanelLayout::scale_bytes(format) / (2 * LANES) {
                    let half = &panel[scales + 2 * LANES * place + 2 * lane..][..2];
                    row[start + 2 * place..][..2].copy_from_slice(half);
                }
            }
        }
    }
}

/// The f16 scale of a lane.
#[cfg(target_arch = "aarch64")]
pub(crate) fn half_scale(scales: &[u8], lane: usize) -> f32 {
    half(scales, 2 * lane)
}
