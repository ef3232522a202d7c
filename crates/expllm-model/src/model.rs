//! Vision encoder, projector and language model together.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::nn::llama::Llama;
use crate::nn::{Projector, VisionEncoder};
use crate::parts::{self, KvCache, TokenMask};
use crate::{ModelConfig, ModelError, Speaker};

/// The multimodal language model: the tokens of an image take the place of image tokens in the
/// prompt.
///
/// Created or loaded for training, projector and adapters are trainable and the rest is frozen;
/// [`Module::train`](burn::module::Module::train) and a device with automatic differentiation
/// turn gradients on.
#[derive(Module, Debug)]
pub struct ExpLlm {
    /// The vision encoder.
    pub vision: VisionEncoder,
    /// From vision tokens to language tokens.
    pub projector: Projector,
    /// The language model.
    pub llm: Llama,
    #[module(skip)]
    config: ModelConfig,
}

impl ExpLlm {
    /// A model with random weights, which take memory when they are first used.
    ///
    /// # Errors
    ///
    /// [`ModelError::Config`].
    pub fn init(config: &ModelConfig, device: &Device) -> Result<Self, ModelError> {
        config.validate()?;
        let widths = [config.vision.width(), config.llm.hidden_size];
        Ok(Self {
            vision: VisionEncoder::new(&config.vision, device),
            projector: Projector::new(config.projector, widths, device),
            llm: Llama::new(&config.llm, device),
            config: config.clone(),
        })
    }

    /// Sizes and options.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The tokens of images for the language model.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, side, side]`, normalised as in training (RGB for DINOv2, standardised
    /// grey for a convolutional encoder), to `[batch, patches, language width]`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Input`] for another size.
    pub fn encode_images(&self, images: Tensor<4>) -> Result<Tensor<3>, ModelError> {
        let sizes = (&self.config.vision, self.llm.dtype());
        parts::encode(images, sizes, &self.vision, &self.projector)
    }

    /// Embeddings of prompts in which image tokens are replaced by the tokens of an image.
    ///
    /// # Shapes
    ///
    /// - `tokens`: rows of equal length; with images, every row holds one run of image tokens
    /// - `images`: `[batch, patches, width]`, from [`encode_images`](Self::encode_images)
    /// - output: `[batch, length, width]`
    ///
    /// # Errors
    ///
    /// [`ModelError::ImageTokens`], [`ModelError::TokenOutsideVocabulary`] or
    /// [`ModelError::Input`].
    pub fn embed_prompts(
        &self,
        tokens: &[Vec<u32>],
        images: Option<&Tensor<3>>,
    ) -> Result<Tensor<3>, ModelError> {
        Speaker::from(self).embed(tokens, images)
    }

    /// Runs prompts and returns the hidden state after each token; with a cache, after the
    /// tokens that it holds.
    ///
    /// # Shapes
    ///
    /// As [`embed_prompts`](Self::embed_prompts); output `[batch, length, width]`.
    ///
    /// # Errors
    ///
    /// As [`embed_prompts`](Self::embed_prompts) and [`Decoder::forward`](crate::parts::Decoder::forward).
    pub fn forward(
        &self,
        tokens: &[Vec<u32>],
        mask: &TokenMask,
        images: Option<&Tensor<3>>,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor<3>, ModelError> {
        Speaker::from(self).forward(tokens, mask, images, cache)
    }

    /// The model with all adapters added into the weights, which gives the same answers faster.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        self.vision = self.vision.merge_lora();
        self.llm = self.llm.merge_lora();
        if let Some(vision) = self.config.vision.dinov2_mut() {
            vision.lora = None;
        }
        self.config.llm.lora = None;
        self
    }
}
