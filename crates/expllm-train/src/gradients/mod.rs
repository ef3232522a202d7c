//! Gradients of the small backbone, taken by hand on the processor.
//!
//! A training step of these small networks spends most of its time outside of matrix products when
//! every operation is a tensor of its own (see `docs/decisions.md`). Faces are independent of each
//! other here, since the backbone normalises within a face, so each thread walks groups of faces
//! forth and back; a group is as large as the products of its smallest maps need. Everything else
//! of a step (heads, losses, optimiser, checkpoints) stays with burn; a test holds these gradients
//! against burn's own.

mod conv;
mod layer;
pub mod llama;
mod norm;
mod pool;
mod product;
#[cfg(test)]
mod tests;
mod tiled;
mod weights;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, ElementConversion, Tensor, TensorData};
use expllm_face::backbone::{Backbone, BackboneConfig};
use rayon::prelude::*;

use conv::{ConvShape, Maps};
use layer::{Above, Kernel, Layer, LayerGradients, LayerTape, Scratch, Weighted};
use tiled::{TiledConv, TiledKernel};
pub use weights::BackboneWeights;

/// Faces that a thread walks together: the last maps have so few positions that a product over
/// those of one face spends its time reading weights.
const FACES: usize = 16;

/// Channels per group of the normalisation, as in the backbone.
const GROUP: usize = 8;

/// A residual block: two layers beside an optional projection.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: Layer,
    second: Layer,
    shortcut: Option<Layer>,
}

/// The sums of a step over a backbone of one configuration and input size.
#[derive(Debug)]
pub struct BackboneByHand {
    stem: Vec<Layer>,
    blocks: Vec<Block>,
    layers: Vec<Option<TiledConv>>,
    /// The weights of the last way forth, as tiles.
    kernels: Vec<Option<TiledKernel>>,
    side: usize,
    last_side: usize,
    channels: usize,
    grid: usize,
    tapes: Vec<Tape>,
}

/// Activations of a group of faces, by channel, face and position.
#[derive(Debug, Default)]
struct Tape {
    layers: Vec<LayerTape>,
    blocks: Vec<Vec<f32>>,
}

/// What the way back of a group needs: its crops, what its way forth kept, and the gradient of its
/// features.
#[derive(Debug, Clone, Copy)]
struct Group<'a> {
    crops: &'a [f32],
    tape: &'a Tape,
    features: &'a [f32],
}

impl BackboneByHand {
    /// A plan for crops of `side` pixels, with tiles of bf16 where the processor multiplies them.
    #[must_use]
    pub fn new(config: &BackboneConfig, side: usize) -> Self {
        Self::with(config, side, TiledConv::new)
    }

    /// The same with sums of f32 on every processor, to compare with.
    #[must_use]
    pub fn exact(config: &BackboneConfig, side: usize) -> Self {
        Self::with(config, side, |_| None)
    }

    fn with(
        config: &BackboneConfig,
        side: usize,
        tiled: impl Fn(ConvShape) -> Option<TiledConv>,
    ) -> Self {
        let mut layers = Vec::new();
        let mut layer = |channels_in, channels_out, kernel, stride, side, rectified| {
            let shape = ConvShape {
                channels_in,
                channels_out,
                kernel,
                stride,
                side,
            };
            layers.push(tiled(shape));
            Layer {
                shape,
                index: layers.len() - 1,
                rectified,
            }
        };
        let (mut channels, mut at) = (1, side);
        let mut stem = Vec::new();
        for &width in &config.stem {
            let next = layer(channels, width, 3, 2, at, true);
            (channels, at) = (width, next.shape.side_out());
            stem.push(next);
        }
        let mut blocks = Vec::new();
        for (inward, outward, stride) in config.residuals() {
            let first = layer(inward, outward, 3, stride, at, true);
            let below = first.shape.side_out();
            let second = layer(outward, outward, 3, 1, below, false);
            let shortcut = (stride != 1 || inward != outward)
                .then(|| layer(inward, outward, 1, stride, at, false));
            at = below;
            blocks.push(Block {
                first,
                second,
                shortcut,
            });
        }
        Self {
            stem,
            blocks,
            layers,
            kernels: Vec::new(),
            side,
            last_side: at,
            channels: config.channels(),
            grid: config.grid,
            tapes: Vec::new(),
        }
    }

    /// Features of standardised grey crops, `[batch, features]` row by row, keeping what
    /// [`BackboneByHand::backward`] needs.
    pub fn forward(&mut self, weights: &BackboneWeights, crops: &[f32]) -> Vec<f32> {
        self.pack(weights);
        let size = self.side * self.side * FACES;
        let mut tapes = std::mem::take(&mut self.tapes);
        tapes.resize_with(crops.len().div_ceil(size), Tape::default);
        let features: Vec<Vec<f32>> = crops
            .par_chunks(size)
            .zip(&mut tapes)
            .map_init(Scratch::default, |scratch, (crops, tape)| {
                self.forward_group(weights, crops, tape, scratch)
            })
            .collect();
        self.tapes = tapes;
        features.concat()
    }

    /// A whole step: features by hand, heads and loss by burn, gradients by both.
    ///
    /// `loss` gets the features, `[batch, features]`, on `device`, which tracks gradients;
    /// `backbone` is a part of `module`, whose other gradients come from burn.
    pub fn step<M: Module>(
        &mut self,
        (module, backbone): (&M, &Backbone),
        crops: &[f32],
        device: &Device,
        loss: impl FnOnce(Tensor<2>) -> Tensor<1>,
    ) -> (f32, GradientsParams) {
        let weights = BackboneWeights::read(backbone);
        let values = self.forward(&weights, crops);
        let batch = crops.len() / (self.side * self.side);
        let data = TensorData::new(values, [batch, self.channels * self.grid * self.grid]);
        let features = Tensor::<2>::from_data(data, device).require_grad();
        let loss = loss(features.clone());
        let value: f32 = loss.clone().into_scalar::<f32>().elem();
        let mut gradients = loss.backward();
        let along = features.grad_remove(&mut gradients);
        let mut found = GradientsParams::from_grads(gradients, module);
        if let Some(along) = along {
            let along: Vec<f32> = along.into_data().try_to_vec().unwrap_or_default();
            let sums = self.backward(&weights, crops, &along);
            sums.register(&mut found, &device.clone().inner());
        }
        (value, found)
    }

    fn forward_group(
        &self,
        weights: &BackboneWeights,
        crops: &[f32],
        tape: &mut Tape,
        scratch: &mut Scratch,
    ) -> Vec<f32> {
        let faces = crops.len() / (self.side * self.side);
        tape.layers
            .resize_with(self.layers.len(), LayerTape::default);
        tape.blocks.resize_with(self.blocks.len(), Vec::new);
        let Tape { layers, blocks } = tape;
        for (i, layer) in self.stem.iter().enumerate() {
            let (before, rest) = layers.split_at_mut(i);
            let values = before.last().map_or(crops, |tape| &tape.output);
            let own = self.weights_of(weights, layer);
            layer.forward(own, Maps { values, faces }, &mut rest[0], scratch);
        }
        for (i, block) in self.blocks.iter().enumerate() {
            let (before, rest) = blocks.split_at_mut(i);
            let from_stem = self.stem.len().checked_sub(1);
            let (own, others) = layers.split_at_mut(block.first.index);
            let stem = from_stem.map_or(crops, |last| &own[last].output);
            let values = before.last().map_or(stem, |output| output);
            let input = Maps { values, faces };
            let output = &mut rest[0];
            let (first, others) = others.split_at_mut(1);
            let (second, others) = others.split_at_mut(1);
            let of = |layer: &Layer| self.weights_of(weights, layer);
            block
                .first
                .forward(of(&block.first), input, &mut first[0], scratch);
            let middle = Maps {
                values: &first[0].output,
                faces,
            };
            block
                .second
                .forward(of(&block.second), middle, &mut second[0], scratch);
            let beside = match &block.shortcut {
                Some(layer) => {
                    layer.forward(of(layer), input, &mut others[0], scratch);
                    &others[0].output
                }
                None => values,
            };
            output.clear();
            let sums = second[0].output.iter().zip(beside);
            output.extend(sums.map(|(a, b)| (a + b).max(0.0)));
        }
        self.pool(blocks.last().map_or(&[], |map| map), faces)
    }

    /// Gradients of the weights from those of the features of the last [`BackboneByHand::forward`].
    #[must_use]
    pub fn backward(
        &self,
        weights: &BackboneWeights,
        crops: &[f32],
        features: &[f32],
    ) -> BackboneWeights {
        let size = self.side * self.side * FACES;
        let width = self.channels * self.grid * self.grid * FACES;
        let zeros = || self.zeros(weights);
        let groups = crops
            .par_chunks(size)
            .zip(features.par_chunks(width))
            .zip(&self.tapes)
            .map(|((crops, features), tape)| Group {
                crops,
                tape,
                features,
            });
        // One share per thread: the gradients of a share are as large as the weights.
        let share = self.tapes.len().div_ceil(rayon::current_num_threads());
        groups
            .chunks(share.max(1))
            .map(|groups| {
                let (mut gradients, mut scratch) = (zeros(), Scratch::default());
                for group in groups {
                    self.backward_group(weights, &group, &mut gradients, &mut scratch);
                }
                gradients
            })
            .collect::<Vec<_>>()
            .into_iter()
            .reduce(BackboneWeights::plus)
            .map_or_else(|| weights.zeros(), |sums| self.unpack(sums))
    }

    /// Lays the weights out as tiles, where those are used.
    fn pack(&mut self, weights: &BackboneWeights) {
        let layers = self.layers.par_iter().zip(&weights.layers);
        let kernels = layers.map(|(conv, layer)| Some(conv.as_ref()?.pack(&layer.kernel)));
        self.kernels = kernels.collect();
    }

    fn weights_of<'a>(&'a self, weights: &'a BackboneWeights, layer: &Layer) -> Weighted<'a> {
        let weights = &weights.layers[layer.index];
        let kernel = match (&self.layers[layer.index], self.kernels.get(layer.index)) {
            (Some(conv), Some(Some(kernel))) => Kernel::Tiled(conv, kernel),
            _ => Kernel::Plain(&weights.kernel),
        };
        Weighted { weights, kernel }
    }

    /// No gradients yet, laid out as they are summed.
    fn zeros(&self, weights: &BackboneWeights) -> BackboneWeights {
        let mut zeros = weights.zeros();
        for (layer, conv) in zeros.layers.iter_mut().zip(&self.layers) {
            if let Some(conv) = conv {
                layer.kernel = vec![0.0; conv.gradient_len()];
            }
        }
        zeros
    }

    /// Gradients as burn lays them out.
    fn unpack(&self, mut sums: BackboneWeights) -> BackboneWeights {
        let layers = sums.layers.par_iter_mut().zip(&self.layers);
        layers.for_each(|(layer, conv)| {
            if let Some(conv) = conv {
                layer.kernel = conv.unpack(&layer.kernel);
            }
        });
        sums
    }

    fn backward_group(
        &self,
        weights: &BackboneWeights,
        group: &Group<'_>,
        gradients: &mut BackboneWeights,
        scratch: &mut Scratch,
    ) {
        let &Group {
            crops,
            tape,
            features,
        } = group;
        let faces = crops.len() / (self.side * self.side);
        let mut above = vec![0.0; self.channels * faces * self.last_side * self.last_side];
        let width = self.channels * self.grid * self.grid;
        for (face, features) in features.chunks_exact(width).enumerate() {
            self.each_cell(face, faces, |feature, position, weight| {
                above[position] += weight * features[feature];
            });
        }
        let Tape { layers, blocks } = tape;
        let stem_output = self.stem.len().checked_sub(1);
        let stem_output = stem_output.map_or(crops, |last| &layers[last].output);
        let mut step = |layer: &Layer, input: &[f32], below: Option<&mut [f32]>, above: &[f32]| {
            let own = self.weights_of(weights, layer);
            let input = Maps {
                values: input,
                faces,
            };
            let above = Above {
                tape: &layers[layer.index],
                gradient: above,
            };
            let found = LayerGradients {
                weights: &mut gradients.layers[layer.index],
                input: below,
            };
            layer.backward(own, input, above, found, scratch);
        };
        for (i, block) in self.blocks.iter().enumerate().rev() {
            let input: &[f32] = if i == 0 { stem_output } else { &blocks[i - 1] };
            for (g, &o) in above.iter_mut().zip(&blocks[i]) {
                *g = if o > 0.0 { *g } else { 0.0 };
            }
            let middle = &layers[block.first.index].output;
            let mut inner = vec![0.0; middle.len()];
            step(&block.second, middle, Some(&mut inner), &above);
            let mut below = vec![0.0; input.len()];
            step(&block.first, input, Some(&mut below), &inner);
            match &block.shortcut {
                Some(layer) => step(layer, input, Some(&mut below), &above),
                None => below.iter_mut().zip(&above).for_each(|(b, a)| *b += a),
            }
            above = below;
        }
        for (i, layer) in self.stem.iter().enumerate().rev() {
            if i == 0 {
                return step(layer, crops, None, &above);
            }
            let input = &layers[i - 1].output;
            let mut below = vec![0.0; input.len()];
            step(layer, input, Some(&mut below), &above);
            above = below;
        }
    }
}
