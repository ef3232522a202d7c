//! A layer over a group of records, forth and back.

use std::ops::Range;

use expllm_kernels::Store;

use super::attention::{Attention, AttentionScratch};
use super::linear::{Linear, LinearScratch};
use super::operand::Products;
use super::vector::{gated, gated_back, norm, norm_back};
use super::weights::Layer;

/// A layer as products read it.
#[derive(Debug, Clone, Default)]
pub(super) struct PackedLayer {
    pub before_attention: Vec<f32>,
    pub projected: Linear,
    pub mixed: Linear,
    pub before_gates: Vec<f32>,
    pub gates: Linear,
    pub down: Linear,
    pub eps: f32,
}

/// What the way back needs to know of the way forth.
#[derive(Debug, Default)]
pub(super) struct LayerTape {
    pub input: Vec<f32>,
    projected: Vec<f32>,
    mixed: Vec<f32>,
    log_sums: Vec<f32>,
    middle: Vec<f32>,
    gates: Vec<f32>,
}

/// Memory of a thread.
#[derive(Debug)]
pub(super) struct Scratch {
    pub products: Products,
    attention: AttentionScratch,
    pub linear: LinearScratch,
    normed: Vec<f32>,
    hidden: Vec<f32>,
    below: Vec<f32>,
    wide: Vec<f32>,
}

impl Scratch {
    pub fn new(products: Products) -> Self {
        Self {
            products,
            attention: AttentionScratch::default(),
            linear: LinearScratch::default(),
            normed: Vec::new(),
            hidden: Vec::new(),
            below: Vec::new(),
            wide: Vec::new(),
        }
    }
}

impl PackedLayer {
    /// Fills `output`, `[tokens, width]`, from the input on the tape.
    pub fn forward(
        &self,
        attention: &Attention,
        (records, seed): (&[Range<usize>], u64),
        tape: &mut LayerTape,
        output: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        let width = self.before_attention.len();
        let tokens = tape.input.len() / width;
        let Scratch {
            products, linear, ..
        } = scratch;
        scratch.normed.resize(tape.input.len(), 0.0);
        let normed = &mut scratch.normed[..];
        norm(&tape.input, &self.before_attention, self.eps, normed);
        tape.projected.resize(tokens * self.projected.outputs, 0.0);
        let to = (&mut tape.projected[..], Store::Set);
        self.projected.forward(products, normed, to, seed, linear);

        tape.mixed.clear();
        tape.mixed.resize(tokens * attention.width(), 0.0);
        tape.log_sums.resize(tokens * attention.heads, 0.0);
        for record in records {
            attention.forward(
                products,
                &tape.projected[of(record, attention.projected())],
                (
                    &mut tape.mixed[of(record, attention.width())],
                    &mut tape.log_sums[of(record, attention.heads)],
                ),
                &mut scratch.attention,
            );
        }
        tape.middle.clone_from(&tape.input);
        let to = (&mut tape.middle[..], Store::Add);
        self.mixed.forward(products, &tape.mixed, to, seed, linear);

        norm(&tape.middle, &self.before_gates, self.eps, normed);
        tape.gates.resize(tokens * self.gates.outputs, 0.0);
        let to = (&mut tape.gates[..], Store::Set);
        self.gates.forward(products, normed, to, seed, linear);
        let hidden = self.gates.outputs / 2;
        scratch.hidden.resize(tokens * hidden, 0.0);
        gated(&tape.gates, hidden, &mut scratch.hidden);
        output.clone_from(&tape.middle);
        let to = (&mut output[..], Store::Add);
        self.down
            .forward(products, &scratch.hidden, to, seed, linear);
    }

    /// Turns the gradient of the output into that of the input, in its place; spoils the tape.
    pub fn backward(
        &self,
        attention: &Attention,
        (records, seed): (&[Range<usize>], u64),
        tape: &mut LayerTape,
        (above, gradient): (&mut [f32], &mut Layer),
        scratch: &mut Scratch,
    ) {
        self.backward_gates(seed, tape, (above, gradient), scratch);
        let Scratch {
            products, linear, ..
        } = scratch;
        scratch.below.resize(tape.mixed.len(), 0.0);
        let sides = (&tape.mixed[..], &mut scratch.below[..]);
        let from = (&above[..], &mut gradient.mixed);
        self.mixed.backward(products, sides, from, seed, linear);
        scratch.wide.clear();
        scratch.wide.resize(tape.projected.len(), 0.0);
        for record in records {
            let at = of(record, attention.projected());
            let mixed = of(record, attention.width());
            attention.backward(
                products,
                (&tape.projected[at.clone()], &mut scratch.wide[at]),
                (
                    &tape.mixed[mixed.clone()],
                    &tape.log_sums[of(record, attention.heads)],
                ),
                &scratch.below[mixed],
                &mut scratch.attention,
            );
        }
        let normed = &mut scratch.normed[..];
        norm(&tape.input, &self.before_attention, self.eps, normed);
        scratch.below.resize(above.len(), 0.0);
        let sides = (&normed[..], &mut scratch.below[..]);
        let from = (&scratch.wide[..], &mut gradient.projected);
        self.projected.backward(products, sides, from, seed, linear);
        norm_back(
            (&tape.input, &self.before_attention, self.eps),
            &scratch.below,
            above,
            wanted(&mut gradient.before_attention),
        );
    }

    fn backward_gates(
        &self,
        seed: u64,
        tape: &mut LayerTape,
        (above, gradient): (&mut [f32], &mut Layer),
        scratch: &mut Scratch,
    ) {
        let Scratch {
            products, linear, ..
        } = scratch;
        let hidden = self.gates.outputs / 2;
        let count = tape.gates.len() / 2;
        scratch.hidden.resize(count, 0.0);
        scratch.wide.resize(count, 0.0);
        gated(&tape.gates, hidden, &mut scratch.hidden);
        let sides = (&scratch.hidden[..], &mut scratch.wide[..]);
        let from = (&above[..], &mut gradient.down);
        self.down.backward(products, sides, from, seed, linear);
        gated_back(&scratch.wide, hidden, &mut tape.gates);
        scratch.normed.resize(above.len(), 0.0);
        norm(
            &tape.middle,
            &self.before_gates,
            self.eps,
            &mut scratch.normed,
        );
        scratch.below.resize(above.len(), 0.0);
        let sides = (&scratch.normed[..], &mut scratch.below[..]);
        let from = (&tape.gates[..], &mut gradient.gates);
        self.gates.backward(products, sides, from, seed, linear);
        norm_back(
            (&tape.middle, &self.before_gates, self.eps),
            &scratch.below,
            above,
            wanted(&mut gradient.before_gates),
        );
    }
}

/// A gradient, unless it is left out.
pub(super) fn wanted(gradient: &mut [f32]) -> Option<&mut [f32]> {
    (!gradient.is_empty()).then_some(gradient)
}

fn of(record: &Range<usize>, width: usize) -> Range<usize> {
    record.start * width..record.end * width
}
