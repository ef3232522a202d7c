//! The whole vision encoder.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use super::super::LayerNorm;
use super::{Block, PatchEmbed, PositionResampler};
use crate::Dinov2Config;

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
        self.resampler.with_class(self.pos_embed.val())
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
