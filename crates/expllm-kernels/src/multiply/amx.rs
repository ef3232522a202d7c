//! Tile registers of bf16 numbers (AMX), for many tokens at once.
//!
//! A tile register holds sixteen lines of 64 bytes, and one instruction adds the product of two of
//! them to a third: sixteen tokens over 32 columns times sixteen rows of weights. A panel of bf16
//! weights over 32 columns is such a tile as it stands. Weights of 8 and 4 bits are unpacked into
//! tiles, one stretch of columns at a time, which costs little when many tokens meet them.
#![allow(unsafe_code)] // Instructions and pointers.

use std::arch::x86_64::*;
use std::cell::RefCell;
use std::ops::Range;

use half::bf16;

use super::avx512::blocks::{self, Q4_0, Q4_1, Q4A, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0, Scales};
use super::registers::{TILE_NUMBERS, TILE_SUMS, TileState, interleaved, multiply_pair};
use super::{Part, Store};
use crate::buffer::Numbers;
use crate::format::{Format, LANES, PanelLayout};
use crate::input::TILE_TOKENS;
use crate::{BLOCK, Input};

/// Panels that one call of the kernel multiplies.
const PANELS: usize = 2;

/// Blocks of columns whose weights stay in the first-level cache (16 KB) while all tokens meet
/// them.
const BLOCKS_AT_A_TIME: usize = 8;

/// Tiles of tokens whose sums are gathered before the next ones. Even.
const TILES_AT_A_TIME: usize = 30;

#[derive(Default)]
struct Scratch {
    sums: Numbers<f32>,
    weights: Numbers<bf16>,
}

thread_local! {
    /// Memory of a thread, which keeps its size from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Multiplies neighbouring panels with an input of tiles.
///
/// # Safety
///
/// The processor has tiles, and the process may use them. The rows of the part may be read and
/// written at `output` for each token, `stride` apart, and no other thread uses them.
pub(super) unsafe fn multiply(
    part: &Part<'_>,
    input: &Input,
    (output, stride): (*mut f32, usize),
    store: Store,
) {
    let blocks = part.layout.blocks;
    let tokens = input.tiles();
    let tiles = input.tokens().div_ceil(TILE_TOKENS);
    assert!(
        tokens.len() == tiles * blocks * TILE_NUMBERS
            && part.panels.len() >= part.count * part.panel_bytes
            && part
                .layout
                .bytes()
                .is_some_and(|bytes| bytes <= part.panel_bytes),
        "tiles that do not fit their matrix"
    );
    // Equal steps, so that the last one is not short.
    let step = blocks.div_ceil(blocks.div_ceil(BLOCKS_AT_A_TIME));
    let groups = part.count.div_ceil(PANELS);
    SCRATCH.with_borrow_mut(|Scratch { sums, weights }| {
        // SAFETY: the promise of the caller; nothing between here and its end uses tiles but the
        // kernel.
        let _tiles = unsafe { TileState::new() };
        for first in (0..tiles).step_by(TILES_AT_A_TIME) {
            let range = first..tiles.min(first + TILES_AT_A_TIME);
            let pairs = range.len().div_ceil(2);
            sums.resize(groups * pairs * 4 * TILE_SUMS);
            for start in (0..blocks).step_by(step) {
                let store = if start == 0 { Store::Set } else { Store::Add };
                let columns = start..blocks.min(start + step);
                for group in 0..groups {
                    // SAFETY: the processor has AVX-512 where it has tiles.
                    let weights = unsafe { stretch(part, group, &columns, weights) };
                    for pair in 0..pairs {
                        let tile = |index: usize| {
                            // A pair without a second tile takes its first one twice.
                            let index = (range.start + index).min(range.end - 1);
                            tokens[(index * blocks + columns.start) * TILE_NUMBERS..].as_ptr()
                        };
                        let tokens = [2 * pair, 2 * pair + 1].map(tile);
                        let place = (group * pairs + pair) * 4 * TILE_SUMS;
                        let sums = &mut sums[place..][..4 * TILE_SUMS];
                        // SAFETY: tokens and weights go on for these columns.
                        unsafe { multiply_pair(tokens, weights, sums, columns.len(), store) };
                    }
                }
            }
            let tokens = range.start * TILE_TOKENS..input.tokens().min(range.end * TILE_TOKENS);
            // SAFETY: the processor has AVX-512 where it has tiles; the promise of the caller.
            unsafe { write(part, tokens, sums, (output, stride), store) };
        }
    });
}

/// Writes the sums of some tokens, those of the first tile first.
///
/// # Safety
///
/// As [`multiply`], and the processor has AVX-512.
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn write(
    part: &Part<'_>,
    tokens: Range<usize>,
    sums: &[f32],
    (output, stride): (*mut f32, usize),
    store: Store,
) {
    let pairs = tokens.len().div_ceil(2 * TILE_TOKENS);
    for token in tokens.clone() {
        let inner = token - tokens.start;
        let (tile, line) = (inner / TILE_TOKENS, inner % TILE_TOKENS);
        for panel in 0..part.count {
            let rows = (part.rows - panel * LANES).min(LANES);
            let pair = panel / PANELS * pairs + tile / 2;
            let place = pair * 4 + tile % 2 * 2 + panel % PANELS;
            let sums = &sums[place * TILE_SUMS + line * LANES..][..rows];
            let to = output.wrapping_add(token * stride + panel * LANES);
            // SAFETY: the promise of the caller.
            let output = unsafe { std::slice::from_raw_parts_mut(to, rows) };
            put(output, sums, store);
        }
    }
}

/// Puts the sums of a line into the output.
#[inline(always)]
fn put(output: &mut [f32], sums: &[f32], store: Store) {
    // Whole lines, which need no loop.
    let line = <&mut [f32; LANES]>::try_from(&mut *output);
    if let (Ok(line), Ok(sums)) = (line, <&[f32; LANES]>::try_from(sums)) {
        match store {
            Store::Set => *line = *sums,
            Store::Add => line.iter_mut().zip(sums).for_each(|(o, s)| *o += s),
        }
        return;
    }
    match store {
        Store::Set => output.copy_from_slice(sums),
        Store::Add => output.iter_mut().zip(sums).for_each(|(o, s)| *o += s),
    }
}

/// The weights of a group of panels over some blocks of columns, as tiles one behind the other. A
/// group of one panel has it twice.
///
/// # Safety
///
/// The processor has AVX-512 with bf16.
unsafe fn stretch(
    part: &Part<'_>,
    group: usize,
    columns: &Range<usize>,
    unpacked: &mut Numbers<bf16>,
) -> [*const bf16; PANELS] {
    let panels = [0, 1].map(|inner| (group * PANELS + inner).min(part.count - 1));
    let panel = |index: usize| &part.panels[index * part.panel_bytes..][..part.panel_bytes];
    if part.layout.format == Format::Bf16 {
        let start = columns.start * PanelLayout::block_bytes(Format::Bf16);
        return panels.map(|index| panel(index)[start..].as_ptr().cast());
    }
    let size = columns.len() * TILE_NUMBERS;
    unpacked.resize(PANELS * size);
    for (index, unpacked) in panels.into_iter().zip(unpacked.chunks_exact_mut(size)) {
        // SAFETY: the promise of the caller.
        unsafe {
            let unpack = match part.layout.format {
                Format::Q8_0 => unpack::<Q8_0>,
                Format::Q4_0 => unpack::<Q4_0>,
                Format::Q4_1 => unpack::<Q4_1>,
                Format::Q5_0 => unpack::<Q5_0>,
                Format::Q5_1 => unpack::<Q5_1>,
                Format::Q4K => unpack::<Q4K>,
                Format::Q5K => unpack::<Q5K>,
                Format::Q6K => unpack::<Q6K>,
                _ => unpack::<Q4A>,
            };
            unpack(part.layout, panel(index), columns, unpacked);
        }
    }
    [0, size].map(|start| unpacked[start..].as_ptr())
}

/// Turns the numbers of a panel into tiles of bf16.
///
/// # Safety
///
/// The processor has AVX-512 with bf16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn unpack<const F: u8>(
    layout: PanelLayout,
    panel: &[u8],
    columns: &Range<usize>,
    tiles: &mut [bf16],
) {
    let format = blocks::format_of(F);
    let block_bytes = PanelLayout::block_bytes(format);
    let middle = _mm512_set1_ps(-blocks::middle(format) as f32);
    let interleaved = interleaved();
    let byte = _mm512_set1_epi32(255);
    assert!(layout.bytes().is_some_and(|bytes| panel.len() >= bytes));
    for (block, tile) in columns.clone().zip(tiles.chunks_exact_mut(TILE_NUMBERS)) {
        let numbers = panel[block * block_bytes..][..block_bytes].as_ptr();
        // SAFETY: the panel has all blocks and scales.
        let line = unsafe { Scales::of::<F>(layout, panel.as_ptr(), block) };
        for (group, pairs) in tile.chunks_exact_mut(4 * LANES).enumerate() {
            // A weight is `scale * number + offset`.
            let scale = line.scales[group / (BLOCK / 8)];
            let offset = match blocks::has_offset(format) {
                true => line.offset,
                false => _mm512_mul_ps(scale, middle),
            };
            // SAFETY: the panel has the block.
            let four = unsafe { blocks::group::<F>(numbers, group) };
            let weight = |number: __m512i| {
                let number = _mm512_cvtepi32_ps(number);
                _mm512_fmadd_ps(number, scale, offset)
            };
            let columns = [
                weight(_mm512_and_si512(four, byte)),
                weight(_mm512_and_si512(_mm512_srli_epi32::<8>(four), byte)),
                weight(_mm512_and_si512(_mm512_srli_epi32::<16>(four), byte)),
                weight(_mm512_srli_epi32::<24>(four)),
            ];
            for (pair, two) in pairs
                .chunks_exact_mut(2 * LANES)
                .zip(columns.as_chunks::<2>().0)
            {
                // SAFETY: `__m512bh` and `__m512i` are the same 64 bytes, which a pair has.
                unsafe {
                    let both = _mm512_cvtne2ps_pbh(two[1], two[0]);
                    let both = std::mem::transmute::<__m512bh, __m512i>(both);
                    let both = _mm512_permutexvar_epi16(interleaved, both);
                    _mm512_storeu_si512(pair.as_mut_ptr().cast(), both);
                }
            }
        }
    }
}
