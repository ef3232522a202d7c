//! Causal attention of the heads of one record, forth and back.

use expllm_kernels::Store;

use super::operand::{Operand, Products, Rows};
use super::vector::{dot, rotate, softmax, softmax_back, vectorised};

/// Queries that are held against keys together.
const BLOCK: usize = 32;

/// Heads, and sines and cosines of every position.
#[derive(Debug)]
pub(super) struct Attention {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// `[positions, head_dim / 2]`.
    pub cos: Vec<f32>,
    /// As `cos`.
    pub sin: Vec<f32>,
}

/// Memory of a thread.
#[derive(Debug, Default)]
pub(super) struct AttentionScratch {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    key_gradient: Vec<f32>,
    value_gradient: Vec<f32>,
    scores: Vec<f32>,
    above: Vec<f32>,
    mixed: Vec<f32>,
    means: Vec<f32>,
    keys: Operand,
    keys_right: Operand,
    values: Operand,
    queries: Operand,
    queries_right: Operand,
    shares: Operand,
    aboves: Operand,
}

impl Attention {
    /// Queries, keys and values of a token.
    pub fn projected(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// The output of all heads of a token.
    pub fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Fills `output`, `[length, heads * head_dim]`, from queries, keys and values; `log_sums`,
    /// `[heads, length]`, are kept for the way back.
    pub fn forward(
        &self,
        products: &mut Products,
        projected: &[f32],
        (output, log_sums): (&mut [f32], &mut [f32]),
        scratch: &mut AttentionScratch,
    ) {
        let length = projected.len() / self.projected();
        let (way, dim) = (products.way, self.head_dim);
        for group in 0..self.kv_heads {
            self.take_keys(projected, group, scratch);
            scratch.keys.right_turned(way, Rows::new(&scratch.key, dim));
            scratch.values.right(way, Rows::new(&scratch.value, dim));
            for head in self.heads_of(group) {
                self.take_queries(projected, head, &mut scratch.query);
                let log_sums = &mut log_sums[head * length..][..length];
                for start in (0..length).step_by(BLOCK) {
                    let width = self.scores(products, start, scratch);
                    shares(&mut scratch.scores, (start, width), log_sums);
                    let rows = Rows::new(&scratch.scores, width);
                    scratch.shares.left(way, rows);
                    scratch.mixed.resize(BLOCK * dim, 0.0);
                    let (sides, to) = ((&scratch.shares, &scratch.values), &mut scratch.mixed[..]);
                    products.multiply(sides, dim, (to, dim), Store::Set);
                    let rows = output.chunks_exact_mut(self.width()).skip(start);
                    for (row, mixed) in rows.zip(scratch.mixed.chunks_exact(dim)) {
                        row[head * dim..][..dim].copy_from_slice(mixed);
                    }
                }
            }
        }
    }

    /// Fills the gradient of queries, keys and values from that of the output.
    pub fn backward(
        &self,
        products: &mut Products,
        (projected, gradient): (&[f32], &mut [f32]),
        (output, log_sums): (&[f32], &[f32]),
        above: &[f32],
        scratch: &mut AttentionScratch,
    ) {
        let length = projected.len() / self.projected();
        let (way, dim) = (products.way, self.head_dim);
        for group in 0..self.kv_heads {
            self.take_keys(projected, group, scratch);
            scratch.keys.right_turned(way, Rows::new(&scratch.key, dim));
            scratch.keys_right.right(way, Rows::new(&scratch.key, dim));
            scratch
                .values
                .right_turned(way, Rows::new(&scratch.value, dim));
            for gradient in [&mut scratch.key_gradient, &mut scratch.value_gradient] {
                gradient.clear();
                gradient.resize(scratch.key.len(), 0.0);
            }
            for head in self.heads_of(group) {
                self.take_queries(projected, head, &mut scratch.query);
                self.means(output, above, head, &mut scratch.means);
                let log_sums = &log_sums[head * length..][..length];
                for start in (0..length).step_by(BLOCK) {
                    let block = (head, start);
                    self.backward_block(products, block, (log_sums, above), scratch);
                    self.put_queries(block, &mut scratch.mixed, gradient);
                }
            }
            self.put_keys(group, scratch, gradient);
        }
    }

    fn heads_of(&self, group: usize) -> std::ops::Range<usize> {
        let shared = self.heads / self.kv_heads;
        group * shared..(group + 1) * shared
    }

    /// Scores of a block of queries against keys that are not after all of them; their count.
    fn scores(
        &self,
        products: &mut Products,
        start: usize,
        scratch: &mut AttentionScratch,
    ) -> usize {
        let (dim, width) = (self.head_dim, start + BLOCK);
        let queries = Rows::new(&scratch.query[start * dim..][..BLOCK * dim], dim);
        scratch.queries.left(products.way, queries);
        scratch.scores.resize(BLOCK * width, 0.0);
        let (sides, to) = ((&scratch.queries, &scratch.keys), &mut scratch.scores[..]);
        products.multiply(sides, width, (to, width), Store::Set);
        width
    }

    /// The gradient of a block of queries, in `mixed`; those of keys and values are added to.
    fn backward_block(
        &self,
        products: &mut Products,
        (head, start): (usize, usize),
        (log_sums, above): (&[f32], &[f32]),
        scratch: &mut AttentionScratch,
    ) {
        let (way, dim) = (products.way, self.head_dim);
        let width = self.scores(products, start, scratch);
        let queries = Rows::new(&scratch.query[start * dim..][..BLOCK * dim], dim);
        scratch.queries_right.right(way, queries);
        scratch.mixed.clear();
        let rows = above.chunks_exact(self.width()).skip(start).take(BLOCK);
        rows.for_each(|row| scratch.mixed.extend_from_slice(&row[head * dim..][..dim]));
        scratch.mixed.resize(BLOCK * dim, 0.0);
        let rows = Rows::new(&scratch.mixed, dim);
        scratch.queries.left(way, rows);
        scratch.aboves.right(way, rows);
        scratch.above.resize(BLOCK * width, 0.0);
        let (sides, to) = ((&scratch.queries, &scratch.values), &mut scratch.above[..]);
        products.multiply(sides, width, (to, width), Store::Set);
        let sums = (log_sums, &scratch.means[..]);
        shares_back(
            &mut scratch.scores,
            (start, width),
            sums,
            &mut scratch.above,
        );
        for (numbers, right, gradient) in [
            (
                &scratch.scores,
                &scratch.aboves,
                &mut scratch.value_gradient,
            ),
            (
                &scratch.above,
                &scratch.queries_right,
                &mut scratch.key_gradient,
            ),
        ] {
            scratch.shares.left_turned(way, Rows::new(numbers, width));
            products.multiply((&scratch.shares, right), dim, (gradient, dim), Store::Add);
        }
        scratch.shares.left(way, Rows::new(&scratch.above, width));
        let (sides, to) = (
            (&scratch.shares, &scratch.keys_right),
            &mut scratch.mixed[..],
        );
        products.multiply(sides, dim, (to, dim), Store::Set);
    }

    /// Keys, turned by their positions, and values of a group; rows of zeros fill the last block.
    fn take_keys(&self, projected: &[f32], group: usize, scratch: &mut AttentionScratch) {
        let dim = self.head_dim;
        let first = (self.heads + group) * dim;
        self.take(projected, first, &mut scratch.key);
        self.turn(&mut scratch.key, 1.0, false);
        self.take(projected, first + self.kv_heads * dim, &mut scratch.value);
    }

    /// Queries of a head, turned by their positions and scaled.
    fn take_queries(&self, projected: &[f32], head: usize, query: &mut Vec<f32>) {
        self.take(projected, head * self.head_dim, query);
        self.turn(query, self.scale(), false);
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    fn take(&self, projected: &[f32], first: usize, head: &mut Vec<f32>) {
        head.clear();
        for row in projected.chunks_exact(self.projected()) {
            head.extend_from_slice(&row[first..first + self.head_dim]);
        }
        let length = projected.len() / self.projected();
        head.resize(length.next_multiple_of(BLOCK) * self.head_dim, 0.0);
    }

    /// Turns rows that begin at the first position, and scales them.
    fn turn(&self, rows: &mut [f32], scale: f32, back: bool) {
        self.turn_from(0, rows, scale, back);
    }

    fn turn_from(&self, start: usize, rows: &mut [f32], scale: f32, back: bool) {
        let half = self.head_dim / 2;
        let angles = self.cos.chunks_exact(half).zip(self.sin.chunks_exact(half));
        vectorised!({
            let rows = rows.chunks_exact_mut(self.head_dim);
            for (row, (cos, sin)) in rows.zip(angles.skip(start)) {
                rotate(row, cos, sin, back);
                row.iter_mut().for_each(|number| *number *= scale);
            }
        });
    }

    /// The mean gradient of the shares of each query.
    fn means(&self, output: &[f32], above: &[f32], head: usize, means: &mut Vec<f32>) {
        let (dim, width) = (self.head_dim, self.width());
        let rows = output.chunks_exact(width).zip(above.chunks_exact(width));
        means.clear();
        vectorised!(means.extend(rows.map(|(output, above)| {
            let at = head * dim..(head + 1) * dim;
            dot(&output[at.clone()], &above[at])
        })));
    }

    /// Writes the gradient of a block of queries.
    fn put_queries(&self, (head, start): (usize, usize), block: &mut [f32], gradient: &mut [f32]) {
        self.turn_from(start, block, self.scale(), true);
        let rows = gradient.chunks_exact_mut(self.projected()).skip(start);
        put(rows, block, (head * self.head_dim, self.head_dim));
    }

    /// Writes the gradient of keys and values of a group.
    fn put_keys(&self, group: usize, scratch: &mut AttentionScratch, gradient: &mut [f32]) {
        let dim = self.head_dim;
        let first = (self.heads + group) * dim;
        self.turn(&mut scratch.key_gradient, 1.0, true);
        let rows = gradient.chunks_exact_mut(self.projected());
        put(rows, &scratch.key_gradient, (first, dim));
        let rows = gradient.chunks_exact_mut(self.projected());
        let first = first + self.kv_heads * dim;
        put(rows, &scratch.value_gradient, (first, dim));
    }
}

fn put<'a>(rows: impl Iterator<Item = &'a mut [f32]>, head: &[f32], (first, dim): (usize, usize)) {
    for (row, head) in rows.zip(head.chunks_exact(dim)) {
        row[first..first + dim].copy_from_slice(head);
    }
}

/// Turns the scores of a block into shares of what each query may see; rows after the last token
/// become zero.
fn shares(scores: &mut [f32], (start, width): (usize, usize), log_sums: &mut [f32]) {
    vectorised!({
        for (row, scores) in scores.chunks_exact_mut(width).enumerate() {
            let Some(log_sum) = log_sums.get_mut(start + row) else {
                scores.fill(0.0);
                continue;
            };
            let (seen, hidden) = scores.split_at_mut(start + row + 1);
            *log_sum = softmax(seen);
            hidden.fill(0.0);
        }
    });
}

/// Turns scores into shares and the gradient of shares into that of scores.
fn shares_back(
    scores: &mut [f32],
    (start, width): (usize, usize),
    (log_sums, means): (&[f32], &[f32]),
    above: &mut [f32],
) {
    vectorised!({
        let rows = scores.chunks_exact_mut(width);
        for (row, (scores, above)) in rows.zip(above.chunks_exact_mut(width)).enumerate() {
            let seen = match log_sums.get(start + row) {
                Some(&log_sum) => {
                    let seen = start + row + 1;
                    let (scores, above) = (&mut scores[..seen], &mut above[..seen]);
                    softmax_back(scores, log_sum, means[start + row], above);
                    seen
                }
                None => 0,
            };
            scores[seen..].fill(0.0);
            above[seen..].fill(0.0);
        }
    });
}
