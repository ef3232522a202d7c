//! AVX-512 with VNNI and, where it is there, the dot products of bf16.
//!
//! The sums of one panel for one token are one register. A register of weights serves all tokens
//! of a tile, a broadcast activation all panels.
#![allow(unsafe_code)] // Instructions and pointers.
// Loops over registers of several arrays at once, unrolled.
#![allow(clippy::needless_range_loop)]

pub(super) mod blocks;

use std::arch::x86_64::*;

use self::blocks::{Q4_0, Q4_1, Q4A, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
use super::tile::{Kernel, Tile, by_tokens};
use crate::BLOCK;
use crate::format::{Format, LANES, PanelLayout};
use crate::input::{InputKind, TileInput};

pub(super) const PANELS: usize = 2;

/// How far ahead of a single token's products weights are fetched, in bytes of each panel.
const AHEAD: usize = 1024;

const F32: u8 = 0;
const F16: u8 = 1;
const BF16: u8 = 2;

const fn format_of(code: u8) -> Format {
    match code {
        F32 => Format::F32,
        F16 => Format::F16,
        _ => Format::Bf16,
    }
}

pub(super) fn kernel(
    format: Format,
    kind: InputKind,
    panels: usize,
    tokens: usize,
) -> Option<Kernel> {
    macro_rules! floats {
        ($name:ident, $code:ident) => {
            match panels {
                1 => by_tokens!(tokens, $name, [$code, 1], 1 2 3 4 5 6 7 8 9 10 11 12),
                _ => by_tokens!(tokens, $name, [$code, 2], 1 2 3 4 5 6 7 8 9 10 11 12),
            }
        };
    }
    macro_rules! blocks {
        ($code:ident) => {
            match panels {
                1 => by_tokens!(tokens, quantised, [$code, 1], 1 2 3 4 5 6),
                _ => by_tokens!(tokens, quantised, [$code, 2], 1 2 3 4 5 6),
            }
        };
    }
    match (format, kind) {
        (Format::F32, _) => floats!(floating, F32),
        (Format::F16, _) => floats!(floating, F16),
        (Format::Bf16, InputKind::Bf16) => floats!(bf16_pairs, BF16),
        (Format::Bf16, _) => floats!(floating, BF16),
        (Format::Q8_0, _) => blocks!(Q8_0),
        (Format::Q4_0, _) => blocks!(Q4_0),
        (Format::Q4_1, _) => blocks!(Q4_1),
        (Format::Q4A, _) => blocks!(Q4A),
        (Format::Q5_0, _) => blocks!(Q5_0),
        (Format::Q5_1, _) => blocks!(Q5_1),
        (Format::Q4K, _) => blocks!(Q4K),
        (Format::Q5K, _) => blocks!(Q5K),
        (Format::Q6K, _) => blocks!(Q6K),
    }
}

/// f32 activations times f32, f16 or bf16 weights.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn floating<const F: u8, const R: usize, const T: usize>(tile: &Tile<'_>) {
    let TileInput::F32(input) = tile.input else {
        return;
    };
    let block_bytes = PanelLayout::block_bytes(format_of(F));
    let mut sums = [[_mm512_setzero_ps(); T]; R];
    // SAFETY: `assert_fits` holds, so all blocks of `R` panels and of `T` tokens are there.
    unsafe {
        let mut weights = tile.panels.as_ptr().add(tile.blocks.start * block_bytes);
        let mut numbers = input.as_ptr().add(tile.blocks.start * BLOCK * T);
        for _ in 0..tile.blocks.len() {
            // Two columns at a time; the loop over them is unrolled by the compiler.
            for pair in 0..BLOCK / 2 {
                let mut columns = [[_mm512_setzero_ps(); 2]; R];
                for r in 0..R {
                    let panel = weights.add(r * tile.panel_bytes);
                    let place = panel.add(pair * 2 * block_bytes / BLOCK);
                    if T == 1 {
                        fetch(place.wrapping_add(AHEAD));
                        if F == F32 {
                            fetch(place.wrapping_add(AHEAD + 64));
                        }
                    }
                    columns[r] = two_columns::<F>(place);
                }
                for (inner, _) in [0, 1].iter().enumerate() {
                    for t in 0..T {
                        let number = _mm512_set1_ps(*numbers.add((pair * 2 + inner) * T + t));
                        for r in 0..R {
                            sums[r][t] = _mm512_fmadd_ps(columns[r][inner], number, sums[r][t]);
                        }
                    }
                }
            }
            weights = weights.add(block_bytes);
            numbers = numbers.add(BLOCK * T);
        }
        store(tile, &sums);
    }
}

/// The weights of sixteen rows in two columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn two_columns<const F: u8>(place: *const u8) -> [__m512; 2] {
    // SAFETY: the caller has two columns there: 128 bytes of f32, 64 of the others.
    unsafe {
        match F {
            F32 => [
                _mm512_loadu_ps(place.cast()),
                _mm512_loadu_ps(place.add(64).cast()),
            ],
            F16 => [
                _mm512_cvtph_ps(_mm256_loadu_si256(place.cast())),
                _mm512_cvtph_ps(_mm256_loadu_si256(place.add(32).cast())),
            ],
            _ => {
                // A bf16 number is the upper half of an f32 number.
                let pairs = _mm512_loadu_si512(place.cast());
                let upper = _mm512_set1_epi32(-65_536);
                [
                    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs)),
                    _mm512_castsi512_ps(_mm512_and_si512(pairs, upper)),
                ]
            }
        }
    }
}

/// bf16 activations times bf16 weights, two columns in one instruction.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn bf16_pairs<const F: u8, const R: usize, const T: usize>(tile: &Tile<'_>) {
    let TileInput::Bf16(input) = tile.input else {
        return;
    };
    let block_bytes = PanelLayout::block_bytes(format_of(F));
    let mut sums = [[_mm512_setzero_ps(); T]; R];
    // SAFETY: `assert_fits` holds, so all blocks of `R` panels and of `T` tokens are there.
    // `__m512bh` and `__m512i` are the same 64 bytes.
    unsafe {
        let mut weights = tile.panels.as_ptr().add(tile.blocks.start * block_bytes);
        let mut numbers = input.as_ptr().cast::<i32>();
        numbers = numbers.add(tile.blocks.start * BLOCK / 2 * T);
        for _ in 0..tile.blocks.len() {
            for pair in 0..BLOCK / 2 {
                let mut pairs = [_mm512_setzero_si512(); R];
                for r in 0..R {
                    let panel = weights.add(r * tile.panel_bytes);
                    pairs[r] = _mm512_loadu_si512(panel.add(pair * 64).cast());
                }
                for t in 0..T {
                    let number = _mm512_set1_epi32(*numbers.add(pair * T + t));
                    for r in 0..R {
                        sums[r][t] = _mm512_dpbf16_ps(
                            sums[r][t],
                            std::mem::transmute::<__m512i, __m512bh>(pairs[r]),
                            std::mem::transmute::<__m512i, __m512bh>(number),
                        );
                    }
                }
            }
            weights = weights.add(block_bytes);
            numbers = numbers.add(BLOCK / 2 * T);
        }
        store(tile, &sums);
    }
}

/// 8-bit activations times weights of 8 to 4 bits, block by block.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn quantised<const F: u8, const R: usize, const T: usize>(tile: &Tile<'_>) {
    let TileInput::Q8(input, metas) = tile.input else {
        return;
    };
    let format = blocks::format_of(F);
    let block_bytes = PanelLayout::block_bytes(format);
    let halves = blocks::halves(format);
    let mut sums = [[_mm512_setzero_ps(); T]; R];
    // SAFETY: `assert_fits` holds, so all blocks and scales of `R` panels, and all blocks of `T`
    // tokens with what belongs to them, are there.
    unsafe {
        let first = tile.panels.as_ptr();
        let mut weights = first.add(tile.blocks.start * block_bytes);
        let mut numbers = input.as_ptr().add(tile.blocks.start * BLOCK * T);
        let mut meta = metas.as_ptr().add(tile.blocks.start * T);
        for block in tile.blocks.clone() {
            if T == 1 {
                for r in 0..R {
                    for line in 0..block_bytes / 64 {
                        fetch(weights.wrapping_add(r * tile.panel_bytes + line * 64 + AHEAD));
                    }
                }
            }
            let mut lines = [blocks::Scales::default(); R];
            for r in 0..R {
                let panel = first.add(r * tile.panel_bytes);
                lines[r] = blocks::Scales::of::<F>(tile.layout, panel, block);
            }
            for half in 0..halves {
                let mut dots = [[_mm512_setzero_si512(); T]; R];
                for t in 0..T {
                    let start = match halves {
                        1 => (*meta.add(t)).minus_sums(blocks::middle(format)),
                        _ => (*meta.add(t)).minus_8_sums[half] * (blocks::middle(format) / 8),
                    };
                    for r in 0..R {
                        dots[r][t] = _mm512_set1_epi32(start);
                    }
                }
                let groups = BLOCK / 4 / halves;
                for group in half * groups..(half + 1) * groups {
                    let mut quants = [_mm512_setzero_si512(); R];
                    for r in 0..R {
                        quants[r] = blocks::group::<F>(weights.add(r * tile.panel_bytes), group);
                    }
                    for t in 0..T {
                        let four = numbers.add((group * T + t) * 4).cast::<i32>();
                        let number = _mm512_set1_epi32(four.read_unaligned());
                        for r in 0..R {
                            dots[r][t] = _mm512_dpbusd_epi32(dots[r][t], quants[r], number);
                        }
                    }
                }
                for t in 0..T {
                    let scale = _mm512_set1_ps((*meta.add(t)).scale);
                    for r in 0..R {
                        let factor = _mm512_mul_ps(lines[r].scales[half], scale);
                        let dot = _mm512_cvtepi32_ps(dots[r][t]);
                        sums[r][t] = _mm512_fmadd_ps(dot, factor, sums[r][t]);
                    }
                }
            }
            if blocks::has_offset(format) {
                for t in 0..T {
                    let sum = _mm512_set1_ps((*meta.add(t)).weighted_sum);
                    for r in 0..R {
                        sums[r][t] = _mm512_fmadd_ps(lines[r].offset, sum, sums[r][t]);
                    }
                }
            }
            weights = weights.add(block_bytes);
            numbers = numbers.add(BLOCK * T);
            meta = meta.add(T);
        }
        store(tile, &sums);
    }
}

/// Asks for a cache line; any address may be asked for.
#[inline]
#[target_feature(enable = "avx512f")]
fn fetch(place: *const u8) {
    _mm_prefetch::<_MM_HINT_T0>(place.cast());
}

/// Writes the sums.
///
/// # Safety
///
/// The contract of [`Kernel`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn store<const R: usize, const T: usize>(tile: &Tile<'_>, sums: &[[__m512; T]; R]) {
    for (r, sums) in sums.iter().enumerate() {
        let lanes = tile.rows.saturating_sub(r * LANES).min(LANES);
        let mask = ((1_u32 << lanes) - 1) as u16;
        for (t, &sum) in sums.iter().enumerate() {
            // SAFETY: the caller may write `rows` numbers for each token; the mask keeps to them.
            unsafe {
                let place = tile.output.add(t * tile.stride + r * LANES);
                let sum = match tile.add {
                    true => _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, place)),
                    false => sum,
                };
                _mm512_mask_storeu_ps(place, mask, sum);
            }
        }
    }
}
