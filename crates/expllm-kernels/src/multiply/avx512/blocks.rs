//! Blocks of 32 columns of sixteen rows, in registers.
#![allow(unsafe_code)] // Instructions and pointers.

use std::arch::x86_64::*;

use crate::BLOCK;
use crate::format::{Format, LANES, PanelLayout, SHARED};

// Formats as constants of functions.
pub(in crate::multiply) const Q8_0: u8 = 0;
pub(in crate::multiply) const Q4_0: u8 = 1;
pub(in crate::multiply) const Q4_1: u8 = 2;
pub(in crate::multiply) const Q4A: u8 = 3;
pub(in crate::multiply) const Q5_0: u8 = 4;
pub(in crate::multiply) const Q5_1: u8 = 5;
pub(in crate::multiply) const Q4K: u8 = 6;
pub(in crate::multiply) const Q5K: u8 = 7;
pub(in crate::multiply) const Q6K: u8 = 8;

pub(in crate::multiply) const fn format_of(code: u8) -> Format {
    match code {
        Q8_0 => Format::Q8_0,
        Q4_0 => Format::Q4_0,
        Q4_1 => Format::Q4_1,
        Q4A => Format::Q4A,
        Q5_0 => Format::Q5_0,
        Q5_1 => Format::Q5_1,
        Q4K => Format::Q4K,
        Q5K => Format::Q5K,
        _ => Format::Q6K,
    }
}

/// The number that stands for zero, where there is no offset.
pub(in crate::multiply) const fn middle(format: Format) -> i32 {
    match format {
        Format::Q8_0 => 128,
        Format::Q4_0 => 8,
        Format::Q5_0 => 16,
        Format::Q6K => 32,
        _ => 0,
    }
}

pub(in crate::multiply) const fn has_offset(format: Format) -> bool {
    middle(format) == 0
}

/// Parts of a block that have scales of their own.
pub(in crate::multiply) const fn halves(format: Format) -> usize {
    match format {
        Format::Q6K => 2,
        _ => 1,
    }
}

/// The numbers of sixteen rows in four columns, from zero on.
///
/// # Safety
///
/// The block is there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(in crate::multiply) unsafe fn group<const F: u8>(block: *const u8, index: usize) -> __m512i {
    // SAFETY: the caller has the block: lines of 64 bytes, then planes of eight bytes a group.
    unsafe {
        if F == Q8_0 {
            return _mm512_loadu_si512(block.add(index * 64).cast());
        }
        let packed = _mm512_loadu_si512(block.add(index / 2 * 64).cast());
        let packed = match index % 2 {
            0 => packed,
            _ => _mm512_srli_epi16::<4>(packed),
        };
        let mut numbers = _mm512_and_si512(packed, _mm512_set1_epi8(15));
        for plane in 0..PanelLayout::planes(format_of(F)) {
            let place = BLOCK * LANES / 2 + plane * 64 + index * 8;
            let bits = block.add(place).cast::<u64>().read_unaligned();
            let bit = _mm512_set1_epi8(16 << plane);
            numbers = _mm512_mask_add_epi8(numbers, bits, numbers, bit);
        }
        numbers
    }
}

/// How numbers of a block become weights: a scale for either half of it, and what is added; see
/// also [`middle`].
#[derive(Clone, Copy)]
pub(in crate::multiply) struct Scales {
    pub(in crate::multiply) scales: [__m512; 2],
    pub(in crate::multiply) offset: __m512,
}

impl Default for Scales {
    fn default() -> Self {
        // SAFETY: all bits zero are numbers.
        unsafe { std::mem::zeroed() }
    }
}

impl Scales {
    /// Those of a block of a panel.
    ///
    /// # Safety
    ///
    /// The panel is there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(in crate::multiply) unsafe fn of<const F: u8>(
        layout: PanelLayout,
        panel: *const u8,
        block: usize,
    ) -> Self {
        let format = format_of(F);
        let zero = _mm512_setzero_ps();
        // SAFETY: the caller has the panel, in which scales and steps lie where the layout says.
        unsafe {
            let scales = layout.blocks * PanelLayout::block_bytes(format);
            let scales = panel.add(scales + block * PanelLayout::scale_bytes(format));
            let steps = || {
                let step = block / SHARED * PanelLayout::step_bytes(format);
                panel.add(layout.steps() + step)
            };
            match F {
                Q8_0 | Q4_0 | Q5_0 => Self {
                    scales: [halves_at(scales); 2],
                    offset: zero,
                },
                Q4_1 | Q5_1 => Self {
                    scales: [halves_at(scales); 2],
                    offset: halves_at(scales.add(2 * LANES)),
                },
                Q6K => {
                    let step = halves_at(steps());
                    let scale = |place: *const u8| {
                        let bytes = _mm_loadu_si128(place.cast());
                        let numbers = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
                        _mm512_mul_ps(numbers, step)
                    };
                    Self {
                        scales: [scale(scales), scale(scales.add(LANES))],
                        offset: zero,
                    }
                }
                _ => {
                    let steps = steps();
                    let [scale, offset] = match F {
                        Q4A => [0, 4 * LANES].map(|at| _mm512_loadu_ps(steps.add(at).cast())),
                        _ => [0, 2 * LANES].map(|at| halves_at(steps.add(at))),
                    };
                    let scale = _mm512_mul_ps(bytes_at(scales), scale);
                    Self {
                        scales: [scale; 2],
                        offset: _mm512_sub_ps(
                            zero,
                            _mm512_mul_ps(bytes_at(scales.add(LANES)), offset),
                        ),
                    }
                }
            }
        }
    }
}

/// Sixteen f16 numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn halves_at(place: *const u8) -> __m512 {
    // SAFETY: the caller has 32 bytes there.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(place.cast()) })
}

/// Sixteen bytes as numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn bytes_at(place: *const u8) -> __m512 {
    // SAFETY: the caller has sixteen bytes there.
    let bytes = unsafe { _mm_loadu_si128(place.cast()) };
    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))
}
