//! Attention over a cache of keys and values.
#![allow(unsafe_code)] // Heads write parts of one output, and instructions.

mod panels;
mod streamed;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tiles;

use std::cell::RefCell;

use half::f16;

use self::streamed::{Query, Streamed};
use crate::Isa;
use crate::buffer::Numbers;
use crate::disjoint::SharedMut;
use crate::input::{FEW_TOKENS, InputKind};
use crate::parallel::for_each_index;

/// Tokens up to which the cache is read for each query, without unpacking.
const STREAMED_TOKENS: usize = FEW_TOKENS;

/// Sizes of grouped-query attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Heads of keys and values, a divisor of `heads`; neighbouring query heads share one.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub head_dim: usize,
}

/// Numbers of keys or values.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum CachedNumbers<'a> {
    /// f16 numbers.
    F16(&'a [f16]),
    /// f32 numbers.
    F32(&'a [f32]),
}

/// Keys and values that queries attend to.
#[derive(Debug, Clone, Copy)]
pub struct Cached<'a> {
    /// Keys; number `d` of head `h` at position `p` stands at
    /// `h * head_stride + p * position_stride + d`.
    pub keys: CachedNumbers<'a>,
    /// Values, placed as the keys.
    pub values: CachedNumbers<'a>,
    /// Numbers from one head to the next.
    pub head_stride: usize,
    /// Numbers from one position to the next.
    pub position_stride: usize,
    /// Positions.
    pub length: usize,
}

/// Which positions a query may see.
#[derive(Debug, Clone, Copy)]
pub enum Visible<'a> {
    /// All.
    All,
    /// Query `i` sees the positions up to `start + i`.
    Causal {
        /// Positions before those of the queries.
        start: usize,
    },
    /// One row of positions for each query.
    Rows(&'a [bool]),
}

impl Visible<'_> {
    /// Positions beyond which a query sees nothing.
    fn end(self, query: usize, length: usize) -> usize {
        match self {
            Self::Causal { start } => length.min(start + query + 1),
            Self::All | Self::Rows(_) => length,
        }
    }

    fn hide(self, query: usize, length: usize, scores: &mut [f32]) {
        if let Self::Rows(rows) = self {
            let row = &rows[query * length..(query + 1) * length];
            for (score, seen) in scores.iter_mut().zip(row) {
                *score = if *seen { *score } else { f32::NEG_INFINITY };
            }
        }
    }
}

/// Queries and what they attend to.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Sizes.
    pub shape: AttentionShape,
    /// Queries; number `d` of head `h` of token `t` stands at `t * query_stride + h * head_dim + d`.
    pub query: &'a [f32],
    /// Numbers from one token to the next.
    pub query_stride: usize,
    /// Tokens.
    pub tokens: usize,
    /// Keys and values.
    pub cached: Cached<'a>,
    /// What may be seen.
    pub visible: Visible<'a>,
    /// Whether many tokens may meet keys and values in bf16, where the processor multiplies tiles
    /// of it; else all is f32.
    pub halved: bool,
}

#[derive(Default)]
struct Scratch {
    keys: Numbers<f32>,
    values: Numbers<f32>,
    row: Vec<f32>,
    rows: Vec<f32>,
    packed: Numbers<f32>,
    scores: Vec<f32>,
}

thread_local! {
    /// Memory of a thread, which keeps its size from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Attention<'_> {
    /// `softmax(q kᵀ / sqrt(head_dim)) v` for every head and token, sums in f32; a token that sees
    /// nothing gets zeros. The heads are shared among threads.
    ///
    /// `output` is `[tokens, heads * head_dim]`.
    ///
    /// # Panics
    ///
    /// When a slice does not hold what the sizes say.
    pub fn run(&self, isa: Isa, output: &mut [f32]) {
        self.assert_sizes(output.len());
        if self.tokens == 0 {
            return;
        }
        let output = SharedMut::new(output);
        #[cfg(target_arch = "x86_64")]
        if self.halved && tiles::can_run(self, isa) {
            return tiles::run(self, isa, &output);
        }
        let streams = self.streams();
        let work = |head: usize| {
            SCRATCH.with_borrow_mut(|scratch| match streams {
                // SAFETY: each head writes numbers of its own queries, and runs once.
                true => unsafe { self.stream_head(isa, head, scratch, &output) },
                // SAFETY: as above, for the heads that share one of keys.
                false => unsafe { self.run_head(isa, head, scratch, &output) },
            });
        };
        let heads = match streams {
            true => self.shape.heads,
            false => self.shape.kv_heads,
        };
        let numbers = self.tokens * self.cached.length * self.shape.heads * self.shape.head_dim;
        match numbers < 1 << 15 {
            true => (0..heads).for_each(work),
            false => for_each_index(heads, &work),
        }
    }

    /// Whether queries are so few that each reads the cache for itself.
    fn streams(&self) -> bool {
        let halves = (self.cached.keys, self.cached.values);
        matches!(halves, (CachedNumbers::F16(_), CachedNumbers::F16(_)))
            && self.tokens <= STREAMED_TOKENS
    }

    fn assert_sizes(&self, output: usize) {
        let AttentionShape {
            heads,
            kv_heads,
            head_dim,
        } = self.shape;
        let cached = &self.cached;
        assert!(
            kv_heads > 0 && head_dim > 0 && heads > 0 && heads.is_multiple_of(kv_heads),
            "no heads"
        );
        assert!(cached.length > 0, "nothing to attend to");
        let last =
            (kv_heads - 1) * cached.head_stride + (cached.length - 1) * cached.position_stride;
        for numbers in [cached.keys, cached.values] {
            let found = match numbers {
                CachedNumbers::F16(numbers) => numbers.len(),
                CachedNumbers::F32(numbers) => numbers.len(),
            };
            assert!(found >= last + head_dim, "keys or values are too few");
        }
        assert_eq!(output, self.tokens * heads * head_dim, "output");
        let queries = self.tokens.saturating_sub(1) * self.query_stride + heads * head_dim;
        assert!(self.tokens == 0 || self.query.len() >= queries, "queries");
        if let Visible::Rows(rows) = self.visible {
            assert_eq!(rows.len(), self.tokens * cached.length, "visible positions");
        }
    }

    /// All tokens of one query head, straight from the cache.
    ///
    /// # Safety
    ///
    /// No other thread uses the numbers of this head.
    unsafe fn stream_head(
        &self,
        isa: Isa,
        head: usize,
        scratch: &mut Scratch,
        output: &SharedMut<'_, f32>,
    ) {
        let (CachedNumbers::F16(keys), CachedNumbers::F16(values)) =
            (self.cached.keys, self.cached.values)
        else {
            return;
        };
        let group = self.shape.heads / self.shape.kv_heads;
        let start = head / group * self.cached.head_stride;
        let stride = self.cached.position_stride;
        for token in 0..self.tokens {
            let place = (token * self.shape.heads + head) * self.shape.head_dim;
            // SAFETY: the promise of the caller.
            let output = unsafe { output.range(place, self.shape.head_dim) };
            let cache = [keys, values].map(|numbers| Streamed {
                numbers: &numbers[start..],
                stride,
            });
            let numbers = self.query(token, head);
            self.stream(isa, &Query { token, numbers }, cache, scratch, output);
        }
    }

    /// All tokens of the query heads that share head `kv`.
    ///
    /// # Safety
    ///
    /// No other thread uses the numbers of these heads.
    unsafe fn run_head(
        &self,
        isa: Isa,
        kv: usize,
        scratch: &mut Scratch,
        output: &SharedMut<'_, f32>,
    ) {
        let group = self.shape.heads / self.shape.kv_heads;
        self.unpack(kv, scratch);
        for head in kv * group..(kv + 1) * group {
            let step = InputKind::F32.tile(isa);
            for token in (0..self.tokens).step_by(step) {
                let tokens = token..self.tokens.min(token + step);
                // SAFETY: the promise of the caller.
                unsafe { self.run_tile(isa, tokens, head, scratch, output) };
            }
        }
    }

    fn query(&self, token: usize, head: usize) -> &[f32] {
        let start = token * self.query_stride + head * self.shape.head_dim;
        &self.query[start..start + self.shape.head_dim]
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape.head_dim as f32).sqrt()
    }
}
