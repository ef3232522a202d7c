//! The vision encoder of either kind.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use expllm_core::{ActionUnit, Expression};
use expllm_face::encoder::FaceEncoder;

use super::Linear;
use super::dinov2::VisionTransformer;
use crate::parts::Encoder;
use crate::{ConvolutionalConfig, ModelError, VisionConfig};

/// From pixels to vision tokens.
// Built once per model, so the unequal sizes of the kinds do not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum VisionEncoder {
    /// A vision transformer.
    Dinov2(VisionTransformer),
    /// The network of the action unit detector.
    Convolutional(DetectorEncoder),
}

/// The network of the action unit detector, with what it reads from its features.
#[derive(Module, Debug)]
pub struct DetectorEncoder {
    /// The two convolutional networks.
    pub encoder: FaceEncoder,
    /// From features of the fine look to scores of action units.
    pub units: Linear,
    /// From features of the coarse look to scores of expressions.
    pub expressions: Linear,
}

impl DetectorEncoder {
    /// A frozen network with random weights.
    #[must_use]
    pub fn new(config: &ConvolutionalConfig, device: &Device) -> Self {
        let (fine, coarse) = (&config.encoder.fine, &config.encoder.coarse);
        Self {
            encoder: config.encoder.init(device).freeze(),
            units: Linear::new([fine.features(), ActionUnit::FEAFA_COUNT], true, device),
            expressions: Linear::new([coarse.features(), Expression::COUNT], true, device),
        }
    }

    /// The token of one look.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, side, side]`, standardised grey, to `[batch, 1, scores]`.
    #[must_use]
    pub fn token(&self, faces: Tensor<4>) -> Tensor<3> {
        let units = self.units.forward(self.encoder.fine(faces.clone()));
        let expressions = self.expressions.forward(self.encoder.coarse(faces));
        Tensor::cat(vec![units, expressions], 1).unsqueeze_dim(1)
    }
}

impl VisionEncoder {
    /// A frozen encoder with random weights; adapters of a vision transformer are trainable.
    #[must_use]
    pub fn new(config: &VisionConfig, device: &Device) -> Self {
        match config {
            VisionConfig::Dinov2(config) => Self::Dinov2(VisionTransformer::new(config, device)),
            VisionConfig::Convolutional(config) => {
                Self::Convolutional(DetectorEncoder::new(config, device))
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
            Self::Convolutional(encoder) => {
                let both = [images.clone(), images.flip([3])];
                Tensor::cat(both.map(|look| encoder.token(look)).to_vec(), 1)
            }
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

impl Encoder for VisionEncoder {
    fn tokens(&self, images: Tensor<4>) -> Result<Tensor<3>, ModelError> {
        Ok(self.forward(images))
    }
}
