//! Convolutions of one pixel: products of pixels and a matrix.
// Loops over registers of several arrays at once, unrolled.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::multiply_add;

/// Most pixels of a tile.
const MAX_PIXELS: usize = 12;

/// Inputs that are multiplied between two checks of bounds; divides the number of inputs.
pub(crate) const STEP: usize = 4;

/// What becomes of the numbers in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Set,
    Add,
}

/// A matrix and a bias from the channels of a pixel to others, and what is done with the sum.
#[derive(Debug, Clone)]
pub(crate) struct Pointwise {
    inputs: usize,
    outputs: usize,
    /// Vectors of outputs per panel.
    vectors: usize,
    /// Outputs per panel.
    width: usize,
    /// For each panel, `width` weights for each input; zero beyond the last output.
    panels: Vec<f32>,
    bias: Vec<f32>,
    relu: bool,
}

impl Pointwise {
    /// Packs `weight`, `[outputs, inputs]` with a multiple of [`STEP`] inputs, for vectors of
    /// `lanes` numbers.
    pub(crate) fn pack(lanes: usize, weight: &[f32], bias: &[f32], relu: bool) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        let total = outputs.div_ceil(lanes);
        let vectors = [3, 2, 1]
            .into_iter()
            .find(|&v| total.is_multiple_of(v))
            .unwrap_or(1);
        let width = vectors * lanes;
        let padded = outputs.next_multiple_of(width);
        let mut panels = vec![0.0; padded * inputs];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / width * width * inputs..];
            for (input, &number) in row.iter().enumerate() {
                panel[input * width + output % width] = number;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(padded, 0.0);
        Self {
            inputs,
            outputs,
            vectors,
            width,
            panels,
            bias,
            relu,
        }
    }

    /// Channels that go out.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The outputs of every pixel of `input`, `[pixels, inputs]`, into `[pixels, outputs]`.
    pub(crate) fn run<S: Simd>(&self, simd: S, input: &[f32], output: &mut [f32], store: Store) {
        self.run_panels(simd, 0..self.panels(), input, output, store);
    }

    /// The same panel by panel: quicker where the weights of all panels fill more than the cache
    /// that is near.
    pub(crate) fn run_by_panel<S: Simd>(&self, simd: S, input: &[f32], output: &mut [f32]) {
        for panel in 0..self.panels() {
            self.run_panels(simd, panel..panel + 1, input, output, Store::Set);
        }
    }

    fn panels(&self) -> usize {
        self.outputs.div_ceil(self.width)
    }

    fn run_panels<S: Simd>(
        &self,
        simd: S,
        panels: Range<usize>,
        input: &[f32],
        output: &mut [f32],
        store: Store,
    ) {
        let pixels = input.len() / self.inputs;
        let most = (sums::<S>() / self.vectors).min(MAX_PIXELS);
        let tiles = pixels.div_ceil(most).max(1);
        let mut start = 0;
        for tile in 0..tiles {
            let end = (tile + 1) * pixels / tiles;
            let part = Part {
                layer: self,
                panels: panels.clone(),
                input: &input[start * self.inputs..end * self.inputs],
                output: &mut output[start * self.outputs..end * self.outputs],
                store,
            };
            match self.vectors {
                1 => part.run::<S, 1>(simd, end - start),
                2 => part.run::<S, 2>(simd, end - start),
                _ => part.run::<S, 3>(simd, end - start),
            }
            start = end;
        }
    }
}

/// A few pixels.
struct Part<'a> {
    layer: &'a Pointwise,
    panels: Range<usize>,
    input: &'a [f32],
    output: &'a mut [f32],
    store: Store,
}

/// Registers that hold sums.
const fn sums<S: Simd>() -> usize {
    match (S::REGISTER_COUNT, S::F32_LANES) {
        (32.., _) => 24,
        (_, 8..) => 12,
        // Narrow vectors are for old processors, and not worth many kernels.
        _ => 4,
    }
}

impl Part<'_> {
    fn run<S: Simd, const V: usize>(self, simd: S, pixels: usize) {
        match pixels {
            1 => self.tile::<S, 1, V>(simd),
            2 => self.tile::<S, 2, V>(simd),
            3 => self.tile::<S, 3, V>(simd),
            4 => self.tile::<S, 4, V>(simd),
            5 => self.tile::<S, 5, V>(simd),
            6 => self.tile::<S, 6, V>(simd),
            7 => self.tile::<S, 7, V>(simd),
            8 => self.tile::<S, 8, V>(simd),
            9 => self.tile::<S, 9, V>(simd),
            10 => self.tile::<S, 10, V>(simd),
            11 => self.tile::<S, 11, V>(simd),
            12 => self.tile::<S, 12, V>(simd),
            _ => {}
        }
    }

    fn tile<S: Simd, const P: usize, const V: usize>(self, simd: S) {
        // Larger tiles never occur and need not be compiled.
        if const { P * V <= sums::<S>() } {
            simd.vectorize(Tile::<P, V>(self));
        }
    }
}

/// `P` pixels, whose sums for one panel of `V` vectors stay in registers.
struct Tile<'a, const P: usize, const V: usize>(Part<'a>);

impl<const P: usize, const V: usize> WithSimd for Tile<'_, P, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Part {
            layer,
            panels: some,
            input,
            output,
            store,
        } = self.0;
        let pixels: [&[[f32; STEP]]; P] = std::array::from_fn(|p| {
            let pixel = &input[p * layer.inputs..(p + 1) * layer.inputs];
            pixel.as_chunks::<STEP>().0
        });
        let size = layer.width * layer.inputs;
        for index in some {
            let panel = &layer.panels[index * size..(index + 1) * size];
            let bias = &layer.bias[index * layer.width..(index + 1) * layer.width];
            let bias: [S::f32s; V] = std::array::from_fn(|v| S::as_simd_f32s(bias).0[v]);
            let mut sums = [bias; P];
            let panel = S::as_simd_f32s(panel).0;
            for step in 0..layer.inputs / STEP {
                let weights = &panel[step * STEP * V..(step + 1) * STEP * V];
                for input in 0..STEP {
                    for p in 0..P {
                        let number = simd.splat_f32s(pixels[p][step][input]);
                        for v in 0..V {
                            let weight = weights[input * V + v];
                            sums[p][v] = multiply_add(simd, number, weight, sums[p][v]);
                        }
                    }
                }
            }
            let from = index * layer.width;
            let to = layer.outputs.min(from + layer.width);
            for (p, sums) in sums.iter().enumerate() {
                let row = &mut output[p * layer.outputs + from..p * layer.outputs + to];
                write(simd, sums, row, (layer.relu, store));
            }
        }
    }
}

/// Writes the sums of a pixel to as many channels as there are.
#[inline(always)]
fn write<S: Simd>(simd: S, sums: &[S::f32s], row: &mut [f32], (relu, store): (bool, Store)) {
    let zero = simd.splat_f32s(0.0);
    let finish = |sum: S::f32s, before: S::f32s| {
        let sum = if relu { simd.max_f32s(sum, zero) } else { sum };
        match store {
            Store::Set => sum,
            Store::Add => simd.add_f32s(sum, before),
        }
    };
    let (whole, rest) = S::as_mut_simd_f32s(row);
    for (to, &sum) in whole.iter_mut().zip(sums) {
        *to = finish(sum, *to);
    }
    if let (Some(&sum), false) = (sums.get(whole.len()), rest.is_empty()) {
        let sum = finish(sum, simd.partial_load_f32s(rest));
        simd.partial_store_f32s(rest, sum);
    }
}
