//! Sizes of a DINOv2 vision encoder.

use serde::{Deserialize, Serialize};

use super::LoraConfig;
use super::checks::{check_divides, check_lora, check_positive, check_size};
use crate::ModelError;

/// A DINOv2 vision transformer ([Oquab et al. 2023](https://arxiv.org/abs/2304.07193)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dinov2Config {
    /// Width of a token.
    pub embed_dim: usize,
    /// Transformer blocks.
    pub depth: usize,
    /// Attention heads; a divisor of `embed_dim`.
    pub num_heads: usize,
    /// Width of the hidden layer of the MLP over `embed_dim`.
    pub mlp_ratio: f64,
    /// Side of a square patch in pixels.
    pub patch_size: usize,
    /// Side of the square input image in pixels; a multiple of `patch_size`.
    pub image_size: usize,
    /// Side of the images of pre-training in pixels, which sets the grid of the stored
    /// position embedding; a multiple of `patch_size`.
    pub pretrain_image_size: usize,
    /// Epsilon of the layer norms.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Adapters on slices of the fused `qkv` projection.
    #[serde(default)]
    pub lora: Option<LoraConfig>,
}

fn default_layer_norm_eps() -> f64 {
    1e-6
}

impl Dinov2Config {
    /// ViT-S/14 (21 million parameters) on 224 x 224 images.
    #[must_use]
    pub fn small() -> Self {
        Self::dinov2(384, 12, 6)
    }

    /// ViT-B/14 (86 million parameters) on 224 x 224 images.
    #[must_use]
    pub fn base() -> Self {
        Self::dinov2(768, 12, 12)
    }

    /// ViT-L/14 (304 million parameters) on 224 x 224 images, as in the paper.
    #[must_use]
    pub fn large() -> Self {
        Self::dinov2(1024, 24, 16)
    }

    fn dinov2(embed_dim: usize, depth: usize, num_heads: usize) -> Self {
        Self {
            embed_dim,
            depth,
            num_heads,
            mlp_ratio: 4.0,
            patch_size: 14,
            image_size: 224,
            pretrain_image_size: 518,
            layer_norm_eps: default_layer_norm_eps(),
            lora: None,
        }
    }

    /// Patches along one side of the input image.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches along one side of a pre-training image.
    #[must_use]
    pub fn pretrain_grid(&self) -> usize {
        self.pretrain_image_size / self.patch_size
    }

    /// Patches of one image, which is also its number of tokens in the prompt.
    #[must_use]
    pub fn num_patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Width of the hidden layer of the MLP.
    #[must_use]
    pub fn mlp_dim(&self) -> usize {
        (self.embed_dim as f64 * self.mlp_ratio) as usize
    }

    pub(super) fn validate(&self) -> Result<(), ModelError> {
        check_size("vision.embed_dim", self.embed_dim)?;
        check_size("vision.depth", self.depth)?;
        check_size("vision.patch_size", self.patch_size)?;
        check_divides("vision.num_heads", self.num_heads, self.embed_dim)?;
        check_size("vision.image_size", self.image_size)?;
        check_size("vision.pretrain_image_size", self.pretrain_image_size)?;
        check_divides("vision.patch_size", self.patch_size, self.image_size)?;
        check_divides(
            "vision.patch_size",
            self.patch_size,
            self.pretrain_image_size,
        )?;
        // Grids are squared and multiplied by widths.
        if self.grid().max(self.pretrain_grid()) > 1024 {
            let reason = "more than 1024 patches along one side".to_owned();
            return Err(ModelError::config("vision.image_size", reason));
        }
        check_positive("vision.mlp_ratio", self.mlp_ratio)?;
        check_size("vision.mlp_ratio", self.mlp_dim())?;
        check_positive("vision.layer_norm_eps", self.layer_norm_eps)?;
        check_lora("vision.lora", self.lora.as_ref(), &["q", "k", "v"])
    }
}
