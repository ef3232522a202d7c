//! One query at a time, straight from a cache in f16: the cache is read once and nothing is unpacked.
#![allow(unsafe_code)] // Instructions and pointers.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{Attention, Scratch};
use crate::Isa;
use crate::elementwise::softmax;
use crate::isa::IsaKind;

/// Keys or values of one head: a row every `stride` numbers.
#[derive(Clone, Copy)]
pub(super) struct Streamed<'a> {
    pub(super) numbers: &'a [f16],
    pub(super) stride: usize,
}

/// What a token asks of one head.
pub(super) struct Query<'a> {
    pub(super) token: usize,
    pub(super) numbers: &'a [f32],
}

impl Attention<'_> {
    /// One query, straight from the keys and values of its head.
    pub(super) fn stream(
        &self,
        isa: Isa,
        query: &Query<'_>,
        [keys, values]: [Streamed<'_>; 2],
        scratch: &mut Scratch,
        output: &mut [f32],
    ) {
        let Query { token, numbers } = *query;
        let end = self.visible.end(token, self.cached.length);
        scratch.scores.resize(end, 0.0);
        scratch.row.resize(self.shape.head_dim, 0.0);
        streamed_scores(isa, numbers, keys, &mut scratch.row, &mut scratch.scores);
        self.visible
            .hide(token, self.cached.length, &mut scratch.scores);
        softmax(isa, &mut scratch.scores, self.scale());
        streamed_mix(isa, &scratch.scores, values, &mut scratch.row, output);
    }
}

/// Products of a query with the key of each position; `row` is room for one key.
fn streamed_scores(
    isa: Isa,
    query: &[f32],
    keys: Streamed<'_>,
    row: &mut [f32],
    scores: &mut [f32],
) {
    match isa.kind() {
        // SAFETY: `Isa` holds only what the processor has; `assert_sizes` and the end of what is
        // visible keep to the keys.
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 | IsaKind::Avx512Bf16 | IsaKind::Amx => unsafe {
            wide::scores(query, keys, scores);
        },
        _ => {
            for (position, score) in scores.iter_mut().enumerate() {
                let key = &keys.numbers[position * keys.stride..][..query.len()];
                key.convert_to_f32_slice(row);
                *score = query.iter().zip(&*row).map(|(q, k)| q * k).sum();
            }
        }
    }
}

/// The sum of values, each times its share; `row` is room for one value.
fn streamed_mix(
    isa: Isa,
    shares: &[f32],
    values: Streamed<'_>,
    row: &mut [f32],
    output: &mut [f32],
) {
    match isa.kind() {
        // SAFETY: as for the scores.
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 | IsaKind::Avx512Bf16 | IsaKind::Amx => unsafe {
            wide::mix(shares, values, output);
        },
        _ => {
            output.fill(0.0);
            for (position, share) in shares.iter().enumerate() {
                let value = &values.numbers[position * values.stride..][..output.len()];
                value.convert_to_f32_slice(row);
                for (output, value) in output.iter_mut().zip(&*row) {
                    *output += share * value;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    //! The cache read in registers of sixteen numbers.

    use std::arch::x86_64::*;

    use super::Streamed;

    const LANES: usize = 16;

    /// The first `count` of sixteen lanes.
    fn first(count: usize) -> u16 {
        ((1_u32 << count.min(LANES)) - 1) as u16
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn scores(query: &[f32], keys: Streamed<'_>, scores: &mut [f32]) {
        let Streamed {
            numbers: keys,
            stride,
        } = keys;
        assert!(scores.is_empty() || keys.len() >= (scores.len() - 1) * stride + query.len());
        let (blocks, rest) = scores.as_chunks_mut::<LANES>();
        let first_of_rest = blocks.len() * LANES;
        for (block, scores) in blocks.iter_mut().enumerate() {
            let mut sums = [_mm512_setzero_ps(); LANES];
            for (index, part) in query.chunks(LANES).enumerate() {
                let mask = first(part.len());
                // SAFETY: the masked lanes are within the query.
                let part = unsafe { _mm512_maskz_loadu_ps(mask, part.as_ptr()) };
                for (inner, sum) in sums.iter_mut().enumerate() {
                    let place = (block * LANES + inner) * stride + index * LANES;
                    // SAFETY: the masked lanes are within the keys by the assertion.
                    let key = unsafe {
                        let key = keys.as_ptr().add(place);
                        _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, key.cast()))
                    };
                    *sum = _mm512_fmadd_ps(part, key, *sum);
                }
            }
            // SAFETY: there are sixteen scores.
            unsafe { _mm512_storeu_ps(scores.as_mut_ptr(), add_across(&sums)) };
        }
        for (inner, score) in rest.iter_mut().enumerate() {
            let mut sum = _mm512_setzero_ps();
            for (index, part) in query.chunks(LANES).enumerate() {
                let mask = first(part.len());
                // SAFETY: the masked lanes are within the query and, by the assertion, the keys.
                unsafe {
                    let place = (first_of_rest + inner) * stride + index * LANES;
                    let key = keys.as_ptr().add(place);
                    let key = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, key.cast()));
                    let part = _mm512_maskz_loadu_ps(mask, part.as_ptr());
                    sum = _mm512_fmadd_ps(part, key, sum);
                }
            }
            *score = _mm512_reduce_add_ps(sum);
        }
    }

    /// The sum of the lanes of each of sixteen registers, in their order.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn add_across(sums: &[__m512; LANES]) -> __m512 {
        // Halves of what is left are added, so that registers and sums become fewer together.
        let mut twos = [_mm512_setzero_ps(); LANES / 2];
        for (two, pair) in twos.iter_mut().zip(sums.as_chunks::<2>().0) {
            let low = _mm512_unpacklo_ps(pair[0], pair[1]);
            *two = _mm512_add_ps(low, _mm512_unpackhi_ps(pair[0], pair[1]));
        }
        let mut fours = [_mm512_setzero_ps(); LANES / 4];
        for (four, pair) in fours.iter_mut().zip(twos.as_chunks::<2>().0) {
            let (a, b) = (_mm512_castps_pd(pair[0]), _mm512_castps_pd(pair[1]));
            let low = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            *four = _mm512_add_ps(low, _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
        }
        let add = |a: __m512, b: __m512| {
            let even = _mm512_shuffle_f32x4::<0x88>(a, b);
            _mm512_add_ps(even, _mm512_shuffle_f32x4::<0xdd>(a, b))
        };
        add(add(fours[0], fours[1]), add(fours[2], fours[3]))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn mix(shares: &[f32], values: Streamed<'_>, output: &mut [f32]) {
        let Streamed {
            numbers: values,
            stride,
        } = values;
        assert!(shares.is_empty() || values.len() >= (shares.len() - 1) * stride + output.len());
        for (index, output) in output.chunks_mut(4 * LANES).enumerate() {
            let mut sums = [_mm512_setzero_ps(); 4];
            let mut masks = [0_u16; 4];
            for (part, mask) in masks.iter_mut().enumerate() {
                *mask = first(output.len().saturating_sub(part * LANES));
            }
            for (position, share) in shares.iter().enumerate() {
                let share = _mm512_set1_ps(*share);
                let place = position * stride + index * 4 * LANES;
                for part in 0..4 {
                    // SAFETY: the masked lanes are within the values by the assertion; addresses
                    // beyond are not read.
                    unsafe {
                        let value = values.as_ptr().wrapping_add(place + part * LANES);
                        let value = _mm256_maskz_loadu_epi16(masks[part], value.cast());
                        sums[part] = _mm512_fmadd_ps(_mm512_cvtph_ps(value), share, sums[part]);
                    }
                }
            }
            for part in 0..4 {
                // SAFETY: the masked lanes are within the output.
                unsafe {
                    let place = output.as_mut_ptr().wrapping_add(part * LANES);
                    _mm512_mask_storeu_ps(place, masks[part], sums[part]);
                }
            }
        }
    }
}
