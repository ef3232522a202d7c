//! Plain Rust, which the other kernels are held against.
#![allow(unsafe_code)] // The output is shared among threads, so it comes as a pointer.

use half::{bf16, f16};

use super::tile::{Kernel, Tile, by_tokens};
use crate::BLOCK;
use crate::format::{Format, LANES, PanelLayout, half_scale};
use crate::input::{BlockMeta, InputKind, TileInput};

pub(super) const PANELS: usize = 1;

pub(super) fn kernel(_format: Format, kind: InputKind, tokens: usize) -> Option<Kernel> {
    match kind {
        InputKind::Q8 => by_tokens!(tokens, quantised, [], 1 2 3 4),
        _ => by_tokens!(tokens, floating, [], 1 2 3 4),
    }
}

/// The weights of sixteen rows in one column.
fn column(format: Format, panel: &[u8], column: usize) -> [f32; LANES] {
    let mut weights = [0.0; LANES];
    let place = |width: usize| &panel[column * LANES * width..][..LANES * width];
    match format {
        Format::F32 => {
            for (weight, bytes) in weights.iter_mut().zip(place(4).as_chunks().0) {
                *weight = f32::from_le_bytes(*bytes);
            }
        }
        Format::F16 => {
            for (weight, bytes) in weights.iter_mut().zip(place(2).as_chunks().0) {
                *weight = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        _ => {
            let pairs = &panel[column / 2 * 4 * LANES..][..4 * LANES];
            for (weight, pair) in weights.iter_mut().zip(pairs.as_chunks::<4>().0) {
                let bytes = [pair[column % 2 * 2], pair[column % 2 * 2 + 1]];
                *weight = bf16::from_le_bytes(bytes).to_f32();
            }
        }
    }
    weights
}

unsafe fn floating<const T: usize>(tile: &Tile<'_>) {
    let mut sums = [[0.0_f32; LANES]; T];
    let TileInput::F32(input) = tile.input else {
        return;
    };
    for index in tile.blocks.start * BLOCK..tile.blocks.end * BLOCK {
        let weights = column(tile.layout.format, tile.panels, index);
        for (token, sums) in sums.iter_mut().enumerate() {
            let number = input[index * T + token];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += weight * number;
            }
        }
    }
    // SAFETY: the contract of kernels.
    unsafe { store(tile, &sums) };
}

unsafe fn quantised<const T: usize>(tile: &Tile<'_>) {
    let mut sums = [[0.0_f32; LANES]; T];
    let TileInput::Q8(input, metas) = tile.input else {
        return;
    };
    for block in tile.blocks.clone() {
        let line = Line::of(tile, block);
        for (token, sums) in sums.iter_mut().enumerate() {
            let meta = metas[block * T + token];
            let dots = dots(tile, block, |group| {
                let place = (block * 8 + group) * 4 * T + token * 4;
                [0, 1, 2, 3].map(|inner| i32::from(input[place + inner]))
            });
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum += line.product(lane, dots[lane], meta);
            }
        }
    }
    if tile.layout.format == Format::Q4A {
        let steps = &tile.panels[tile.layout.steps()..];
        for sums in &mut sums {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum *= step(steps, lane);
            }
        }
    }
    // SAFETY: the contract of kernels.
    unsafe { store(tile, &sums) };
}

/// Products of the integers of one block for sixteen rows, as they are stored.
fn dots(tile: &Tile<'_>, block: usize, input: impl Fn(usize) -> [i32; 4]) -> [i32; LANES] {
    let format = tile.layout.format;
    let bytes = &tile.panels[block * PanelLayout::block_bytes(format)..];
    let mut dots = [0_i32; LANES];
    for group in 0..BLOCK / 4 {
        let numbers = input(group);
        let (start, shift, mask) = match format {
            Format::Q8_0 => (group * 4 * LANES, 0, 0xff),
            _ => (group / 2 * 4 * LANES, group % 2 * 4, 15),
        };
        let weights = bytes[start..start + 4 * LANES].as_chunks::<4>().0;
        for (dot, weights) in dots.iter_mut().zip(weights) {
            for (weight, number) in weights.iter().zip(numbers) {
                *dot += i32::from((weight >> shift) & mask) * number;
            }
        }
    }
    dots
}

/// Scales of one block of sixteen rows.
struct Line<'a> {
    format: Format,
    scales: &'a [u8],
    steps: &'a [u8],
}

impl<'a> Line<'a> {
    fn of(tile: &Tile<'a>, block: usize) -> Self {
        Self {
            format: tile.layout.format,
            scales: &tile.panels[tile.layout.scales(block)..],
            steps: &tile.panels[tile.layout.steps().min(tile.panels.len())..],
        }
    }

    fn product(&self, lane: usize, dot: i32, meta: BlockMeta) -> f32 {
        match self.format {
            Format::Q8_0 => {
                let scale = half_scale(self.scales, lane) * meta.scale;
                (dot + meta.minus_128_sums) as f32 * scale
            }
            Format::Q4_0 => {
                let scale = half_scale(self.scales, lane) * meta.scale;
                (dot + meta.minus_8_sums) as f32 * scale
            }
            Format::Q4_1 => {
                let scale = half_scale(self.scales, lane) * meta.scale;
                let offset = half_scale(&self.scales[2 * LANES..], lane);
                dot as f32 * scale + offset * meta.weighted_sum
            }
            _ => {
                let scale = f32::from(self.scales[lane]) * meta.scale;
                let ratio =
                    step(self.steps, LANES + lane) / step(self.steps, lane).max(f32::MIN_POSITIVE);
                let offset = f32::from(self.scales[LANES + lane]) * ratio;
                dot as f32 * scale - offset * meta.weighted_sum
            }
        }
    }
}

fn step(steps: &[u8], index: usize) -> f32 {
    let bytes = &steps[4 * index..4 * index + 4];
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Writes the sums of one panel.
///
/// # Safety
///
/// The contract of [`Kernel`].
pub(super) unsafe fn store<const T: usize>(tile: &Tile<'_>, sums: &[[f32; LANES]; T]) {
    for (token, sums) in sums.iter().enumerate() {
        // SAFETY: the caller may write `rows` numbers for each token.
        let output = unsafe {
            let start = tile.output.add(token * tile.stride);
            std::slice::from_raw_parts_mut(start, tile.rows)
        };
        for (output, sum) in output.iter_mut().zip(sums) {
            *output = if tile.add { *output + sum } else { *sum };
        }
    }
}
