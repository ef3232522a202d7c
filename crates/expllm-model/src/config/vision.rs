//! Which vision encoder a model has.

use expllm_face::au::AuNetworkConfig;
use expllm_face::backbone::BackboneConfig;
use serde::{Deserialize, Serialize};

use super::{Dinov2Config, LoraConfig};
use crate::ModelError;
use crate::scores::{SCORE_TOKENS, SCORE_WIDTH};

/// The kind of a vision encoder and its sizes; in `config.json` the field `kind` says which one
/// it is, `dinov2` when it is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VisionConfig {
    /// A DINOv2 vision transformer over colour images.
    Dinov2(Dinov2Config),
    /// The network of the action unit detector over grey faces, whose readings are the tokens.
    Convolutional(ConvolutionalConfig),
}

/// The network of the action unit detector. It reads the face and its mirror image, as the detector
/// does, and what it reads are the tokens: see [`score_tokens`](crate::score_tokens).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvolutionalConfig {
    /// Sizes of the network.
    pub network: AuNetworkConfig,
}

impl VisionConfig {
    /// Width of a token.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Dinov2(config) => config.embed_dim,
            Self::Convolutional(_) => SCORE_WIDTH,
        }
    }

    /// Side of the square input image in pixels.
    #[must_use]
    pub fn image_size(&self) -> usize {
        match self {
            Self::Dinov2(config) => config.image_size,
            Self::Convolutional(config) => config.network.side,
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
            Self::Convolutional(_) => SCORE_TOKENS,
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
        let side = self.network.side;
        if !(8..=1024).contains(&side) {
            let reason = format!("{side} is not between 8 and 1024 pixels");
            return Err(ModelError::config("vision.network.side", reason));
        }
        check_backbone("vision.network.backbone", &self.network.backbone)
    }
}

fn check_backbone(field: &'static str, backbone: &BackboneConfig) -> Result<(), ModelError> {
    let (widths, blocks) = (&backbone.widths, &backbone.blocks);
    let fail = |reason: String| Err(ModelError::config(field, reason));
    // Every layer of the stem and every stage halve the side.
    if widths.len() != blocks.len() || backbone.stem.len() + widths.len() > 8 {
        return fail(format!(
            "{} widths and {} numbers of blocks; needs the same of both, at most 8 with the stem",
            widths.len(),
            blocks.len()
        ));
    }
    let mut channels = backbone.stem.iter().chain(widths).copied();
    if let Some(odd) = channels.find(|count| !(1..=4096).contains(count)) {
        return fail(format!("{odd} channels; needs 1 to 4096"));
    }
    if !(1..=16).contains(&backbone.grid) {
        return fail(format!(
            "a grid of {} is not between 1 and 16",
            backbone.grid
        ));
    }
    match blocks.iter().all(|count| (1..=64).contains(count)) {
        true => Ok(()),
        false => fail(format!("{blocks:?} blocks; needs 1 to 64 per stage")),
    }
}
