//! Scores of tokens and their cross entropy, forth and back.

use expllm_kernels::Store;

use super::Target;
use super::layer::Scratch;
use super::operand::{Operand, Rows, Way};
use super::vector::{cross_entropy, vectorised};
use super::weights::LlamaNumbers;

/// Scores that are held at once.
const SCORES: usize = 1 << 20;

/// The head as products read it.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    vocab: usize,
    width: usize,
    forth: Operand,
    back: Operand,
}

impl Head {
    /// Packs the head, or the embedding that takes its place.
    pub fn pack(&mut self, way: Way, width: usize, numbers: &LlamaNumbers) {
        let table = match numbers.head.is_empty() {
            true => &numbers.embedding,
            false => &numbers.head,
        };
        let rows = Rows::new(table, width);
        (self.vocab, self.width) = (rows.rows, width);
        self.forth.right_turned(way, rows);
        self.back.right(way, rows);
    }

    /// Adds to losses, and to the gradient of the weights where that is wanted; returns the
    /// gradient of the input. Each target comes with the record that it belongs to.
    pub fn step(
        &self,
        (targets, losses): (&[(usize, usize, Target)], &mut [f32]),
        input: &[f32],
        mut gradient: Option<&mut [f32]>,
        scratch: &mut Scratch,
    ) -> Vec<f32> {
        let (width, vocab) = (self.width, self.vocab);
        let some = (SCORES / vocab.max(1)).next_multiple_of(32);
        let mut below = vec![0.0; input.len()];
        let mut scores = Vec::new();
        let (mut left, mut right) = (Operand::default(), Operand::default());
        let products = &mut scratch.products;
        let way = products.way;
        let portions = targets.chunks(some).zip(input.chunks(some * width));
        for ((targets, input), below) in portions.zip(below.chunks_mut(some * width)) {
            scores.resize(targets.len() * vocab, 0.0);
            left.left(way, Rows::new(input, width));
            products.multiply(
                (&left, &self.forth),
                vocab,
                (&mut scores, vocab),
                Store::Set,
            );
            vectorised!({
                for ((record, _, target), scores) in
                    targets.iter().zip(scores.chunks_exact_mut(vocab))
                {
                    losses[*record] += cross_entropy(scores, target.token, target.weight);
                }
            });
            let rows = Rows::new(&scores, vocab);
            left.left(way, rows);
            products.multiply((&left, &self.back), width, (below, width), Store::Set);
            if let Some(gradient) = gradient.as_deref_mut() {
                left.left_turned(way, rows);
                right.right(way, Rows::new(input, width));
                products.multiply((&left, &right), width, (gradient, width), Store::Add);
            }
        }
        below
    }
}
