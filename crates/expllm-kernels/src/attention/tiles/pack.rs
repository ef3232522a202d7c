//! Keys and values as tiles.
#![allow(unsafe_code)] // Instructions and pointers.

use std::arch::x86_64::*;

use half::bf16;

use crate::BLOCK;
use crate::attention::{Attention, CachedNumbers};
use crate::disjoint::SharedMut;
use crate::format::LANES;
use crate::multiply::registers::{TILE_NUMBERS, interleaved};

/// How many tiles there are.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Positions, filled up to whole blocks.
    pub(super) positions: usize,
    /// Blocks of channels.
    pub(super) depth: usize,
}

impl Sizes {
    pub(super) fn new(attention: &Attention<'_>) -> Self {
        Self {
            positions: attention.cached.length.next_multiple_of(BLOCK),
            depth: attention.shape.head_dim / BLOCK,
        }
    }

    /// Numbers of the keys, and of the values, of a head.
    pub(super) fn head(self) -> usize {
        self.positions * self.depth * BLOCK
    }

    /// Where the keys of sixteen positions begin.
    pub(super) fn key(self, kv: usize, panel: usize) -> usize {
        kv * self.head() + panel * self.depth * TILE_NUMBERS
    }

    /// Where sixteen channels of the values of 32 positions begin.
    pub(super) fn value(self, kv: usize, panel: usize, block: usize) -> usize {
        kv * self.head() + (panel * self.positions / BLOCK + block) * TILE_NUMBERS
    }

    /// Writes keys and values of 32 positions; those beyond the last are zeros.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    pub(super) unsafe fn pack(
        self,
        attention: &Attention<'_>,
        kv: usize,
        first: usize,
        keys: &SharedMut<'_, bf16>,
        values: &SharedMut<'_, bf16>,
    ) {
        let cached = &attention.cached;
        let start = |position: usize| {
            let there = position < cached.length;
            there.then(|| kv * cached.head_stride + position * cached.position_stride)
        };
        let lines = _mm512_mullo_epi32(lanes(), _mm512_set1_epi32(LANES as i32));
        for position in first..first + BLOCK {
            for step in 0..self.depth {
                let place = self.key(kv, position / LANES) + step * TILE_NUMBERS;
                let channel = step * BLOCK;
                // SAFETY: the sizes of the cache were checked.
                let low = unsafe { sixteen(cached.keys, start(position), channel) };
                // SAFETY: as above.
                let high = unsafe { sixteen(cached.keys, start(position), channel + LANES) };
                // SAFETY: a column of pairs within a tile, which is this piece's alone.
                unsafe {
                    let tile = keys.range(place, TILE_NUMBERS).as_mut_ptr().cast::<i32>();
                    let column = tile.add(position % LANES);
                    let pairs =
                        std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                    _mm512_i32scatter_epi32::<4>(column.cast(), lines, pairs);
                }
            }
        }
        let interleaved = interleaved();
        for panel in 0..2 * self.depth {
            // SAFETY: a tile that is this piece's alone.
            let tile = unsafe { values.range(self.value(kv, panel, first / BLOCK), TILE_NUMBERS) };
            for (line, pairs) in tile.chunks_exact_mut(2 * LANES).enumerate() {
                let position = first + 2 * line;
                // SAFETY: the sizes of the cache were checked.
                let even = unsafe { sixteen(cached.values, start(position), panel * LANES) };
                // SAFETY: as above.
                let odd = unsafe { sixteen(cached.values, start(position + 1), panel * LANES) };
                // SAFETY: 64 bytes.
                unsafe {
                    let both = _mm512_cvtne2ps_pbh(odd, even);
                    let both = std::mem::transmute::<__m512bh, __m512i>(both);
                    let both = _mm512_permutexvar_epi16(interleaved, both);
                    _mm512_storeu_si512(pairs.as_mut_ptr().cast(), both);
                }
            }
        }
    }
}

/// The numbers from 0 to 15.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes() -> __m512i {
    _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
}

/// Sixteen channels of a position; zeros where there is none.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn sixteen(numbers: CachedNumbers<'_>, start: Option<usize>, channel: usize) -> __m512 {
    let Some(start) = start else {
        return _mm512_setzero_ps();
    };
    let range = start + channel..start + channel + LANES;
    // SAFETY: sixteen numbers.
    unsafe {
        match numbers {
            CachedNumbers::F16(numbers) => {
                _mm512_cvtph_ps(_mm256_loadu_si256(numbers[range].as_ptr().cast()))
            }
            CachedNumbers::F32(numbers) => _mm512_loadu_ps(numbers[range].as_ptr()),
        }
    }
}
