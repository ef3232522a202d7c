//! NEON: a quarter of a panel in one register.
#![allow(unsafe_code)] // Instructions and pointers.
// Loops over registers of several arrays at once, unrolled.
#![allow(clippy::needless_range_loop)]

use std::arch::aarch64::*;

use super::portable::{self, store};
use super::tile::{Kernel, Tile, by_tokens};
use crate::BLOCK;
use crate::format::{Format, LANES, PanelLayout, half_scale};
use crate::input::{InputKind, TileInput};

pub(super) const PANELS: usize = 1;

pub(super) fn kernel(format: Format, kind: InputKind, tokens: usize) -> Option<Kernel> {
    match format {
        Format::F32 => by_tokens!(tokens, floating, [0], 1 2 3 4),
        Format::Bf16 => by_tokens!(tokens, floating, [2], 1 2 3 4),
        Format::Q8_0 => by_tokens!(tokens, quantised, [0], 1 2 3 4),
        Format::Q4_0 => by_tokens!(tokens, quantised, [1], 1 2 3 4),
        Format::Q4A => by_tokens!(tokens, quantised, [2], 1 2 3 4),
        Format::Q4_1 => by_tokens!(tokens, quantised, [3], 1 2 3 4),
        // Conversions of f16 vectors are not stable in Rust yet.
        _ => portable::kernel(format, kind, tokens),
    }
}

/// f32 activations times f32 (0) or bf16 (2) weights.
#[target_feature(enable = "neon")]
unsafe fn floating<const F: u8, const T: usize>(tile: &Tile<'_>) {
    let TileInput::F32(input) = tile.input else {
        return;
    };
    let block_bytes = PanelLayout::block_bytes(tile.layout.format);
    let mut sums = [[vdupq_n_f32(0.0); 4]; T];
    // SAFETY: `assert_fits` holds, so all blocks of the panel and of `T` tokens are there.
    unsafe {
        let mut weights = tile.panels.as_ptr().add(tile.blocks.start * block_bytes);
        let mut numbers = input.as_ptr().add(tile.blocks.start * BLOCK * T);
        for _ in 0..tile.blocks.len() * BLOCK / 2 {
            for quarter in 0..4 {
                let columns = if F == 0 {
                    let place = weights.add(quarter * 16).cast::<f32>();
                    [vld1q_f32(place), vld1q_f32(place.add(16))]
                } else {
                    let pairs = vld1q_u32(weights.add(quarter * 16).cast());
                    [
                        vreinterpretq_f32_u32(vshlq_n_u32::<16>(pairs)),
                        vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff_0000))),
                    ]
                };
                for (inner, column) in columns.into_iter().enumerate() {
                    for t in 0..T {
                        let number = *numbers.add(inner * T + t);
                        sums[t][quarter] = vfmaq_n_f32(sums[t][quarter], column, number);
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
#[target_feature(enable = "neon")]
unsafe fn quantised<const F: u8, const T: usize>(tile: &Tile<'_>) {
    let TileInput::Q8(input, metas) = tile.input else {
        return;
    };
    let block_bytes = PanelLayout::block_bytes(tile.layout.format);
    let mut sums = [[0.0_f32; LANES]; T];
    let mut ratios = [0.0; LANES];
    let mut steps = [1.0; LANES];
    // SAFETY: `assert_fits` holds, so all blocks and scales of the panel, and all blocks of `T`
    // tokens, are there.
    unsafe {
        if F == 2 {
            let place = tile.panels.as_ptr().add(tile.layout.steps()).cast::<f32>();
            for lane in 0..LANES {
                steps[lane] = place.add(lane).read_unaligned();
                let offset = place.add(LANES + lane).read_unaligned();
                ratios[lane] = offset / steps[lane].max(f32::MIN_POSITIVE);
            }
        }
        for block in tile.blocks.clone() {
            let weights = tile.panels.as_ptr().add(block * block_bytes);
            let numbers = input.as_ptr().add(block * BLOCK * T);
            let mut dots = [[vdupq_n_s32(0); 4]; T];
            for group in 0..BLOCK / 4 {
                for quarter in 0..4 {
                    let quants = if F == 0 {
                        let place = weights.add(group * 64 + quarter * 16);
                        veorq_u8(vld1q_u8(place), vdupq_n_u8(0x80))
                    } else {
                        let packed = vld1q_u8(weights.add(group / 2 * 64 + quarter * 16));
                        match group % 2 {
                            0 => vandq_u8(packed, vdupq_n_u8(15)),
                            _ => vshrq_n_u8::<4>(packed),
                        }
                    };
                    let quants = vreinterpretq_s8_u8(quants);
                    for t in 0..T {
                        let four = numbers.add((group * T + t) * 4).cast::<i32>();
                        let number = vreinterpretq_s8_s32(vdupq_n_s32(four.read_unaligned()));
                        // Sums of two products: at most 2 * 128 * 127, which 16 bits hold.
                        let lower = vmull_s8(vget_low_s8(quants), vget_low_s8(number));
                        let upper = vmull_high_s8(quants, number);
                        let pairs = vpaddq_s16(lower, upper);
                        dots[t][quarter] = vpadalq_s16(dots[t][quarter], pairs);
                    }
                }
            }
            let scales = &tile.panels[tile.layout.scales(block)..];
            for t in 0..T {
                let meta = metas[block * T + t];
                let mut dot = [0_i32; LANES];
                for quarter in 0..4 {
                    vst1q_s32(dot.as_mut_ptr().add(quarter * 4), dots[t][quarter]);
                }
                for lane in 0..LANES {
                    sums[t][lane] += match F {
                        0 => dot[lane] as f32 * (half_scale(scales, lane) * meta.scale),
                        1 => {
                            let scale = half_scale(scales, lane) * meta.scale;
                            (dot[lane] + meta.minus_sums(8)) as f32 * scale
                        }
                        3 => {
                            let offset = half_scale(&scales[2 * LANES..], lane);
                            dot[lane] as f32 * (half_scale(scales, lane) * meta.scale)
                                + offset * meta.weighted_sum
                        }
                        _ => {
                            let offset = f32::from(scales[LANES + lane]) * ratios[lane];
                            dot[lane] as f32 * (f32::from(scales[lane]) * meta.scale)
                                - offset * meta.weighted_sum
                        }
                    };
                }
            }
        }
        for sums in &mut sums {
            for (sum, step) in sums.iter_mut().zip(steps) {
                *sum *= step;
            }
        }
        store(tile, &sums);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn unpack<const T: usize>(sums: &[[float32x4_t; 4]; T]) -> [[f32; LANES]; T] {
    let mut numbers = [[0.0_f32; LANES]; T];
    for (numbers, sums) in numbers.iter_mut().zip(sums) {
        for (quarter, sum) in sums.iter().enumerate() {
            // SAFETY: sixteen numbers have room for four registers.
            unsafe { vst1q_f32(numbers.as_mut_ptr().add(quarter * 4), *sum) };
        }
    }
    numbers
}
