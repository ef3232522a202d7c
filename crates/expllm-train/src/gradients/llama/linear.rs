//! Linear layers with low-rank adapters over a group of tokens.

use expllm_kernels::Store;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::operand::{Operand, Products, Rows, Way};
use super::vector::{add, vectorised};
use super::weights::{Adapter, Projection};

/// What adapters have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LoraSettings {
    /// Rows of `A`.
    pub rank: usize,
    /// Multiplies what an adapter adds.
    pub scale: f32,
    /// Share of inputs that are left out.
    pub dropout: f32,
}

/// A projection as products read it.
#[derive(Debug, Clone, Default)]
pub(super) struct Linear {
    inputs: usize,
    pub outputs: usize,
    forth: Operand,
    back: Operand,
    adapters: Vec<PackedAdapter>,
    lora: LoraSettings,
}

#[derive(Debug, Clone, Default)]
struct PackedAdapter {
    first: usize,
    outputs: usize,
    a: Operand,
    a_back: Operand,
    b: Operand,
    b_back: Operand,
}

/// Memory of a thread.
#[derive(Debug, Default)]
pub(super) struct LinearScratch {
    left: Operand,
    right: Operand,
    /// The input of an adapter after dropout.
    kept: Vec<f32>,
    inner: Vec<f32>,
    inner_gradient: Vec<f32>,
    below: Vec<f32>,
}

impl Linear {
    /// Packs weights and adapters.
    pub fn pack(&mut self, way: Way, inputs: usize, from: &Projection) {
        let rows = Rows::new(&from.weight, inputs);
        (self.inputs, self.outputs) = (inputs, rows.rows);
        self.forth.right_turned(way, rows);
        self.back.right(way, rows);
    }

    /// Packs adapters alone.
    pub fn pack_adapters(&mut self, way: Way, from: &Projection, lora: LoraSettings) {
        self.lora = lora;
        let packed = from.adapters.iter().map(|adapter| {
            let (a, b) = (
                Rows::new(&adapter.a, self.inputs),
                Rows::new(&adapter.b, lora.rank),
            );
            let mut packed = PackedAdapter {
                first: adapter.first,
                outputs: b.rows,
                ..PackedAdapter::default()
            };
            packed.a.right_turned(way, a);
            packed.a_back.right(way, a);
            packed.b.right_turned(way, b);
            packed.b_back.right(way, b);
            packed
        });
        self.adapters = packed.collect();
    }

    /// Output for rows of tokens; `seed` says what adapters leave out.
    pub fn forward(
        &self,
        products: &mut Products,
        input: &[f32],
        (output, store): (&mut [f32], Store),
        seed: u64,
        scratch: &mut LinearScratch,
    ) {
        let way = products.way;
        scratch.left.left(way, Rows::new(input, self.inputs));
        let sides = (&scratch.left, &self.forth);
        products.multiply(sides, self.outputs, (output, self.outputs), store);
        for (index, adapter) in self.adapters.iter().enumerate() {
            self.inner(products, (adapter, index), input, seed, scratch);
            let inner = Rows::new(&scratch.inner, self.lora.rank);
            scratch.left.left(way, inner);
            let sides = (&scratch.left, &adapter.b);
            let to = (&mut output[adapter.first..], self.outputs);
            products.multiply(sides, adapter.outputs, to, Store::Add);
        }
    }

    /// Adds the gradients of weights and adapters, and fills that of the input.
    pub fn backward(
        &self,
        products: &mut Products,
        (input, below): (&[f32], &mut [f32]),
        (above, gradient): (&[f32], &mut Projection),
        seed: u64,
        scratch: &mut LinearScratch,
    ) {
        let way = products.way;
        let rows = Rows::new(above, self.outputs);
        scratch.left.left(way, rows);
        let sides = (&scratch.left, &self.back);
        products.multiply(sides, self.inputs, (below, self.inputs), Store::Set);
        if !gradient.weight.is_empty() {
            scratch.left.left_turned(way, rows);
            scratch.right.right(way, Rows::new(input, self.inputs));
            let (sides, to) = ((&scratch.left, &scratch.right), &mut gradient.weight);
            products.multiply(sides, self.inputs, (to, self.inputs), Store::Add);
        }
        let pairs = self.adapters.iter().zip(&mut gradient.adapters);
        for (index, (adapter, gradient)) in pairs.enumerate() {
            self.inner(products, (adapter, index), input, seed, scratch);
            self.backward_adapter(products, adapter, (above, gradient), scratch);
            if self.lora.dropout > 0.0 {
                let kept = self.kept_share();
                let mut rng = self.noise(seed, index);
                for below in &mut scratch.below {
                    *below *= if rng.random::<f32>() < kept {
                        1.0 / kept
                    } else {
                        0.0
                    };
                }
            }
            add(below, &scratch.below);
        }
    }

    fn backward_adapter(
        &self,
        products: &mut Products,
        adapter: &PackedAdapter,
        (above, gradient): (&[f32], &mut Adapter),
        scratch: &mut LinearScratch,
    ) {
        let (way, rank) = (products.way, self.lora.rank);
        let rows = Rows {
            numbers: &above[adapter.first..],
            rows: above.len() / self.outputs,
            columns: adapter.outputs,
            stride: self.outputs,
        };
        scratch.left.left_turned(way, rows);
        scratch.right.right(way, Rows::new(&scratch.inner, rank));
        let sides = (&scratch.left, &scratch.right);
        products.multiply(sides, rank, (&mut gradient.b, rank), Store::Add);
        scratch.left.left(way, rows);
        let inner = &mut scratch.inner_gradient;
        inner.resize(rows.rows * rank, 0.0);
        let sides = (&scratch.left, &adapter.b_back);
        products.multiply(sides, rank, (inner, rank), Store::Set);
        scale(inner, self.lora.scale);
        let inner = Rows::new(inner, rank);
        scratch.left.left_turned(way, inner);
        scratch
            .right
            .right(way, Rows::new(&scratch.kept, self.inputs));
        let (sides, to) = ((&scratch.left, &scratch.right), &mut gradient.a);
        products.multiply(sides, self.inputs, (to, self.inputs), Store::Add);
        scratch.left.left(way, inner);
        scratch.below.resize(rows.rows * self.inputs, 0.0);
        let (sides, to) = ((&scratch.left, &adapter.a_back), &mut scratch.below);
        products.multiply(sides, self.inputs, (to, self.inputs), Store::Set);
    }

    /// Fills `inner` with the scaled output of `A`, and `kept` with its input.
    fn inner(
        &self,
        products: &mut Products,
        (adapter, index): (&PackedAdapter, usize),
        input: &[f32],
        seed: u64,
        scratch: &mut LinearScratch,
    ) {
        let rank = self.lora.rank;
        scratch.kept.clear();
        scratch.kept.extend_from_slice(input);
        if self.lora.dropout > 0.0 {
            let kept = self.kept_share();
            let mut rng = self.noise(seed, index);
            for number in &mut scratch.kept {
                *number *= if rng.random::<f32>() < kept {
                    1.0 / kept
                } else {
                    0.0
                };
            }
        }
        let rows = Rows::new(&scratch.kept, self.inputs);
        scratch.left.left(products.way, rows);
        scratch.inner.resize(rows.rows * rank, 0.0);
        let (sides, to) = ((&scratch.left, &adapter.a), &mut scratch.inner);
        products.multiply(sides, rank, (to, rank), Store::Set);
        scale(&mut scratch.inner, self.lora.scale);
    }

    fn kept_share(&self) -> f32 {
        1.0 - self.lora.dropout
    }

    /// The same numbers forth and back.
    fn noise(&self, seed: u64, index: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((index + 8 * self.outputs) as u64);
        rng
    }
}

fn scale(numbers: &mut [f32], by: f32) {
    vectorised!(numbers.iter_mut().for_each(|number| *number *= by));
}
