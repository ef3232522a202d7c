//! Cutting an image into patches.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, module::linear};

use crate::Dinov2Config;

/// Weights of the patch convolution, whose kernel and stride are both one patch.
#[derive(Module, Debug)]
pub struct PatchProjection {
    /// `[width, 3, patch, patch]`.
    pub weight: Param<Tensor<4>>,
    /// `[width]`.
    pub bias: Param<Tensor<1>>,
}

/// One token per patch, rows of patches from top to bottom.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// The projection of one patch.
    pub proj: PatchProjection,
}

impl PatchEmbed {
    /// A frozen projection with small random weights.
    #[must_use]
    pub fn new(config: &Dinov2Config, device: &Device) -> Self {
        let (width, patch) = (config.embed_dim, config.patch_size);
        let weight = Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        let weight: Param<Tensor<4>> = weight.init([width, 3, patch, patch], device);
        let bias: Param<Tensor<1>> = Initializer::Zeros.init([width], device);
        Self {
            proj: PatchProjection {
                weight: weight.set_require_grad(false),
                bias: bias.set_require_grad(false),
            },
        }
    }

    /// Cuts and projects.
    ///
    /// # Shapes
    ///
    /// `[batch, 3, side, side]` to `[batch, patches, width]`.
    ///
    /// # Panics
    ///
    /// When the side is not a multiple of the patch size.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let weight = self.proj.weight.val();
        let [width, channels, patch, _] = weight.dims();
        let [batch, _, height, side] = images.dims();
        let (rows, columns) = (height / patch, side / patch);
        let volume = channels * patch * patch;
        // Kernel and stride are equal, so the convolution is one matrix product over patches.
        let patches = images
            .reshape([batch, channels, rows, patch, columns, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows * columns, volume]);
        let weight = weight.reshape([width, volume]).transpose();
        linear(patches, weight, Some(self.proj.bias.val()))
    }
}
