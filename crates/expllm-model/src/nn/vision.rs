//! The vision encoder of either kind.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use expllm_face::backbone::Backbone;

use super::dinov2::VisionTransformer;
use crate::VisionConfig;

/// From pixels to vision tokens.
// Built once per model, so the unequal sizes of the kinds do not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum VisionEncoder {
    /// A vision transformer.
    Dinov2(VisionTransformer),
    /// A residual convolutional network.
    Convolutional(Backbone),
}

impl VisionEncoder {
    /// A frozen encoder with random weights; adapters of a vision transformer are trainable.
    #[must_use]
    pub fn new(config: &VisionConfig, device: &Device) -> Self {
        match config {
            VisionConfig::Dinov2(config) => Self::Dinov2(VisionTransformer::new(config, device)),
            VisionConfig::Convolutional(config) => {
                Self::Convolutional(config.backbone.init(device).freeze())
            }
        }
    }

    /// The vision transformer; `None` for another kind.
    #[must_use]
    pub fn dinov2(&self) -> Option<&VisionTransformer> {
        match self {
            Self::Dinov2(encoder) => Some(encoder),
            Self::Convolutional(_) => None,
        }
    }

    /// Tokens of images.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, side, side]`, normalised, to `[batch, patches, width]`.
    ///
    /// # Panics
    ///
    /// When the side is not the one of the configuration.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        match self {
            Self::Dinov2(encoder) => encoder.forward(images),
            Self::Convolutional(encoder) => encoder.cells(images),
        }
    }

    /// Adds the adapters into the weights.
    #[must_use]
    pub fn merge_lora(self) -> Self {
        match self {
            Self::Dinov2(encoder) => Self::Dinov2(encoder.merge_lora()),
            plain @ Self::Convolutional(_) => plain,
        }
    }
}
