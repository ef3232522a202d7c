//! Models from their weights.

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};

use super::layout::{Path, fill, language};
use super::merge::{Merged, merged_config};
use super::{LoadOptions, check, check_language};
use crate::nn::VisionEncoder;
use crate::nn::llama::Llama;
use crate::packed::{Loader, PackedDecoder, PackedEncoder, PackedProjector};
use crate::parts::{self, Decoder, Encoder, Projection};
use crate::{ExpLlm, LlmConfig, ModelConfig, ModelError, Packing, TensorSource, VisionConfig};

impl ExpLlm {
    /// A model with the weights of a source, read tensor by tensor.
    ///
    /// Every tensor is used. `mask_token` of the vision encoder and `rotary_emb.inv_freq`, which
    /// the official layout stores and the model never reads, are passed over, as is the head of
    /// a model whose head is tied to the embedding table.
    ///
    /// # Errors
    ///
    /// [`ModelError::Weights`] names every tensor that is missing, unexpected or misshapen,
    /// before any is read; [`ModelError::Tensor`] for numbers that are not finite;
    /// [`ModelError::Config`] for packed weights, which a [`Network`] alone can have.
    pub fn load(
        config: &ModelConfig,
        source: &dyn TensorSource,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, ModelError> {
        if options.kernels.is_some() {
            let reason = "packed weights cannot be trained; load them as a Network";
            return Err(ModelError::config("kernels", reason));
        }
        options.check_dtype(device)?;
        let model = Self::init(config, device)?;
        let fresh = check(&model, source, options)?;
        let path = Path::new(&model);
        fill(model, path, source, (options.dtype, fresh))
    }
}

/// The parts of a model, ready to answer: each computed by burn or by the kernels of
/// `expllm-kernels`. A clone shares them.
#[derive(Debug, Clone)]
pub struct Network {
    /// From pixels to vision tokens.
    pub encoder: Arc<dyn Encoder>,
    /// From vision tokens to language tokens.
    pub projection: Arc<dyn Projection>,
    /// The language model.
    pub decoder: Arc<dyn Decoder>,
    config: ModelConfig,
}

impl From<ExpLlm> for Network {
    fn from(model: ExpLlm) -> Self {
        let config = model.config().clone();
        Self {
            encoder: Arc::new(model.vision),
            projection: Arc::new(model.projector),
            decoder: Arc::new(model.llm),
            config,
        }
    }
}

impl Network {
    /// The parts with the weights of a source, packed where the options say so.
    ///
    /// # Errors
    ///
    /// As [`ExpLlm::load`]; [`ModelError::Tensor`] also for packed weights of which a part is
    /// missing.
    pub fn load(
        config: &ModelConfig,
        source: &dyn TensorSource,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let Some(packing) = options.kernels else {
            return ExpLlm::load(config, source, options, device).map(Self::from);
        };
        // Parameters are lazy, so this takes no memory for weights.
        let fresh = check(&ExpLlm::init(config, device)?, source, options)?;
        if let Some(name) = fresh.first() {
            let reason = "is missing; parts are made anew for training alone";
            return Err(ModelError::tensor(name, reason));
        }
        pack(config, source, packing, device)
    }

    /// Sizes and options.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The tokens of images for the language model, as [`ExpLlm::encode_images`].
    ///
    /// # Errors
    ///
    /// [`ModelError::Input`] for another size, [`ModelError::Device`] when the computation fails.
    pub fn encode_images(&self, images: Tensor<4>) -> Result<Tensor<3>, ModelError> {
        let sizes = (&self.config.vision, self.decoder.dtype());
        parts::encode(
            images,
            sizes,
            self.encoder.as_ref(),
            self.projection.as_ref(),
        )
    }
}

/// The parts with packed weights, adapters merged; a convolutional vision encoder, which is small,
/// stays burn's.
fn pack(
    config: &ModelConfig,
    source: &dyn TensorSource,
    packing: Packing,
    device: &Device,
) -> Result<Network, ModelError> {
    let source = &Merged::new(source, config);
    let config = merged_config(config);
    let beside = Loader {
        source,
        packing: packing.beside(),
    };
    let encoder: Arc<dyn Encoder> = match &config.vision {
        VisionConfig::Dinov2(vision) => Arc::new(PackedEncoder::load(vision, &beside, device)?),
        VisionConfig::Convolutional(_) => {
            let encoder = VisionEncoder::new(&config.vision, device);
            let path = Path::of("vision", config.projector);
            Arc::new(fill(encoder, path, source, (DType::F32, BTreeSet::new()))?)
        }
    };
    let widths = [config.vision.width(), config.llm.hidden_size];
    let projection = PackedProjector::load(config.projector, widths, &beside)?;
    let loader = Loader { source, packing };
    let decoder = PackedDecoder::load(&config.llm, &loader, device)?;
    Ok(Network {
        encoder,
        projection: Arc::new(projection),
        decoder: Arc::new(decoder),
        config,
    })
}

/// A language model on its own.
pub(crate) fn load_language(
    config: &LlmConfig,
    source: &dyn TensorSource,
    options: &LoadOptions,
    device: &Device,
) -> Result<Arc<dyn Decoder>, ModelError> {
    options.check_dtype(device)?;
    check_language(config, source)?;
    let Some(packing) = options.kernels else {
        let model = Llama::new(config, device);
        let model = fill(model, language(), source, (options.dtype, BTreeSet::new()))?;
        return Ok(Arc::new(model));
    };
    let decoder = PackedDecoder::load(config, &Loader { source, packing }, device)?;
    Ok(Arc::new(decoder))
}
