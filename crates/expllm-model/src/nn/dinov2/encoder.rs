//! The whole vision encoder.

use std::sync::Arc;

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use super::super::LayerNorm;
use super::{Block, PatchEmbed, PositionResampler};
use crate::Dinov2Config;
use crate::processor::{self, ProcessorEncoder};

/// A DINOv2 vision transformer without a head.
#[derive(Module, Debug)]
pub struct VisionTransformer {
    /// The class token: `[1, 1, width]`.
    pub cls_token: Param<Tensor<3>>,
    /// Positions of the class token and of the pre-training grid: `[1, 1 + patches, width]`.
    pub pos_embed: Param<Tensor<3>>,
    /// Patches to tokens.
    pub patch_embed: PatchEmbed,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// The final norm.
    pub norm: LayerNorm,
    /// Packed weights, which are used in place of all of the above.
    #[module(skip)]
    processor: Option<Arc<ProcessorEncoder>>,
    #[module(skip)]
    resampler: PositionResampler,
}

impl VisionTransformer {
    /// A frozen encoder with small random weights, trainable adapters.
    #[must_use]
    pub fn new(config: &Dinov2Config, device: &Device) -> Self {
        let width = config.embed_dim;
        let init = Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        let positions = 1 + config.pretrain_grid() * config.pretrain_grid();
        let frozen = |shape: [usize; 3]| {
            let param: Param<Tensor<3>> = init.init(shape, device);
            param.set_require_grad(false)
        };
        Self {
            cls_token: frozen([1, 1, width]),
            pos_embed: frozen([1, positions, width]),
            patch_embed: PatchEmbed::new(config, device),
            blocks: (0..config.depth)
                .map(|_| Block::new(config, device))
                .collect(),
            norm: LayerNorm::new(width, config.layer_norm_eps, device),
            processor: None,
            resampler: PositionResampler::new(config.pretrain_grid(), config.grid()),
        }
    }

    /// The position embedding of the class token and of the grid of the input image.
    ///
    /// # Shapes
    ///
    /// `[1, 1 + patches, width]`.
    #[must_use]
    pub fn position_embedding(&self) -> Tensor<3> {
        if let Some(encoder) = &self.processor {
            let width = self.pos_embed.lazy_shape()[2];
            let numbers = encoder.positions().to_vec();
            let shape = [1, numbers.len() / width, width];
            return processor::tensor(numbers, shape, &self.pos_embed.lazy_device());
        }
        self.resample(self.pos_embed.val())
    }

    /// Runs with packed weights from now on.
    pub(crate) fn set_processor(&mut self, encoder: ProcessorEncoder) {
        self.processor = Some(Arc::new(encoder));
    }

    /// The position embedding from the stored one.
    pub(crate) fn resample(&self, stored: Tensor<3>) -> Tensor<3> {
        let [_, positions, _] = stored.dims();
        let class = stored.clone().narrow(1, 0, 1);
        let grid = stored.narrow(1, 1, positions - 1).squeeze_dim(0);
        Tensor::cat(vec![class, self.resampler.forward(grid).unsqueeze()], 1)
    }

    /// The patch tokens of the last block after the final norm, without the class token.
    ///
    /// # Shapes
    ///
    /// `[batch, 3, side, side]`, normalised RGB, to `[batch, patches, width]`.
    ///
    /// # Panics
    ///
    /// When the side is not the one of the configuration.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        if let Some(encoder) = &self.processor {
            let ([batch, ..], device) = (images.dims(), images.device());
            let width = self.pos_embed.lazy_shape()[2];
            let tokens = encoder.forward(&processor::numbers(images));
            // Sizes always fit; tokens that are no numbers show in all that follows.
            let count = encoder.positions().len() / width - 1;
            let tokens = tokens.unwrap_or_else(|_| vec![f32::NAN; batch * count * width]);
            return processor::tensor(tokens, [batch, count, width], &device);
        }
        let patches = self.patch_embed.forward(images);
        let [batch, count, width] = patches.dims();
        let class = self.cls_token.val().expand([batch, 1, width]);
        let mut tokens = Tensor::cat(vec![class, patches], 1) + self.position_embedding();
        for block in &self.blocks {
            tokens = block.forward(tokens);
        }
        self.norm.forward(tokens).narrow(1, 1, count)
    }

    /// Adds the adapters into the weights.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        self.blocks = self.blocks.into_iter().map(Block::merge_lora).collect();
        self
    }
}
