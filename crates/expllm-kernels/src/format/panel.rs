//! Sixteen rows side by side.
//!
//! Each group of columns that one instruction multiplies (1 of f32 and f16, 2 of bf16, 4 of the
//! quantised formats) of all sixteen rows fills one or half a cache line, so that the sums of
//! sixteen rows grow in the lanes of one register and a number of the activations serves all of
//! them. Behind the numbers of a panel stand its scales.

use half::f16;

use super::row::{Q4ARow, nibble};
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
            Format::Q4_0 | Format::Q4_1 | Format::Q4A => BLOCK * LANES / 2,
        }
    }

    /// Bytes of the scales of one block of columns.
    pub(crate) const fn scale_bytes(format: Format) -> usize {
        match format {
            Format::F32 | Format::F16 | Format::Bf16 => 0,
            Format::Q8_0 | Format::Q4_0 | Format::Q4A => 2 * LANES,
            Format::Q4_1 => 4 * LANES,
        }
    }

    /// Where the scales of a block begin.
    pub(crate) fn scales(self, block: usize) -> usize {
        self.blocks * Self::block_bytes(self.format) + block * Self::scale_bytes(self.format)
    }

    /// Where the steps of [`Format::Q4A`] begin: sixteen for scales, sixteen for offsets.
    pub(crate) fn steps(self) -> usize {
        self.scales(self.blocks).next_multiple_of(LINE)
    }

    /// Bytes of a panel; `None` when they are more than can be addressed.
    pub(crate) fn bytes(self) -> Option<usize> {
        let block = Self::block_bytes(self.format) + Self::scale_bytes(self.format);
        let steps = match self.format {
            Format::Q4A => 8 * LANES,
            _ => 0,
        };
        let scaled = self.blocks.checked_mul(block)?;
        scaled.checked_next_multiple_of(LINE)?.checked_add(steps)
    }

    /// Where a number lies; that of two for 4 bits.
    fn place(self, lane: usize, column: usize) -> usize {
        let (block, inner) = (column / BLOCK, column % BLOCK);
        let start = block * Self::block_bytes(self.format);
        start
            + match self.format {
                Format::F32 => (inner * LANES + lane) * 4,
                Format::F16 => (inner * LANES + lane) * 2,
                Format::Bf16 => (inner / 2 * LANES + lane) * 4 + inner % 2 * 2,
                Format::Q8_0 => (inner / 4 * LANES + lane) * 4 + inner % 4,
                Format::Q4_0 | Format::Q4_1 | Format::Q4A => {
                    (inner / 8 * LANES + lane) * 4 + inner % 4
                }
            }
    }
}

/// Whether a 4-bit number is in the high half of its byte.
fn is_high(column: usize) -> bool {
    column % 8 >= 4
}

/// Puts a row into a lane of a panel. Unused columns hold zeros.
pub(crate) fn place_row(layout: PanelLayout, panel: &mut [u8], lane: usize, row: &[u8]) {
    let columns = layout.blocks * BLOCK;
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
        Format::Q8_0 => {
            for (block, bytes) in row.as_chunks::<34>().0.iter().enumerate() {
                let place = layout.scales(block) + 2 * lane;
                panel[place..place + 2].copy_from_slice(&bytes[..2]);
                for (inner, q) in bytes[2..].iter().enumerate() {
                    // The instruction takes weights without sign.
                    panel[layout.place(lane, block * BLOCK + inner)] = q ^ 0x80;
                }
            }
        }
        Format::Q4_0 => {
            let rows = row.as_chunks::<18>().0;
            for (block, bytes) in rows.iter().enumerate() {
                let place = layout.scales(block) + 2 * lane;
                panel[place..place + 2].copy_from_slice(&bytes[..2]);
            }
            let value = |column: usize| nibble(&rows[column / BLOCK][2..], column % BLOCK);
            place_nibbles(layout, panel, lane, columns, value);
        }
        Format::Q4_1 => {
            let rows = row.as_chunks::<20>().0;
            for (block, bytes) in rows.iter().enumerate() {
                let place = layout.scales(block) + 2 * lane;
                panel[place..place + 2].copy_from_slice(&bytes[..2]);
                let offset = place + 2 * LANES;
                panel[offset..offset + 2].copy_from_slice(&bytes[2..4]);
            }
            let value = |column: usize| nibble(&rows[column / BLOCK][4..], column % BLOCK);
            place_nibbles(layout, panel, lane, columns, value);
        }
        Format::Q4A => {
            let row = Q4ARow::new(row);
            for block in 0..layout.blocks {
                let place = layout.scales(block) + lane;
                panel[place] = row.scale(block);
                panel[place + LANES] = row.offset(block);
            }
            let steps = layout.steps() + 4 * lane;
            let [scale, offset] = row.steps();
            panel[steps..steps + 4].copy_from_slice(&scale.to_le_bytes());
            let offsets = steps + 4 * LANES;
            panel[offsets..offsets + 4].copy_from_slice(&offset.to_le_bytes());
            let value = |column: usize| nibble(row.quants(column / BLOCK), column % BLOCK);
            place_nibbles(layout, panel, lane, columns, value);
        }
    }
}

fn place_nibbles(
    layout: PanelLayout,
    panel: &mut [u8],
    lane: usize,
    columns: usize,
    value: impl Fn(usize) -> u8,
) {
    for column in (0..columns).filter(|&column| !is_high(column)) {
        panel[layout.place(lane, column)] = value(column) | value(column + 4) << 4;
    }
}

/// Reads a row back out of a panel, as it was put there.
pub(crate) fn take_row(layout: PanelLayout, panel: &[u8], lane: usize, row: &mut [u8]) {
    let quant = |column: usize| {
        let byte = panel[layout.place(lane, column)];
        match layout.format {
            Format::Q8_0 => byte ^ 0x80,
            _ if is_high(column) => byte >> 4,
            _ => byte & 15,
        }
    };
    let pair = |block: usize, place: usize| {
        let first = block * BLOCK + place;
        quant(first) | quant(first + BLOCK / 2) << 4
    };
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
        Format::Q8_0 | Format::Q4_0 => {
            let bytes = 2 + LANES * PanelLayout::block_bytes(layout.format) / 256;
            for (block, bytes) in row.chunks_exact_mut(bytes).enumerate() {
                let place = layout.scales(block) + 2 * lane;
                bytes[..2].copy_from_slice(&panel[place..place + 2]);
                for (inner, byte) in bytes[2..].iter_mut().enumerate() {
                    *byte = match layout.format {
                        Format::Q8_0 => quant(block * BLOCK + inner),
                        _ => pair(block, inner),
                    };
                }
            }
        }
        Format::Q4_1 => {
            for (block, bytes) in row.as_chunks_mut::<20>().0.iter_mut().enumerate() {
                let place = layout.scales(block) + 2 * lane;
                bytes[..2].copy_from_slice(&panel[place..place + 2]);
                let offset = place + 2 * LANES;
                bytes[2..4].copy_from_slice(&panel[offset..offset + 2]);
                for (inner, byte) in bytes[4..].iter_mut().enumerate() {
                    *byte = pair(block, inner);
                }
            }
        }
        Format::Q4A => {
            let blocks = layout.blocks;
            let steps = layout.steps() + 4 * lane;
            row[..4].copy_from_slice(&panel[steps..steps + 4]);
            row[4..8].copy_from_slice(&panel[steps + 4 * LANES..steps + 4 * LANES + 4]);
            for block in 0..blocks {
                let place = layout.scales(block) + lane;
                row[8 + block] = panel[place];
                row[8 + blocks + block] = panel[place + LANES];
                for inner in 0..16 {
                    row[8 + 2 * blocks + 16 * block + inner] = pair(block, inner);
                }
            }
        }
    }
}

/// The f16 scale of a lane, for the portable kernels.
pub(crate) fn half_scale(scales: &[u8], lane: usize) -> f32 {
    f16::from_le_bytes([scales[2 * lane], scales[2 * lane + 1]]).to_f32()
}
