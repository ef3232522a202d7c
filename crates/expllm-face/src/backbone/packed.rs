//! The backbone on vectors of the processor, without tensors.
//!
//! Maps hold the channels of a pixel side by side, within a border of zeros, so that what a
//! convolution reads for a pixel is `kernel` stretches of memory. These are laid one behind the other
//! and multiplied with the weights as in a convolution of one pixel. Faces of a group share what
//! is read of the weights, which are larger than the caches.

use std::ops::Range;

use burn::module::Param;
use burn::tensor::Tensor;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{Backbone, ConvNorm};
use crate::simd::{Isa, Pointwise, STEP, Work};

/// About how many numbers are laid out for a product at once.
const PATCHES: usize = 1 << 16;

/// Most faces of a group; more save nothing, and take memory.
const GROUP: usize = 8;

/// A [`Backbone`] with its weights packed for this processor; its features are equal up to the
/// order of sums.
#[derive(Debug, Clone)]
pub struct PackedBackbone {
    isa: Isa,
    stem: Vec<Layer>,
    blocks: Vec<Block>,
    grid: usize,
}

/// Convolution and normalisation.
#[derive(Debug, Clone)]
struct Layer {
    conv: Pointwise,
    channels_in: usize,
    kernel: usize,
    stride: usize,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    groups: usize,
    epsilon: f32,
}

#[derive(Debug, Clone)]
struct Block {
    first: Layer,
    second: Layer,
    shortcut: Option<Layer>,
}

/// Maps of some faces, `[faces, side + 2, side + 2, channels]`, zero at the border.
#[derive(Debug, Clone, Default)]
struct Maps {
    faces: usize,
    side: usize,
    channels: usize,
    values: Vec<f32>,
}

/// Memory of a group of faces.
#[derive(Debug, Default)]
struct Scratch {
    patches: Vec<f32>,
    sums: Vec<f32>,
    beside: Vec<f32>,
}

impl PackedBackbone {
    /// Packs the weights of a backbone.
    #[must_use]
    pub fn new(backbone: &Backbone) -> Self {
        let isa = Isa::available()[0];
        Self::with_isa(backbone, isa)
    }

    fn with_isa(backbone: &Backbone, isa: Isa) -> Self {
        let layer = |layer: &ConvNorm| Layer::new(layer, isa.lanes());
        let blocks = backbone.blocks.iter().map(|block| Block {
            first: layer(&block.first),
            second: layer(&block.second),
            shortcut: block.shortcut.as_ref().map(layer),
        });
        Self {
            isa,
            stem: backbone.stem.iter().map(layer).collect(),
            blocks: blocks.collect(),
            grid: backbone.pool.output_size[0],
        }
    }

    /// Features of standardised grey faces, `[faces, side, side]`, face by face as
    /// [`Backbone::forward`] gives them. Threads share the faces.
    #[must_use]
    pub fn forward(&self, faces: &[f32], side: usize) -> Vec<f32> {
        let area = (side * side).max(1);
        let count = faces.len() / area;
        let share = count.div_ceil(rayon::current_num_threads().max(1));
        let group = share.clamp(1, GROUP);
        let groups: Vec<Vec<f32>> = faces
            .par_chunks(group * area)
            .map(|faces| {
                self.isa.run(Forward {
                    network: self,
                    faces,
                    side,
                })
            })
            .collect();
        groups.concat()
    }
}

impl Layer {
    fn new(layer: &ConvNorm, lanes: usize) -> Self {
        let weight = layer.conv.weight.val();
        let [outputs, inputs, kernel, _] = weight.dims();
        let numbers = numbers(weight);
        let depth = (kernel * kernel * inputs).next_multiple_of(STEP);
        let taps = kernel * kernel;
        let mut packed = vec![0.0; outputs * depth];
        for (to, from) in packed
            .chunks_exact_mut(depth)
            .zip(numbers.chunks_exact(taps * inputs))
        {
            for (channel, from) in from.chunks_exact(taps).enumerate() {
                for (tap, &number) in from.iter().enumerate() {
                    to[tap * inputs + channel] = number;
                }
            }
        }
        let affine = |param: &Option<Param<Tensor<1>>>, otherwise: f32| match param {
            Some(param) => numbers_of(param),
            None => vec![otherwise; outputs],
        };
        Self {
            conv: Pointwise::pack(lanes, &packed, &vec![0.0; outputs], false),
            channels_in: inputs,
            kernel,
            stride: layer.conv.stride[0],
            gamma: affine(&layer.norm.gamma, 1.0),
            beta: affine(&layer.norm.beta, 0.0),
            groups: layer.norm.num_groups,
            epsilon: layer.norm.epsilon as f32,
        }
    }

    fn side_out(&self, side: usize) -> usize {
        (side + 2 * (self.kernel / 2) - self.kernel) / self.stride + 1
    }

    /// Normalised sums, `[faces, side, side, channels]`.
    fn run<S: Simd>(&self, simd: S, input: &Maps, patches: &mut Vec<f32>, sums: &mut Vec<f32>) {
        let (side, outputs) = (self.side_out(input.side), self.conv.outputs());
        let pixels = input.faces * side * side;
        sums.resize(pixels * outputs, 0.0);
        let depth = (self.kernel * self.kernel * self.channels_in).next_multiple_of(STEP);
        let most = (PATCHES / depth).max(1);
        let parts = pixels.div_ceil(most).max(1);
        for part in 0..parts {
            let some = part * pixels / parts..(part + 1) * pixels / parts;
            self.lay_out(input, some.clone(), depth, patches);
            let sums = &mut sums[some.start * outputs..some.end * outputs];
            self.conv.run_by_panel(simd, patches, sums);
        }
        for face in sums.chunks_exact_mut(side * side * outputs) {
            simd.vectorize(Normalise { layer: self, face });
        }
    }

    /// What the convolution reads for some pixels of the output, `[pixels, depth]`.
    fn lay_out(&self, input: &Maps, pixels: Range<usize>, depth: usize, patches: &mut Vec<f32>) {
        let side = self.side_out(input.side);
        let (width, channels) = (input.side + 2, self.channels_in);
        let (border, length) = (1 - self.kernel / 2, self.kernel * channels);
        if length * self.kernel < depth {
            // What lies behind the last tap must be a number.
            patches.clear();
        }
        patches.resize(pixels.len() * depth, 0.0);
        for (pixel, patch) in pixels.zip(patches.chunks_exact_mut(depth)) {
            let (face, y, x) = (pixel / (side * side), pixel / side % side, pixel % side);
            let line = face * width + y * self.stride + border;
            let first = line * width + x * self.stride + border;
            for (dy, to) in patch.chunks_exact_mut(length).take(self.kernel).enumerate() {
                let from = (first + dy * width) * channels;
                to.copy_from_slice(&input.values[from..from + length]);
            }
        }
    }
}

/// Group normalisation of the sums of one face.
struct Normalise<'a> {
    layer: &'a Layer,
    face: &'a mut [f32],
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { layer, face } = self;
        let channels = layer.conv.outputs();
        let mut sums = vec![0.0; channels];
        for pixel in face.chunks_exact(channels) {
            sums.iter_mut().zip(pixel).for_each(|(s, v)| *s += v);
        }
        let size = channels / layer.groups;
        let count = (size * (face.len() / channels)) as f32;
        let means: Vec<f32> = group_sums(&sums, size).map(|sum| sum / count).collect();
        sums.fill(0.0);
        for pixel in face.chunks_exact(channels) {
            for ((s, v), m) in sums.iter_mut().zip(pixel).zip(&means) {
                *s += (v - m) * (v - m);
            }
        }
        let scales: Vec<f32> = group_sums(&sums, size)
            .zip(&layer.gamma)
            .map(|(sum, gamma)| gamma / (sum / count + layer.epsilon).sqrt())
            .collect();
        let shifts: Vec<f32> = layer
            .beta
            .iter()
            .zip(means.iter().zip(&scales))
            .map(|(beta, (mean, scale))| beta - mean * scale)
            .collect();
        for pixel in face.chunks_exact_mut(channels) {
            for ((v, scale), shift) in pixel.iter_mut().zip(&scales).zip(&shifts) {
                *v = *v * scale + shift;
            }
        }
    }
}

/// For each channel, the sum over its group.
fn group_sums(sums: &[f32], size: usize) -> impl Iterator<Item = f32> {
    sums.chunks(size)
        .flat_map(|group| std::iter::repeat_n(group.iter().sum(), group.len()))
}

impl Maps {
    fn zeros(faces: usize, side: usize, channels: usize) -> Self {
        Self {
            faces,
            side,
            channels,
            values: vec![0.0; faces * (side + 2) * (side + 2) * channels],
        }
    }

    /// Visits every line of every face without its border: where it begins, and its place among
    /// the lines of all faces.
    fn lines(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (side, channels) = (self.side, self.channels);
        let width = side + 2;
        (0..self.faces * side).map(move |line| {
            let (face, y) = (line / side, line % side);
            let start = ((face * width + y + 1) * width + 1) * channels;
            start..start + side * channels
        })
    }

    /// Grey faces as they come.
    fn of_faces(faces: &[f32], side: usize) -> Self {
        let mut maps = Self::zeros(faces.len() / (side * side), side, 1);
        for (line, from) in maps.lines().zip(faces.chunks_exact(side)) {
            maps.values[line].copy_from_slice(from);
        }
        maps
    }

    /// Rectified sums.
    fn rectified(sums: &[f32], faces: usize, side: usize, channels: usize) -> Self {
        let mut maps = Self::zeros(faces, side, channels);
        for (line, from) in maps.lines().zip(sums.chunks_exact(side * channels)) {
            let to = maps.values[line].iter_mut();
            to.zip(from).for_each(|(to, &from)| *to = from.max(0.0));
        }
        maps
    }

    /// Adds the inner part of these maps to sums.
    fn add_to(&self, sums: &mut [f32]) {
        let lines = sums.chunks_exact_mut(self.side * self.channels);
        for (line, to) in self.lines().zip(lines) {
            let from = &self.values[line];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
    }
}

/// The way of a group of faces through the network.
struct Forward<'a> {
    network: &'a PackedBackbone,
    faces: &'a [f32],
    side: usize,
}

impl Work for Forward<'_> {
    type Output = Vec<f32>;

    fn with<S: Simd>(self, simd: S) -> Vec<f32> {
        let mut scratch = Scratch::default();
        let mut maps = Maps::of_faces(self.faces, self.side);
        for layer in &self.network.stem {
            layer.run(simd, &maps, &mut scratch.patches, &mut scratch.sums);
            let side = layer.side_out(maps.side);
            maps = Maps::rectified(&scratch.sums, maps.faces, side, layer.conv.outputs());
        }
        for block in &self.network.blocks {
            maps = block.run(simd, &maps, &mut scratch);
        }
        pool(&maps, self.network.grid)
    }
}

impl Block {
    fn run<S: Simd>(&self, simd: S, input: &Maps, scratch: &mut Scratch) -> Maps {
        let Scratch {
            patches,
            sums,
            beside,
        } = scratch;
        let (side, channels) = (self.first.side_out(input.side), self.first.conv.outputs());
        self.first.run(simd, input, patches, sums);
        let middle = Maps::rectified(sums, input.faces, side, channels);
        self.second.run(simd, &middle, patches, sums);
        match &self.shortcut {
            Some(layer) => {
                layer.run(simd, input, patches, beside);
                sums.iter_mut().zip(&*beside).for_each(|(a, b)| *a += b);
            }
            None => input.add_to(sums),
        }
        Maps::rectified(sums, input.faces, side, self.second.conv.outputs())
    }
}

/// Averages of the cells of a grid, channel by channel.
fn pool(maps: &Maps, grid: usize) -> Vec<f32> {
    let (side, channels) = (maps.side, maps.channels);
    let lines: Vec<Range<usize>> = maps.lines().collect();
    let mut features = vec![0.0; maps.faces * channels * grid * grid];
    let bounds = |cell: usize| cell * side / grid..((cell + 1) * side).div_ceil(grid);
    for (face, features) in features
        .chunks_exact_mut(channels * grid * grid)
        .enumerate()
    {
        for cell in 0..grid * grid {
            let (ys, xs) = (bounds(cell / grid), bounds(cell % grid));
            let weight = 1.0 / (ys.len() * xs.len()) as f32;
            for y in ys {
                let line = &maps.values[lines[face * side + y].clone()];
                for pixel in line.chunks_exact(channels).take(xs.end).skip(xs.start) {
                    for (channel, value) in pixel.iter().enumerate() {
                        features[channel * grid * grid + cell] += weight * value;
                    }
                }
            }
        }
    }
    features
}

fn numbers_of(param: &Param<Tensor<1>>) -> Vec<f32> {
    numbers(param.val())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Distribution, TensorData};

    use super::*;
    use crate::backbone::BackboneConfig;
    use crate::device::default_device;

    #[test]
    fn every_instruction_set_gives_the_features_of_the_tensors() {
        let device = default_device();
        let sizes = [
            BackboneConfig::new(vec![24], vec![48, 96], vec![2, 1]).with_grid(2),
            BackboneConfig::new(vec![8, 16], vec![16, 24], vec![2, 1]).with_grid(3),
            BackboneConfig::new(vec![8], vec![16], vec![1]),
        ];
        for (config, side) in sizes.iter().zip([64, 50, 13]) {
            let network = config.init(&device);
            let faces =
                Tensor::random([11, 1, side, side], Distribution::Normal(0.0, 1.0), &device);
            let pixels = numbers(faces.clone());
            let wanted = numbers(network.forward(faces));
            for isa in Isa::available() {
                let found = PackedBackbone::with_isa(&network, isa).forward(&pixels, side);
                assert_eq!(found.len(), wanted.len());
                for (a, b) in found.iter().zip(&wanted) {
                    assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{isa:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn faces_do_not_depend_on_their_neighbours() {
        let network = BackboneConfig::new(vec![8], vec![16], vec![1]).init(&default_device());
        let packed = PackedBackbone::new(&network);
        let faces: Vec<f32> = (0..9 * 256).map(|i| (i as f32 * 0.3).sin()).collect();
        let all = packed.forward(&faces, 16);
        let last = packed.forward(&faces[8 * 256..], 16);
        assert_eq!(all[8 * last.len()..], last);
        let none = TensorData::new(packed.forward(&[], 16), [0]);
        assert_eq!(none.num_elements(), 0);
    }
}
