//! Tile registers of bf16 numbers (AMX), for many tokens at once.
//!
//! A tile register holds sixteen lines of 64 bytes, and one instruction adds the product of two of
//! them to a third: sixteen tokens over 32 columns times sixteen rows of weights. A panel of bf16
//! weights over 32 columns is such a tile as it stands. Weights of 8 and 4 bits are unpacked into
//! tiles, one stretch of columns at a time, which costs little when many tokens meet them.
#![allow(unsafe_code)] // Instructions and pointers.

use std::arch::asm;
use std::arch::x86_64::*;
use std::cell::RefCell;
use std::ops::Range;

use half::bf16;

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

/// Numbers of a tile of sums.
const TILE_SUMS: usize = TILE_TOKENS * LANES;

/// Numbers of a tile of bf16.
const TILE_NUMBERS: usize = TILE_TOKENS * BLOCK;

/// Whether the processor has tiles of bf16 and the system lets this process use them, which it has
/// to be asked for.
pub(crate) fn is_there() -> bool {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        // From the kernel's `asm/prctl.h` and its list of extended states.
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        let [amx_bf16, amx_tile] = [22, 24].map(|bit| __cpuid_count(7, 0).edx >> bit & 1 == 1);
        // SAFETY: the call takes two numbers and has no effect but the permission.
        amx_bf16
            && amx_tile
            && unsafe {
                libc::syscall(
                    libc::SYS_arch_prctl,
                    ARCH_REQ_XCOMP_PERM,
                    XFEATURE_XTILEDATA,
                )
            } == 0
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    {
        false
    }
}

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
            sums.fill(0.0);
            for start in (0..blocks).step_by(step) {
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
                        unsafe { multiply_pair(tokens, weights, sums, columns.len()) };
                    }
                }
            }
            for token in range.start * TILE_TOKENS..input.tokens().min(range.end * TILE_TOKENS) {
                let inner = token - range.start * TILE_TOKENS;
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
    });
}

/// Puts the sums of a line into the output.
fn put(output: &mut [f32], sums: &[f32], store: Store) {
    match (store, output.as_chunks_mut::<LANES>().0) {
        // Whole lines, which need no call to be copied.
        (Store::Set, [line]) => line.copy_from_slice(sums),
        (Store::Set, _) => output.copy_from_slice(sums),
        (Store::Add, _) => output.iter_mut().zip(sums).for_each(|(o, s)| *o += s),
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
            match part.layout.format {
                Format::Q8_0 => unpack::<Q8_0>(part.layout, panel(index), columns, unpacked),
                Format::Q4_0 => unpack::<Q4_0>(part.layout, panel(index), columns, unpacked),
                Format::Q4_1 => unpack::<Q4_1>(part.layout, panel(index), columns, unpacked),
                _ => unpack::<Q4A>(part.layout, panel(index), columns, unpacked),
            }
        }
    }
    [0, size].map(|start| unpacked[start..].as_ptr())
}

const Q8_0: u8 = 0;
const Q4_0: u8 = 1;
const Q4A: u8 = 2;
const Q4_1: u8 = 3;

/// Turns the numbers of a panel into tiles of bf16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn unpack<const F: u8>(
    layout: PanelLayout,
    panel: &[u8],
    columns: &Range<usize>,
    tiles: &mut [bf16],
) {
    let block_bytes = PanelLayout::block_bytes(layout.format);
    let scale_bytes = PanelLayout::scale_bytes(layout.format);
    let numbers = &panel[columns.start * block_bytes..columns.end * block_bytes];
    let scales = &panel[layout.scales(columns.start)..][..columns.len() * scale_bytes];
    let zero = _mm512_setzero_ps();
    let [scale_steps, offset_steps] = match F {
        Q4A => [0, 4 * LANES].map(|start| {
            let steps = &panel[layout.steps() + start..][..4 * LANES];
            // SAFETY: 64 bytes.
            unsafe { _mm512_loadu_ps(steps.as_ptr().cast()) }
        }),
        _ => [zero; 2],
    };
    // Pairs of the lanes of two registers, one behind the other.
    let interleaved: [i16; 32] = std::array::from_fn(|i| (i as i16 >> 1) | (i as i16 & 1) << 4);
    // SAFETY: 64 bytes.
    let interleaved = unsafe { _mm512_loadu_si512(interleaved.as_ptr().cast()) };
    let blocks = numbers.chunks_exact(block_bytes);
    let tiles = tiles.chunks_exact_mut(TILE_NUMBERS);
    for ((block, scales), tile) in blocks.zip(scales.chunks_exact(scale_bytes)).zip(tiles) {
        // A weight is `scale * number + offset`.
        // SAFETY: a block has 32 bytes of scales, and as many of offsets where it has f16 ones.
        let (scale, offset) = unsafe {
            match F {
                Q4A => {
                    let [scale, offset] = [0, LANES].map(|start| {
                        let bytes = _mm_loadu_si128(scales[start..].as_ptr().cast());
                        _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))
                    });
                    let offset = _mm512_mul_ps(offset, offset_steps);
                    let scale = _mm512_mul_ps(scale, scale_steps);
                    (scale, _mm512_sub_ps(zero, offset))
                }
                Q4_1 => {
                    let [scale, offset] = [0, 2 * LANES].map(|start| {
                        let halves = _mm256_loadu_si256(scales[start..].as_ptr().cast());
                        _mm512_cvtph_ps(halves)
                    });
                    (scale, offset)
                }
                _ => {
                    let scale = _mm512_cvtph_ps(_mm256_loadu_si256(scales.as_ptr().cast()));
                    let middle = _mm512_set1_ps(if F == Q8_0 { -128.0 } else { -8.0 });
                    (scale, _mm512_mul_ps(scale, middle))
                }
            }
        };
        let weight = |number: __m512i| {
            let number = _mm512_cvtepi32_ps(number);
            _mm512_fmadd_ps(number, scale, offset)
        };
        let mut pairs = tile.chunks_exact_mut(2 * LANES);
        let mut write = |first: __m512i, second: __m512i| {
            let Some(pair) = pairs.next() else { return };
            // SAFETY: `__m512bh` and `__m512i` are the same 64 bytes, which a pair has.
            unsafe {
                let both = _mm512_cvtne2ps_pbh(weight(second), weight(first));
                let both = std::mem::transmute::<__m512bh, __m512i>(both);
                let both = _mm512_permutexvar_epi16(interleaved, both);
                _mm512_storeu_si512(pair.as_mut_ptr().cast(), both);
            }
        };
        for bytes in block.chunks_exact(4 * LANES) {
            // SAFETY: 64 bytes.
            let packed = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
            if F == Q8_0 {
                let byte = _mm512_set1_epi32(255);
                write(
                    _mm512_and_si512(packed, byte),
                    _mm512_and_si512(_mm512_srli_epi32::<8>(packed), byte),
                );
                write(
                    _mm512_and_si512(_mm512_srli_epi32::<16>(packed), byte),
                    _mm512_srli_epi32::<24>(packed),
                );
            } else {
                let half = _mm512_set1_epi32(15);
                // Four columns are in the low halves of the bytes, the next four in the high ones.
                write(
                    _mm512_and_si512(packed, half),
                    _mm512_and_si512(_mm512_srli_epi32::<8>(packed), half),
                );
                write(
                    _mm512_and_si512(_mm512_srli_epi32::<16>(packed), half),
                    _mm512_and_si512(_mm512_srli_epi32::<24>(packed), half),
                );
                write(
                    _mm512_and_si512(_mm512_srli_epi32::<4>(packed), half),
                    _mm512_and_si512(_mm512_srli_epi32::<12>(packed), half),
                );
                write(
                    _mm512_and_si512(_mm512_srli_epi32::<20>(packed), half),
                    _mm512_srli_epi32::<28>(packed),
                );
            }
        }
    }
}

/// Adds the products of two tiles of tokens and two panels to four tiles of sums: those of the
/// first tokens with either panel, then those of the second.
///
/// # Safety
///
/// The thread has a [`TileState`]; tokens and weights have `blocks` tiles one behind the other.
unsafe fn multiply_pair(
    tokens: [*const bf16; 2],
    weights: [*const bf16; 2],
    sums: &mut [f32],
    blocks: usize,
) {
    assert!(sums.len() == 4 * TILE_SUMS && blocks > 0, "sums of a pair");
    // SAFETY: reads and writes what the caller promises, in tiles of 1 KB with lines of 64 bytes
    // one behind the other.
    unsafe {
        asm!(
            "tileloadd tmm0, [{sums} + {line}]",
            "tileloadd tmm1, [{sums} + {line} + 1024]",
            "tileloadd tmm2, [{sums} + {line} + 2048]",
            "tileloadd tmm3, [{sums} + {line} + 3072]",
            "2:",
            "tileloadd tmm4, [{tokens_0} + {line}]",
            "tileloadd tmm6, [{weights_0} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{weights_1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{tokens_1} + {line}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {tokens_0}, 1024",
            "add {tokens_1}, 1024",
            "add {weights_0}, 1024",
            "add {weights_1}, 1024",
            "dec {blocks}",
            "jnz 2b",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 1024], tmm1",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilestored [{sums} + {line} + 3072], tmm3",
            sums = in(reg) sums.as_mut_ptr(),
            line = in(reg) 64_usize,
            tokens_0 = inout(reg) tokens[0] => _,
            tokens_1 = inout(reg) tokens[1] => _,
            weights_0 = inout(reg) weights[0] => _,
            weights_1 = inout(reg) weights[1] => _,
            blocks = inout(reg) blocks => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// Tile registers of a thread, all of sixteen lines of 64 bytes, until it is dropped.
pub(crate) struct TileState;

/// What the instruction that sets up tiles reads.
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    line_bytes: [u16; 16],
    lines: [u8; 16],
}

impl TileState {
    /// # Safety
    ///
    /// The processor has tiles, and the process may use them.
    pub(crate) unsafe fn new() -> Self {
        let first_eight = |i: usize| usize::from(i < 8);
        let config = TileConfig {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            line_bytes: std::array::from_fn(|i| 64 * first_eight(i) as u16),
            lines: std::array::from_fn(|i| 16 * first_eight(i) as u8),
        };
        // SAFETY: the promise of the caller; the configuration is 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
        Self
    }
}

impl Drop for TileState {
    fn drop(&mut self) {
        // The system saves the registers of a thread until they are given back.
        // SAFETY: the thread has tiles.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
