//! One block of the vision encoder.

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};

use super::super::{LayerNorm, Linear};
use super::VisionAttention;
use crate::Dinov2Config;

/// A learned factor per channel ([Touvron et al. 2021](https://arxiv.org/abs/2103.17239)).
#[derive(Module, Debug)]
pub struct LayerScale {
    /// `[width]`.
    pub gamma: Param<Tensor<1>>,
}

impl LayerScale {
    fn new(width: usize, device: &Device) -> Self {
        let gamma: Param<Tensor<1>> = Initializer::Ones.init([width], device);
        Self {
            gamma: gamma.set_require_grad(false),
        }
    }

    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        tokens * self.gamma.val().unsqueeze()
    }
}

/// Linear, exact GELU, linear.
#[derive(Module, Debug)]
pub struct VisionMlp {
    /// To the hidden width.
    pub fc1: Linear,
    /// Back.
    pub fc2: Linear,
}

/// Attention and MLP, each on normed input, scaled and added.
#[derive(Module, Debug)]
pub struct Block {
    /// Norm before attention.
    pub norm1: LayerNorm,
    /// Attention.
    pub attn: VisionAttention,
    /// Scale after attention.
    pub ls1: LayerScale,
    /// Norm before the MLP.
    pub norm2: LayerNorm,
    /// The MLP.
    pub mlp: VisionMlp,
    /// Scale after the MLP.
    pub ls2: LayerScale,
}

impl Block {
    /// A frozen block with small random weights, trainable adapters.
    #[must_use]
    pub fn new(config: &Dinov2Config, device: &Device) -> Self {
        let (width, hidden) = (config.embed_dim, config.mlp_dim());
        Self {
            norm1: LayerNorm::new(width, config.layer_norm_eps, device),
            attn: VisionAttention::new(config, device),
            ls1: LayerScale::new(width, device),
            norm2: LayerNorm::new(width, config.layer_norm_eps, device),
            mlp: VisionMlp {
                fc1: Linear::new([width, hidden], true, device),
                fc2: Linear::new([hidden, width], true, device),
            },
            ls2: LayerScale::new(width, device),
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// `[batch, tokens, width]` to the same.
    #[must_use]
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let attended = self.attn.forward(self.norm1.forward(tokens.clone()));
        let tokens = tokens + self.ls1.forward(attended);
        let hidden = gelu(self.mlp.fc1.forward(self.norm2.forward(tokens.clone())));
        tokens + self.ls2.forward(self.mlp.fc2.forward(hidden))
    }

    /// Adds the adapters into the weights.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        self.attn = self.attn.merge_lora();
        self
    }
}
