//! Many queries at a time on tile registers: keys and values are turned into tiles of bf16 once,
//! for all queries.
//!
//! A piece of work is 32 queries of one head. Their scores for all positions that they may see are
//! kept, so that their largest is known before any power is taken; shares are not divided by their
//! sum until they have been multiplied with the values.
#![allow(unsafe_code)] // Instructions and pointers.
#![allow(clippy::needless_range_loop)] // Loops over several registers at once.

mod pack;

use std::arch::x86_64::*;
use std::cell::RefCell;

use half::bf16;

use self::pack::Sizes;
use super::{Attention, Visible};
use crate::buffer::Numbers;
use crate::disjoint::SharedMut;
use crate::format::LANES;
use crate::input::TILE_TOKENS;
use crate::isa::IsaKind;
use crate::multiply::registers::{TILE_NUMBERS, TILE_SUMS, TileState, multiply_pair};
use crate::parallel::for_each_index;
use crate::{BLOCK, Isa, Store};

/// Queries of a piece of work: two tiles.
const QUERIES: usize = 2 * TILE_TOKENS;

/// Positions whose keys and values are turned into tiles as one piece of work.
const POSITIONS: usize = 4 * BLOCK;

/// Fewer tokens are not worth the tiles.
const LEAST_TOKENS: usize = 8;

/// Keys and values of all heads as tiles: `[kv_heads, positions / 16, head_dim / 32]` with pairs of
/// channels as lines, and `[kv_heads, head_dim / 16, positions / 32]` with pairs of positions.
#[derive(Default)]
struct Packed {
    keys: Numbers<bf16>,
    values: Numbers<bf16>,
}

/// Room for one piece of work.
#[derive(Default)]
struct Room {
    queries: Numbers<bf16>,
    scores: Numbers<f32>,
    shares: Numbers<bf16>,
    mixed: Numbers<f32>,
}

thread_local! {
    /// Memory of a thread, which keeps its size from call to call.
    static PACKED: RefCell<Packed> = RefCell::default();
    static ROOM: RefCell<Room> = RefCell::default();
}

/// Whether the processor and the sizes allow it.
pub(super) fn can_run(attention: &Attention<'_>, isa: Isa) -> bool {
    isa.kind() == IsaKind::Amx
        && attention.tokens >= LEAST_TOKENS
        && attention.shape.head_dim.is_multiple_of(BLOCK)
}

/// Runs all heads; sizes were checked.
pub(super) fn run(attention: &Attention<'_>, isa: Isa, output: &SharedMut<'_, f32>) {
    // What waits for other threads may begin other work that needs the memory.
    let mut packed = PACKED.take();
    let sizes = Sizes::new(attention);
    packed.keys.resize(attention.shape.kv_heads * sizes.head());
    packed
        .values
        .resize(attention.shape.kv_heads * sizes.head());
    {
        let (keys, values) = (&mut packed.keys, &mut packed.values);
        let (keys, values) = (SharedMut::new(keys), SharedMut::new(values));
        let stretches = sizes.positions.div_ceil(POSITIONS);
        for_each_index(attention.shape.kv_heads * stretches, &|index| {
            let start = index % stretches * POSITIONS;
            for first in (start..sizes.positions.min(start + POSITIONS)).step_by(BLOCK) {
                // SAFETY: the processor has AVX-512 where it has tiles; pieces of work write other
                // tiles.
                unsafe { sizes.pack(attention, index / stretches, first, &keys, &values) };
            }
        });
    }
    let parts = attention.tokens.div_ceil(QUERIES);
    for_each_index(attention.shape.heads * parts, &|index| {
        // The last queries see most, so they come first.
        let (part, head) = (
            parts - 1 - index / attention.shape.heads,
            index % attention.shape.heads,
        );
        ROOM.with_borrow_mut(|room| {
            let piece = Piece {
                attention,
                isa,
                sizes,
                head,
                first: part * QUERIES,
            };
            // SAFETY: the processor has tiles; pieces of work write other numbers.
            unsafe { piece.run(&packed, room, output) };
        });
    });
    PACKED.set(packed);
}

/// Some queries of one head.
struct Piece<'a> {
    attention: &'a Attention<'a>,
    isa: Isa,
    sizes: Sizes,
    head: usize,
    /// The first query.
    first: usize,
}

impl Piece<'_> {
    /// # Safety
    ///
    /// The processor has tiles, and no other thread uses the numbers of these queries.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    unsafe fn run(&self, packed: &Packed, room: &mut Room, output: &SharedMut<'_, f32>) {
        debug_assert!(self.isa.kind() == IsaKind::Amx);
        let (attention, sizes) = (self.attention, self.sizes);
        let shape = attention.shape;
        let kv = self.head / (shape.heads / shape.kv_heads);
        let count = QUERIES.min(attention.tokens - self.first);
        let last = self.first + count - 1;
        let blocks = attention
            .visible
            .end(last, attention.cached.length)
            .div_ceil(BLOCK);
        room.queries.resize(2 * sizes.depth * TILE_NUMBERS);
        room.scores.resize(blocks * 4 * TILE_SUMS);
        room.shares.resize(2 * blocks * TILE_NUMBERS);
        room.mixed.resize(4 * TILE_SUMS);
        // SAFETY: the processor has AVX-512 where it has tiles.
        unsafe { self.lay_out(count, &mut room.queries) };
        // SAFETY: the promise of the caller; nothing until its end uses tiles but the kernel.
        let tiles = unsafe { TileState::new() };
        let queries = [0, 1].map(|tile| room.queries[tile * sizes.depth * TILE_NUMBERS..].as_ptr());
        for (block, scores) in room.scores.chunks_exact_mut(4 * TILE_SUMS).enumerate() {
            let keys = [0, 1].map(|inner| packed.keys[sizes.key(kv, 2 * block + inner)..].as_ptr());
            // SAFETY: queries and keys have a tile for each block of channels.
            unsafe { multiply_pair(queries, keys, scores, sizes.depth, Store::Set) };
        }
        let mut factors = [0.0; QUERIES];
        for (query, factor) in factors.iter_mut().enumerate().take(count) {
            // SAFETY: the processor has AVX-512 where it has tiles.
            let sum = unsafe { self.share(query, &room.scores, &mut room.shares) };
            // A query that sees nothing gets zeros.
            *factor = if sum == 0.0 { 0.0 } else { 1.0 / sum };
        }
        let shares = [0, 1].map(|tile| room.shares[tile * blocks * TILE_NUMBERS..].as_ptr());
        for pair in 0..sizes.depth {
            let values =
                [0, 1].map(|inner| packed.values[sizes.value(kv, 2 * pair + inner, 0)..].as_ptr());
            // SAFETY: shares and values have a tile for each block of positions.
            unsafe { multiply_pair(shares, values, &mut room.mixed, blocks, Store::Set) };
            for (query, factor) in factors.iter().enumerate().take(count) {
                let place = (self.first + query) * shape.heads + self.head;
                let place = place * shape.head_dim + pair * BLOCK;
                // SAFETY: the promise of the caller.
                let output = unsafe { output.range(place, BLOCK) };
                for (panel, output) in output.chunks_exact_mut(LANES).enumerate() {
                    let mixed = &room.mixed[line(query, panel)..][..LANES];
                    output
                        .iter_mut()
                        .zip(mixed)
                        .for_each(|(o, m)| *o = m * factor);
                }
            }
        }
        drop(tiles);
    }

    /// Writes the queries as tiles, such that their products with keys are powers of two.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    unsafe fn lay_out(&self, count: usize, tiles: &mut [bf16]) {
        let scale = _mm512_set1_ps(self.attention.scale() * std::f32::consts::LOG2_E);
        let depth = self.sizes.depth;
        for query in 0..QUERIES {
            for step in 0..depth {
                let mut halves = [_mm512_setzero_ps(); 2];
                if query < count {
                    let numbers = self.attention.query(self.first + query, self.head);
                    for (half, numbers) in halves
                        .iter_mut()
                        .zip(numbers[step * BLOCK..][..BLOCK].chunks_exact(LANES))
                    {
                        // SAFETY: sixteen numbers.
                        *half = _mm512_mul_ps(unsafe { _mm512_loadu_ps(numbers.as_ptr()) }, scale);
                    }
                }
                let place = (query / TILE_TOKENS * depth + step) * TILE_NUMBERS;
                let place = place + query % TILE_TOKENS * BLOCK;
                // SAFETY: 64 bytes.
                unsafe { put(&mut tiles[place..place + BLOCK], halves) };
            }
        }
    }

    /// Turns the scores of a query into shares that are still to be divided by their sum, and gives
    /// the sum.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    unsafe fn share(&self, query: usize, scores: &[f32], shares: &mut [bf16]) -> f32 {
        let blocks = scores.len() / (4 * TILE_SUMS);
        let hidden = _mm512_set1_ps(f32::NEG_INFINITY);
        let seen = |block: usize, panel: usize| {
            // SAFETY: the processor has AVX-512.
            unsafe { self.seen(query, block * BLOCK + panel * LANES) }
        };
        let score = |block: usize, panel: usize, mask: u16| {
            let place = block * 4 * TILE_SUMS + line(query, panel);
            let scores = &scores[place..place + LANES];
            // SAFETY: sixteen numbers.
            unsafe { _mm512_mask_loadu_ps(hidden, mask, scores.as_ptr()) }
        };
        let mut largest = [hidden; 2];
        for block in 0..blocks {
            for panel in 0..2 {
                let scores = score(block, panel, seen(block, panel));
                largest[panel] = _mm512_max_ps(scores, largest[panel]);
            }
        }
        let largest = _mm512_reduce_max_ps(_mm512_max_ps(largest[0], largest[1]));
        let largest = _mm512_set1_ps(if largest == f32::NEG_INFINITY {
            0.0
        } else {
            largest
        });
        let mut sums = [_mm512_setzero_ps(); 2];
        for block in 0..blocks {
            let mut powers = [_mm512_setzero_ps(); 2];
            for panel in 0..2 {
                let mask = seen(block, panel);
                let power = power_of_two(_mm512_sub_ps(score(block, panel, mask), largest));
                powers[panel] = _mm512_maskz_mov_ps(mask, power);
                sums[panel] = _mm512_add_ps(sums[panel], powers[panel]);
            }
            let place = (query / TILE_TOKENS * blocks + block) * TILE_NUMBERS;
            let place = place + query % TILE_TOKENS * BLOCK;
            // SAFETY: 64 bytes.
            unsafe { put(&mut shares[place..place + BLOCK], powers) };
        }
        _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
    }

    /// Which of sixteen positions a query sees.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn seen(&self, query: usize, position: usize) -> u16 {
        let (token, length) = (self.first + query, self.attention.cached.length);
        let end = self.attention.visible.end(token, length);
        let count = end.saturating_sub(position).min(LANES);
        let mask = ((1_u32 << count) - 1) as u16;
        match self.attention.visible {
            Visible::Rows(rows) if count > 0 => {
                let row = &rows[token * length + position..][..count];
                // SAFETY: the masked bytes are within the row.
                let row = unsafe { _mm_maskz_loadu_epi8(mask, row.as_ptr().cast()) };
                _mm_test_epi8_mask(row, row)
            }
            _ => mask,
        }
    }
}

/// Where sixteen sums of a query begin in the four tiles of two panels.
fn line(query: usize, panel: usize) -> usize {
    let tile = query / TILE_TOKENS * 2 + panel;
    tile * TILE_SUMS + query % TILE_TOKENS * LANES
}

/// Writes 32 numbers as bf16.
///
/// # Safety
///
/// There is room for them.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn put(numbers: &mut [bf16], [low, high]: [__m512; 2]) {
    debug_assert_eq!(numbers.len(), BLOCK);
    // SAFETY: `__m512bh` and `__m512i` are the same 64 bytes, for which the caller has room.
    unsafe {
        let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
        _mm512_storeu_si512(numbers.as_mut_ptr().cast(), both);
    }
}

/// `2^x` for numbers that are at most zero, within 3e-6 of it; NaN stays NaN.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn power_of_two(x: __m512) -> __m512 {
    let x = _mm512_max_ps(_mm512_set1_ps(-200.0), x);
    let whole = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let rest = _mm512_sub_ps(x, whole);
    // The powers of ln 2 over factorials.
    let mut value = _mm512_set1_ps(0.001_333_356);
    let first = std::f32::consts::LN_2;
    for coefficient in [0.009_618_129, 0.055_504_11, 0.240_226_5, first, 1.0] {
        value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(coefficient));
    }
    _mm512_scalef_ps(value, whole)
}
