//! The small residual network that the landmark and action unit networks share.

mod features;
mod packed;

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

pub use features::Features;
pub use packed::PackedBackbone;

/// Channels per group of the normalisation.
const GROUP: usize = 8;

/// Sizes of a [`Backbone`].
#[derive(Config, Debug, PartialEq)]
pub struct BackboneConfig {
    /// Channels of each stem convolution; every one halves the side. Multiples of 8.
    pub stem: Vec<usize>,
    /// Channels of each stage; every stage halves the side once more. Multiples of 8.
    pub widths: Vec<usize>,
    /// Residual blocks per stage, the halving one included.
    pub blocks: Vec<usize>,
    /// Side of the grid that the last stage is averaged down to.
    #[config(default = 1)]
    pub grid: usize,
}

/// A residual convolutional network (He et al. 2016) over grey faces, normalised within each face
/// (group normalisation, Wu and He 2018), so that a face never depends on its neighbours in a batch.
#[derive(Module, Debug)]
pub struct Backbone {
    stem: Vec<ConvNorm>,
    blocks: Vec<Residual>,
    pool: AdaptiveAvgPool2d,
}

impl BackboneConfig {
    /// Channels of the last feature map.
    #[must_use]
    pub fn channels(&self) -> usize {
        let last = self.widths.last().or(self.stem.last());
        last.copied().unwrap_or(1)
    }

    /// Features per face that [`Backbone::forward`] gives.
    #[must_use]
    pub fn features(&self) -> usize {
        self.channels() * self.grid * self.grid
    }

    /// The residual blocks in order: channels in, channels out, stride.
    #[must_use]
    pub fn residuals(&self) -> Vec<(usize, usize, usize)> {
        let mut channels = self.stem.last().copied().unwrap_or(1);
        let mut found = Vec::new();
        for (&width, &count) in self.widths.iter().zip(&self.blocks) {
            for index in 0..count {
                found.push((channels, width, if index == 0 { 2 } else { 1 }));
                channels = width;
            }
        }
        found
    }

    /// A network with random weights.
    #[must_use]
    pub fn init(&self, device: &Device) -> Backbone {
        let mut channels = 1;
        let mut stem = Vec::new();
        for &width in &self.stem {
            stem.push(
                ConvNormConfig::new(channels, width, 3)
                    .with_stride(2)
                    .init(device),
            );
            channels = width;
        }
        let blocks = self
            .residuals()
            .into_iter()
            .map(|(inward, outward, stride)| Residual::init(inward, outward, stride, device))
            .collect();
        let pool = AdaptiveAvgPool2dConfig::new([self.grid, self.grid]).init();
        Backbone { stem, blocks, pool }
    }

    /// A network of these sizes that gives the features of a shallower one: the blocks that each
    /// stage has more pass on what they get until they are trained (as in Chen et al. 2016,
    /// Net2Net). `None` when more than the number of blocks and the grid differ.
    #[must_use]
    pub fn deepen(&self, (sizes, shallow): (&Self, Backbone), device: &Device) -> Option<Backbone> {
        let same = self.stem == sizes.stem && self.widths == sizes.widths;
        let deeper = self.blocks.len() == sizes.blocks.len()
            && self.blocks.iter().zip(&sizes.blocks).all(|(a, b)| a >= b);
        let mut network = self.init(device);
        let (mut given, mut own) = (shallow.blocks.into_iter(), network.blocks.into_iter());
        network.stem = shallow.stem;
        network.blocks = Vec::new();
        for (&count, &kept) in self.blocks.iter().zip(&sizes.blocks) {
            network.blocks.extend(given.by_ref().take(kept));
            let further = own.by_ref().take(count).skip(kept);
            network.blocks.extend(further.map(Residual::silenced));
        }
        (same && deeper).then(|| network.to_device(device))
    }
}

impl Backbone {
    /// Features of a batch of grey faces.
    ///
    /// # Shapes
    /// - `faces`: `[batch, 1, side, side]`, normalised grey
    /// - output: `[batch, features]`, channel by channel, each a grid row by row
    #[must_use]
    pub fn forward(&self, faces: Tensor<4>) -> Tensor<2> {
        self.pool.forward(self.feature_map(faces)).flatten(1, 3)
    }

    /// The cells of the grid as a sequence.
    ///
    /// # Shapes
    /// - `faces`: `[batch, 1, side, side]`, normalised grey
    /// - output: `[batch, grid * grid, channels]`, row by row from the top
    #[must_use]
    pub fn cells(&self, faces: Tensor<4>) -> Tensor<3> {
        let map = self.pool.forward(self.feature_map(faces));
        map.flatten::<3>(2, 3).swap_dims(1, 2)
    }

    fn feature_map(&self, faces: Tensor<4>) -> Tensor<4> {
        let mut x = faces;
        for layer in &self.stem {
            x = relu(layer.forward(x));
        }
        for block in &self.blocks {
            x = block.forward(x);
        }
        x
    }
}

/// Sizes of a [`ConvNorm`].
#[derive(Config, Debug)]
struct ConvNormConfig {
    channels_in: usize,
    channels_out: usize,
    kernel: usize,
    #[config(default = 1)]
    stride: usize,
}

/// Convolution without bias, then group normalisation.
#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: GroupNorm,
}

impl ConvNormConfig {
    fn init(&self, device: &Device) -> ConvNorm {
        let pad = self.kernel / 2;
        let conv = Conv2dConfig::new(
            [self.channels_in, self.channels_out],
            [self.kernel, self.kernel],
        )
        .with_stride([self.stride, self.stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal {
            gain: std::f64::consts::SQRT_2,
            fan_out_only: true,
        })
        .init(device);
        ConvNorm {
            conv,
            norm: GroupNormConfig::new((self.channels_out / GROUP).max(1), self.channels_out)
                .init(device),
        }
    }
}

impl ConvNorm {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

/// Two 3 x 3 convolutions beside a shortcut.
#[derive(Module, Debug)]
struct Residual {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl Residual {
    fn init(channels_in: usize, channels_out: usize, stride: usize, device: &Device) -> Self {
        let first = ConvNormConfig::new(channels_in, channels_out, 3).with_stride(stride);
        let second = ConvNormConfig::new(channels_out, channels_out, 3);
        let shortcut = (stride != 1 || channels_in != channels_out)
            .then(|| ConvNormConfig::new(channels_in, channels_out, 1).with_stride(stride));
        Self {
            first: first.init(device),
            second: second.init(device),
            shortcut: shortcut.map(|config| config.init(device)),
        }
    }

    /// A block that adds nothing to its input, but learns to.
    fn silenced(mut self) -> Self {
        let norm = &mut self.second.norm;
        norm.gamma = norm.gamma.take().map(|gamma| gamma.map(|g| g.zeros_like()));
        self
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.first.forward(x.clone()));
        let y = self.second.forward(y);
        let shortcut = match &self.shortcut {
            Some(projection) => projection.forward(x),
            None => x,
        };
        relu(y + shortcut)
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::device::default_device;

    #[test]
    fn a_deeper_network_begins_with_the_same_features() {
        let device = default_device();
        let sizes = BackboneConfig::new(vec![8], vec![16, 24], vec![2, 1]);
        let shallow = sizes.init(&device);
        let deep = BackboneConfig::new(vec![8], vec![16, 24], vec![3, 3]);
        let network = deep.deepen((&sizes, shallow.clone()), &device).unwrap();
        assert_eq!(network.blocks.len(), 6);
        let faces = Tensor::random([2, 1, 32, 32], Distribution::Normal(0.0, 1.0), &device);
        let (a, b) = (shallow.forward(faces.clone()), network.forward(faces));
        a.into_data().assert_eq(&b.into_data(), true);
        let wider = BackboneConfig::new(vec![8], vec![16, 32], vec![2, 1]);
        assert!(wider.deepen((&sizes, shallow.clone()), &device).is_none());
        assert!(sizes.deepen((&deep, network), &device).is_none());
    }
}
