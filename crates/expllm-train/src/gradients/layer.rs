//! Convolution, normalisation and rectifier of a group of faces.

use super::conv::{self, ConvGradients, ConvShape, Maps};
use super::norm::{self, Groups};
use super::tiled::{TiledConv, TiledKernel, TiledScratch};

/// Weights of a layer, or their gradients.
#[derive(Debug, Clone, Default)]
pub(super) struct LayerWeights {
    pub kernel: Vec<f32>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

impl LayerWeights {
    /// Zeros of the same sizes.
    pub fn zeros(&self) -> Self {
        Self {
            kernel: vec![0.0; self.kernel.len()],
            gamma: vec![0.0; self.gamma.len()],
            beta: vec![0.0; self.beta.len()],
        }
    }

    /// The three tensors in the order in which a module visits them.
    pub fn parts(&mut self) -> [&mut Vec<f32>; 3] {
        [&mut self.kernel, &mut self.gamma, &mut self.beta]
    }
}

/// What the way back needs to know of a layer's way forth.
#[derive(Debug, Clone, Default)]
pub(super) struct LayerTape {
    normal: Vec<f32>,
    inverse: Vec<f32>,
    pub output: Vec<f32>,
}

/// Scratch memory of a thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    columns: Vec<f32>,
    gradient: Vec<f32>,
    tiled: TiledScratch,
}

/// How a convolution is multiplied: its weights as they are, or as tiles.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kernel<'a> {
    Plain(&'a [f32]),
    Tiled(&'a TiledConv, &'a TiledKernel),
}

/// What a layer multiplies and scales by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighted<'a> {
    pub weights: &'a LayerWeights,
    pub kernel: Kernel<'a>,
}

/// What came out of a layer, and the gradient of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Above<'a> {
    pub tape: &'a LayerTape,
    pub gradient: &'a [f32],
}

/// Where the way back adds what it finds.
#[derive(Debug)]
pub(super) struct LayerGradients<'a> {
    pub weights: &'a mut LayerWeights,
    /// `None` where nobody asks for it.
    pub input: Option<&'a mut [f32]>,
}

/// A layer and its place among the weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    pub shape: ConvShape,
    pub index: usize,
    pub rectified: bool,
}

impl Layer {
    fn groups(&self, faces: usize) -> Groups {
        let channels = self.shape.channels_out;
        Groups {
            channels: channels / (channels / super::GROUP).max(1),
            faces,
            area: self.shape.positions(),
        }
    }

    /// Fills the tape with the output for some maps.
    pub fn forward(
        &self,
        own: Weighted<'_>,
        input: Maps<'_>,
        tape: &mut LayerTape,
        scratch: &mut Scratch,
    ) {
        let normal = &mut tape.normal;
        match own.kernel {
            Kernel::Plain(kernel) => {
                conv::forward(&self.shape, kernel, input, &mut scratch.columns, normal);
            }
            Kernel::Tiled(conv, kernel) => conv.forward(kernel, input, &mut scratch.tiled, normal),
        }
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || self.normalise(own.weights, input.faces, tape),
        );
    }

    #[inline(always)]
    fn normalise(&self, weights: &LayerWeights, faces: usize, tape: &mut LayerTape) {
        norm::normalise(&mut tape.normal, self.groups(faces), &mut tape.inverse);
        tape.output.resize(tape.normal.len(), 0.0);
        let floor = if self.rectified { 0.0 } else { f32::MIN };
        let area = self.shape.positions() * faces;
        let channels = tape
            .normal
            .chunks_exact(area)
            .zip(tape.output.chunks_exact_mut(area));
        let scales = weights.gamma.iter().zip(&weights.beta);
        for ((normal, output), (&gamma, &beta)) in channels.zip(scales) {
            for (o, &n) in output.iter_mut().zip(normal) {
                *o = (gamma * n + beta).max(floor);
            }
        }
    }

    /// Adds the gradients that are asked for.
    pub fn backward(
        &self,
        own: Weighted<'_>,
        input: Maps<'_>,
        above: Above<'_>,
        gradients: LayerGradients<'_>,
        scratch: &mut Scratch,
    ) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || self.backward_norm(own.weights, input.faces, above, gradients.weights, scratch),
        );
        let above = &scratch.gradient;
        let found = ConvGradients {
            weights: &mut gradients.weights.kernel,
            input: gradients.input,
        };
        match own.kernel {
            Kernel::Plain(kernel) => {
                let columns = &mut scratch.columns;
                conv::backward(&self.shape, kernel, input, above, found, columns);
            }
            Kernel::Tiled(conv, kernel) => {
                conv.backward(kernel, input, above, found, &mut scratch.tiled);
            }
        }
    }

    /// From the gradient of the output to that of the convolution, in the scratch memory.
    #[inline(always)]
    fn backward_norm(
        &self,
        weights: &LayerWeights,
        faces: usize,
        above: Above<'_>,
        gradients: &mut LayerWeights,
        scratch: &mut Scratch,
    ) {
        let tape = above.tape;
        let area = self.shape.positions() * faces;
        scratch.gradient.clear();
        scratch.gradient.extend_from_slice(above.gradient);
        for (channel, gradient) in scratch.gradient.chunks_exact_mut(area).enumerate() {
            let at = channel * area..(channel + 1) * area;
            if self.rectified {
                for (g, &o) in gradient.iter_mut().zip(&tape.output[at.clone()]) {
                    *g = if o > 0.0 { *g } else { 0.0 };
                }
            }
            gradients.gamma[channel] += norm::dot(gradient, &tape.normal[at]);
            gradients.beta[channel] += norm::sum(gradient);
            let gamma = weights.gamma[channel];
            for g in gradient {
                *g *= gamma;
            }
        }
        let groups = self.groups(faces);
        norm::backward(&mut scratch.gradient, groups, &tape.normal, &tape.inverse);
    }
}
