//! AVX2 with FMA and F16C: half a panel in one register.
#![allow(unsafe_code)] // Instructions and pointers.
// Loops over registers of several arrays at once, unrolled.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

use super::portable::{self, store};
use super::tile::{Kernel, Tile, by_tokens};
use crate::BLOCK;
use crate::format::{Format, LANES, PanelLayout};
use crate::input::{InputKind, TileInput};

pub(super) const PANELS: usize = 1;

pub(super) fn kernel(format: Format, kind: InputKind, tokens: usize) -> Option<Kernel> {
    match format {
        Format::F32 => by_tokens!(tokens, floating, [0], 1 2 3 4 5 6),
        Format::F16 => by_tokens!(tokens, floating, [1], 1 2 3 4 5 6),
        Format::Bf16 => by_tokens!(tokens, floating, [2], 1 2 3 4 5 6),
        Format::Q8_0 => by_tokens!(tokens, quantised, [0], 1 2),
        Format::Q4_0 => by_tokens!(tokens, quantised, [1], 1 2),
        Format::Q4A => by_tokens!(tokens, quantised, [2], 1 2),
        Format::Q4_1 => by_tokens!(tokens, quantised, [3], 1 2),
        _ => portable::kernel(format, kind, tokens),
    }
}

/// f32 activations times f32 (0), f16 (1) or bf16 (2) weights.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn floating<const F: u8, const T: usize>(tile: &Tile<'_>) {
    let TileInput::F32(input) = tile.input else {
        return;
    };
    let block_bytes = PanelLayout::block_bytes(tile.layout.format);
    let mut sums = [[_mm256_setzero_ps(); 2]; T];
    // SAFETY: `assert_fits` holds, so all blocks of the panel and of `T` tokens are there.
    unsafe {
        let mut weights = tile.panels.as_ptr().add(tile.blocks.start * block_bytes);
        let mut numbers = input.as_ptr().add(tile.blocks.start * BLOCK * T);
        for _ in 0..tile.blocks.len() * BLOCK / 2 {
            let mut columns = [[_mm256_setzero_ps(); 2]; 2];
            for half in 0..2 {
                match F {
                    0 => {
                        columns[0][half] = _mm256_loadu_ps(weights.add(half * 32).cast());
                        columns[1][half] = _mm256_loadu_ps(weights.add(64 + half * 32).cast());
                    }
                    1 => {
                        let first = _mm_loadu_si128(weights.add(half * 16).cast());
                        let second = _mm_loadu_si128(weights.add(32 + half * 16).cast());
                        columns[0][half] = _mm256_cvtph_ps(first);
                        columns[1][half] = _mm256_cvtph_ps(second);
                    }
                    _ => {
                        let pairs = _mm256_loadu_si256(weights.add(half * 32).cast());
                        let upper = _mm256_set1_epi32(-65_536);
                        columns[0][half] = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs));
                        columns[1][half] = _mm256_castsi256_ps(_mm256_and_si256(pairs, upper));
                    }
                }
            }
            for (inner, column) in columns.iter().enumerate() {
                for t in 0..T {
                    let number = _mm256_set1_ps(*numbers.add(inner * T + t));
                    for half in 0..2 {
                        sums[t][half] = _mm256_fmadd_ps(column[half], number, sums[t][half]);
                    }
                }
            }
            weights = weights.add(2 * block_bytes / BLOCK);
            numbers = numbers.add(2 * T);
        }
        store(tile, &unpack(&sums));
    }
}

/// 8-bit activations times `Q8_0` (0), `Q4_0` (1), `Q4A` (2) or `Q4_1` (3) weights.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn quantised<const F: u8, const T: usize>(tile: &Tile<'_>) {
    let TileInput::Q8(input, metas) = tile.input else {
        return;
    };
    let block_bytes = PanelLayout::block_bytes(tile.layout.format);
    let scale_bytes = PanelLayout::scale_bytes(tile.layout.format);
    let mut sums = [[_mm256_setzero_ps(); 2]; T];
    let low = _mm256_set1_epi8(15);
    let flip = _mm256_set1_epi8(i8::MIN);
    let ones = _mm256_set1_epi16(1);
    // SAFETY: `assert_fits` holds, so all blocks and scales of the panel, and all blocks of `T`
    // tokens with what belongs to them, are there.
    unsafe {
        let first = tile.panels.as_ptr();
        let mut ratios = [_mm256_setzero_ps(); 2];
        let mut steps = [_mm256_setzero_ps(); 2];
        if F == 2 {
            for half in 0..2 {
                let place = first.add(tile.layout.steps() + half * 32);
                steps[half] = _mm256_loadu_ps(place.cast());
                let offsets = _mm256_loadu_ps(place.add(64).cast());
                let divisor = _mm256_max_ps(steps[half], _mm256_set1_ps(f32::MIN_POSITIVE));
                ratios[half] = _mm256_div_ps(offsets, divisor);
            }
        }
        for block in tile.blocks.clone() {
            let weights = first.add(block * block_bytes);
            let numbers = input.as_ptr().add(block * BLOCK * T);
            let meta = metas.as_ptr().add(block * T);
            let mut dots = [[_mm256_setzero_si256(); 2]; T];
            if F == 1 {
                for (t, dots) in dots.iter_mut().enumerate() {
                    *dots = [_mm256_set1_epi32((*meta.add(t)).minus_sums(8)); 2];
                }
            }
            for group in 0..BLOCK / 4 {
                for half in 0..2 {
                    let quants = if F == 0 {
                        let place = weights.add(group * 64 + half * 32);
                        // Back to numbers with sign.
                        _mm256_xor_si256(_mm256_loadu_si256(place.cast()), flip)
                    } else {
                        let place = weights.add(group / 2 * 64 + half * 32);
                        let packed = _mm256_loadu_si256(place.cast());
                        let shifted = match group % 2 {
                            0 => packed,
                            _ => _mm256_srli_epi16::<4>(packed),
                        };
                        _mm256_and_si256(shifted, low)
                    };
                    for t in 0..T {
                        let four = numbers.add((group * T + t) * 4).cast::<i32>();
                        let number = _mm256_set1_epi32(four.read_unaligned());
                        // Sums of two products: at most 2 * 128 * 127, which 16 bits hold.
                        let pairs = if F == 0 {
                            let signed = _mm256_sign_epi8(number, quants);
                            _mm256_maddubs_epi16(_mm256_abs_epi8(quants), signed)
                        } else {
                            _mm256_maddubs_epi16(quants, number)
                        };
                        let fours = _mm256_madd_epi16(pairs, ones);
                        dots[t][half] = _mm256_add_epi32(dots[t][half], fours);
                    }
                }
            }
            let scales = first.add(tile.layout.scales(0) + block * scale_bytes);
            for half in 0..2 {
                let scale = match F {
                    2 => bytes_to_floats(scales.add(half * 8)),
                    _ => _mm256_cvtph_ps(_mm_loadu_si128(scales.add(half * 16).cast())),
                };
                for t in 0..T {
                    let factor = _mm256_mul_ps(scale, _mm256_set1_ps((*meta.add(t)).scale));
                    let dot = _mm256_cvtepi32_ps(dots[t][half]);
                    sums[t][half] = _mm256_fmadd_ps(dot, factor, sums[t][half]);
                    if F == 3 {
                        let offset = scales.add(2 * LANES + half * 16);
                        let offset = _mm256_cvtph_ps(_mm_loadu_si128(offset.cast()));
                        let sum = _mm256_set1_ps((*meta.add(t)).weighted_sum);
                        sums[t][half] = _mm256_fmadd_ps(offset, sum, sums[t][half]);
                    }
                    if F == 2 {
                        let offset = bytes_to_floats(scales.add(LANES + half * 8));
                        let offset = _mm256_mul_ps(offset, ratios[half]);
                        let sum = _mm256_set1_ps((*meta.add(t)).weighted_sum);
                        sums[t][half] = _mm256_fnmadd_ps(offset, sum, sums[t][half]);
                    }
                }
            }
        }
        if F == 2 {
            for sums in &mut sums {
                for half in 0..2 {
                    sums[half] = _mm256_mul_ps(sums[half], steps[half]);
                }
            }
        }
        store(tile, &unpack(&sums));
    }
}

/// Eight bytes as numbers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn bytes_to_floats(place: *const u8) -> __m256 {
    // SAFETY: the caller has eight bytes there.
    let bytes = unsafe { _mm_loadl_epi64(place.cast()) };
    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<const T: usize>(sums: &[[__m256; 2]; T]) -> [[f32; LANES]; T] {
    let mut numbers = [[0.0; LANES]; T];
    for (numbers, sums) in numbers.iter_mut().zip(sums) {
        // SAFETY: sixteen numbers have room for two registers.
        unsafe {
            _mm256_storeu_ps(numbers.as_mut_ptr(), sums[0]);
            _mm256_storeu_ps(numbers.as_mut_ptr().add(8), sums[1]);
        }
    }
    numbers
}
