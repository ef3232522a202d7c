//! Plain Rust, which the other kernels are held against.
#![allow(unsafe_code)] // The output is shared among threads, so it comes as a pointer.

use half::{bf16, f16};

use super::tile::{Kernel, Tile, by_tokens};
use crate::BLOCK;
use crate::format::{Format, LANES, Line, take_block};
use crate::input::{InputKind, TileInput};

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
        for (token, sums) in sums.iter_mut().enumerate() {
            let meta = metas[block * T + token];
            let dots = dots(tile, block, |group| {
                let place = (block * 8 + group) * 4 * T + token * 4;
                [0, 1, 2, 3].map(|inner| i32::from(input[place + inner]))
            });
            for (lane, sum) in sums.iter_mut().enumerate() {
                let line = Line::in_panel(tile.layout, tile.panels, block, lane);
                let halves = dots[lane].iter().zip(meta.minus_8_sums);
                for ((dot, minus_8), scale) in halves.zip(line.scales) {
                    let dot = (dot + i32::from(line.middle / 8) * minus_8) as f32;
                    *sum += dot * (scale * meta.scale);
                }
                *sum += line.offset * meta.weighted_sum;
            }
        }
    }
    // SAFETY: the contract of kernels.
    unsafe { store(tile, &sums) };
}

/// Products of the integers of either half of one block for sixteen rows, as they are stored.
fn dots(tile: &Tile<'_>, block: usize, input: impl Fn(usize) -> [i32; 4]) -> [[i32; 2]; LANES] {
    let format = tile.layout.format;
    let block = &tile.panels[tile.layout.block(block)];
    std::array::from_fn(|lane| {
        let weights = take_block(format, block, lane);
        let mut dots = [0; 2];
        for (group, four) in weights.as_chunks::<4>().0.iter().enumerate() {
            for (weight, number) in four.iter().zip(input(group)) {
                dots[group / 4] += i32::from(*weight) * number;
            }
        }
        dots
    })
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
