//! The vision encoder of either kind.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use expllm_face::FaceError;
use expllm_face::au::AuNetwork;

use super::dinov2::VisionTransformer;
use crate::parts::Encoder;
use crate::scores::{SCORE_TOKENS, SCORE_WIDTH, score_tokens};
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

/// The network of the action unit detector, whose readings are the tokens.
#[derive(Module, Debug)]
pub struct DetectorEncoder {
    /// The network with its calibration.
    pub network: AuNetwork,
}

impl DetectorEncoder {
    /// A frozen network with random weights.
    #[must_use]
    pub fn new(config: &ConvolutionalConfig, device: &Device) -> Self {
        Self::from(config.network.init(device))
    }

    /// The scores that are read of faces, as the detector reads them.
    fn tokens(&self, faces: Tensor<4>) -> Result<Tensor<3>, FaceError> {
        let options = (faces.device(), faces.dtype());
        let [count, ..] = faces.dims();
        let looks = Tensor::cat(vec![faces.clone(), faces.flip([3])], 0);
        let output = self.network.forward(looks);
        let readings = output.readings(&self.network.calibration())?;
        let tokens: Vec<f32> = readings.iter().flat_map(score_tokens).collect();
        let data = TensorData::new(tokens, [count, SCORE_TOKENS, SCORE_WIDTH]);
        Ok(Tensor::<3>::from_data(data, (&options.0, DType::F32)).cast(options.1))
    }
}

impl From<AuNetwork> for DetectorEncoder {
    /// The encoder that looks through a network, frozen.
    fn from(network: AuNetwork) -> Self {
        Self {
            network: network.freeze(),
        }
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
    /// # Errors
    ///
    /// [`ModelError::Device`] when what the network of the detector says cannot be read.
    ///
    /// # Panics
    ///
    /// When the side is not the one of the configuration.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<3>, ModelError> {
        match self {
            Self::Dinov2(encoder) => Ok(encoder.forward(images)),
            Self::Convolutional(encoder) => {
                let tokens = encoder.tokens(images);
                tokens.map_err(|error| ModelError::Device(error.to_string()))
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
        self.forward(images)
    }
}
