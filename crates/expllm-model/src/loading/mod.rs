//! Tensors of a module under their official names: listing, loading and reading back.

mod layout;

use std::collections::BTreeSet;

use burn::tensor::{DType, Device};
use expllm_kernels::Format;

use crate::checkpoint::blocks::format_beside;
use crate::checkpoint::merge::{Merged, merged_config};
use crate::nn::VisionEncoder;
use crate::nn::dinov2::VisionTransformer;
use crate::nn::llama::Llama;
use crate::processor::{self, Loader, ProcessorDecoder, ProcessorEncoder, ProcessorProjector};
use crate::{
    ExpLlm, LlmConfig, ModelConfig, ModelError, ProjectorKind, TensorSource, VisionConfig,
    WeightsMismatch, WrongShape,
};
pub use layout::TensorSpec;
use layout::{Path, fill, is_float, layout_of};

/// A part of the model that may be missing in a source and is then made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FreshPart {
    /// The projector, with small random weights.
    Projector,
    /// All adapters, which change nothing until they are trained.
    Lora,
}

impl FreshPart {
    /// Every part; together they are what training changes.
    pub const ALL: [Self; 2] = [Self::Projector, Self::Lora];

    fn covers(self, name: &str) -> bool {
        match self {
            Self::Projector => name.starts_with("mm_projector."),
            Self::Lora => name.contains(".lora_"),
        }
    }
}

/// How weights are packed for the kernels of `expllm-kernels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packing {
    /// Each matrix in the format of its file. Blocks that the kernels do not know become f32.
    Stored,
    /// All matrices in one format; beside a language model in 4 bits, the vision encoder and the
    /// projector are kept in 8.
    As(Format),
}

impl From<Format> for Packing {
    fn from(format: Format) -> Self {
        Self::As(format)
    }
}

impl Packing {
    /// For the vision encoder and the projector beside a language model that is packed so.
    fn beside(self) -> Self {
        match self {
            Self::Stored => Self::Stored,
            Self::As(format) => Self::As(format_beside(format)),
        }
    }
}

/// How weights are loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Number format in memory: `F32`, `F16` or `BF16`.
    pub dtype: DType,
    /// Parts that the source may lack.
    pub fresh: Vec<FreshPart>,
    /// For inference on the processor: weights are packed so for the kernels of
    /// `expllm-kernels`, adapters merged, and `dtype` has no effect. Such a model cannot be
    /// trained, saved or read back.
    pub kernels: Option<Packing>,
}

impl LoadOptions {
    fn check_dtype(&self) -> Result<(), ModelError> {
        if [DType::F32, DType::F16, DType::BF16].contains(&self.dtype) {
            return Ok(());
        }
        let reason = format!("weights cannot be kept as {:?}", self.dtype);
        Err(ModelError::config("dtype", reason))
    }
}

impl Default for LoadOptions {
    /// All parts must be there; f32.
    fn default() -> Self {
        Self {
            dtype: DType::F32,
            fresh: Vec::new(),
            kernels: None,
        }
    }
}

/// Fills a model from a source after checking that both fit.
pub(crate) fn load_into(
    model: ExpLlm,
    source: &dyn TensorSource,
    options: &LoadOptions,
) -> Result<ExpLlm, ModelError> {
    options.check_dtype()?;
    let fresh = check(&model, source, options)?;
    let path = Path::new(&model);
    fill(model, path, source, (options.dtype, fresh))
}

/// A language model on its own.
pub(crate) fn load_language(
    config: &LlmConfig,
    source: &dyn TensorSource,
    options: &LoadOptions,
    device: &Device,
) -> Result<Llama, ModelError> {
    options.check_dtype()?;
    check_language(config, source)?;
    let mut model = Llama::new(config, device);
    let Some(packing) = options.kernels else {
        return fill(model, language(), source, (options.dtype, BTreeSet::new()));
    };
    let decoder = ProcessorDecoder::load(config, &Loader { source, packing })?;
    model.set_processor(decoder);
    Ok(model)
}

/// The place of a language model.
fn language() -> Path {
    // The kind of projector says nothing about the names of a language model.
    Path::of("llm", ProjectorKind::Linear)
}

/// A model with packed weights; the parameters of burn stay empty, but for a convolutional vision
/// encoder, which is small and stays burn's.
pub(crate) fn load_packed(
    config: &ModelConfig,
    source: &dyn TensorSource,
    (options, packing): (&LoadOptions, Packing),
    device: &Device,
) -> Result<ExpLlm, ModelError> {
    let fresh = check(&ExpLlm::init(config, device)?, source, options)?;
    if let Some(name) = fresh.first() {
        let reason = "is missing; parts are made anew for training alone";
        return Err(ModelError::tensor(name, reason));
    }
    let merged = Merged::new(source, config);
    let mut model = ExpLlm::init(&merged_config(config), device)?;
    let mut loader = Loader {
        source: &merged,
        packing: packing.beside(),
    };
    model.vision = match model.vision {
        VisionEncoder::Dinov2(encoder) => {
            VisionEncoder::Dinov2(pack_vision(encoder, &config.vision, &loader)?)
        }
        convolutional @ VisionEncoder::Convolutional(_) => {
            let path = Path::of("vision", config.projector);
            fill(convolutional, path, &merged, (DType::F32, BTreeSet::new()))?
        }
    };
    let widths = [config.vision.width(), config.llm.hidden_size];
    let projector = ProcessorProjector::load(config.projector, widths, &loader)?;
    model.projector.set_processor(projector);
    loader.packing = packing;
    let decoder = ProcessorDecoder::load(&config.llm, &loader)?;
    model.llm.set_processor(decoder);
    Ok(model)
}

fn pack_vision(
    mut encoder: VisionTransformer,
    config: &VisionConfig,
    loader: &Loader<'_>,
) -> Result<VisionTransformer, ModelError> {
    let Some(config) = config.dinov2() else {
        return Ok(encoder);
    };
    let width = config.embed_dim;
    let stored = loader.numbers("vision_model.pos_embed")?;
    let shape = [1, stored.len() / width, width];
    let stored = processor::tensor(stored, shape, &encoder.pos_embed.lazy_device());
    let positions = processor::numbers(encoder.resample(stored));
    encoder.set_processor(ProcessorEncoder::load(config, loader, positions)?);
    Ok(encoder)
}

/// Compares names and shapes, and returns the names that will be made anew.
pub(crate) fn check(
    model: &ExpLlm,
    source: &dyn TensorSource,
    options: &LoadOptions,
) -> Result<BTreeSet<String>, ModelError> {
    let tied = model.config().llm.tie_word_embeddings;
    check_layout(model.layout(), tied, source, options)
}

/// As [`check`], for a language model on its own.
pub(crate) fn check_language(
    config: &LlmConfig,
    source: &dyn TensorSource,
) -> Result<(), ModelError> {
    config.validate()?;
    // Parameters are lazy, so this takes no memory for weights.
    let layout = layout_of(&Llama::new(config, &crate::default_device()), language());
    let options = LoadOptions::default();
    check_layout(layout, config.tie_word_embeddings, source, &options).map(drop)
}

fn check_layout(
    layout: Vec<TensorSpec>,
    tied: bool,
    source: &dyn TensorSource,
    options: &LoadOptions,
) -> Result<BTreeSet<String>, ModelError> {
    let mut left: BTreeSet<String> = source.names().into_iter().collect();
    let mut mismatch = WeightsMismatch::default();
    let mut fresh = BTreeSet::new();
    for spec in layout {
        left.remove(&spec.name);
        match source.info(&spec.name) {
            None if options.fresh.iter().any(|part| part.covers(&spec.name)) => {
                fresh.insert(spec.name);
            }
            None => mismatch.missing.push(spec.name),
            Some(info) if info.shape != spec.shape => mismatch.misshapen.push(WrongShape {
                name: spec.name,
                expected: spec.shape,
                found: info.shape,
            }),
            Some(info) if !is_float(info.dtype) => {
                let reason = format!("{:?} cannot be a weight", info.dtype);
                return Err(ModelError::tensor(spec.name, reason));
            }
            Some(_) => {}
        }
    }
    left.retain(|name| !is_never_read(name, tied));
    mismatch.unexpected = left.into_iter().collect();
    if mismatch.is_empty() {
        Ok(fresh)
    } else {
        Err(ModelError::Weights(mismatch))
    }
}

/// Tensors that official checkpoints store and the model has no use for.
fn is_never_read(name: &str, tied: bool) -> bool {
    name == "vision_model.mask_token"
        || name.ends_with(".rotary_emb.inv_freq")
        || (tied && name == "lm_head.weight")
}
