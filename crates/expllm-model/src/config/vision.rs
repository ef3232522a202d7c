//! Which vision encoder a model has.

use expllm_face::backbone::BackboneConfig;
use serde::{Deserialize, Serialize};

use super::checks::check_size;
use super::{Dinov2Config, LoraConfig};
use crate::ModelError;

/// The kind of a vision encoder and its sizes; in `config.json` the field `kind` says which one
/// it is, `dinov2` when it is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VisionConfig {
    /// A DINOv2 vision transformer over colour images.
    Dinov2(Dinov2Config),
    /// The residual convolutional network of the action unit detector over grey faces.
    Convolutional(ConvolutionalConfig),
}

/// A residual convolutional encoder; each cell of its grid is a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvolutionalConfig {
    /// Side of the square input image in pixels.
    pub image_size: usize,
    /// The network.
    pub backbone: BackboneConfig,
}

impl VisionConfig {
    /// Width of a token.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Dinov2(config) => config.embed_dim,
            Self::Convolutional(config) => config.backbone.channels(),
        }
    }

    /// Side of the square input image in pixels.
    #[must_use]
    pub fn image_size(&self) -> usize {
        match self {
            Self::Dinov2(config) => config.image_size,
            Self::Convolutional(config) => config.image_size,
        }
    }

    /// Colour channels of the input image: 3 or 1.
    #[must_use]
    pub fn channels(&self) -> usize {
        match self {
            Self::Dinov2(_) => 3,
            Self::Convolutional(_) => 1,
        }
    }

    /// Tokens of one image, which is also how many stand for it in the prompt.
    #[must_use]
    pub fn num_patches(&self) -> usize {
        match self {
            Self::Dinov2(config) => config.num_patches(),
            Self::Convolutional(config) => config.backbone.grid * config.backbone.grid,
        }
    }

    /// The adapters of the encoder; a convolutional one has none.
    #[must_use]
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.dinov2()?.lora.as_ref()
    }

    /// The sizes of a DINOv2 encoder; `None` for another kind.
    #[must_use]
    pub fn dinov2(&self) -> Option<&Dinov2Config> {
        match self {
            Self::Dinov2(config) => Some(config),
            Self::Convolutional(_) => None,
        }
    }

    /// As [`dinov2`](Self::dinov2), to be changed.
    pub fn dinov2_mut(&mut self) -> Option<&mut Dinov2Config> {
        match self {
            Self::Dinov2(config) => Some(config),
            Self::Convolutional(_) => None,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ModelError> {
        match self {
            Self::Dinov2(config) => config.validate(),
            Self::Convolutional(config) => config.validate(),
        }
    }
}

impl ConvolutionalConfig {
    fn validate(&self) -> Result<(), ModelError> {
        check_size("vision.image_size", self.image_size)?;
        check_size("vision.backbone.stem", self.backbone.stem)?;
        let (widths, blocks) = (&self.backbone.widths, &self.backbone.blocks);
        // Every stage halves the side.
        if widths.is_empty() || widths.len() != blocks.len() || widths.len() > 8 {
            let reason = format!(
                "{} widths and {} numbers of blocks; needs 1 to 8 of each",
                widths.len(),
                blocks.len()
            );
            return Err(ModelError::config("vision.backbone.widths", reason));
        }
        for &size in widths.iter().chain(blocks) {
            check_size("vision.backbone", size)?;
        }
        if blocks.iter().sum::<usize>() > 256 || widths.iter().any(|&width| width > 1 << 14) {
            let reason = "more than 256 blocks or 16384 channels".to_owned();
            return Err(ModelError::config("vision.backbone", reason));
        }
        if !(1..=64).contains(&self.backbone.grid) {
            let reason = format!("{} is not between 1 and 64", self.backbone.grid);
            return Err(ModelError::config("vision.backbone.grid", reason));
        }
        if self.image_size > 1 << 12 {
            let reason = "more than 4096 pixels".to_owned();
            return Err(ModelError::config("vision.image_size", reason));
        }
        Ok(())
    }
}
