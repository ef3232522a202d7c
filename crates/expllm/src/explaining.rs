//! The multimodal language model as a stage: a checkpoint in, an explainer out.

use std::path::PathBuf;
use std::sync::Arc;

use expllm_core::ExpressionSet;
use expllm_cot::ChainJudge;
use expllm_model::checkpoint::{self, Checkpoint};
use expllm_model::generation::Verification;
use expllm_model::{Backend, DType, ExpLlmExplainer, FacePixels, Format, LoadOptions, ModelError};

/// Where the weights, the tokenizer and the template of a multimodal model are. All of them are
/// used in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelSource {
    /// The tiny model that is part of `expllm-model`.
    Shipped,
    /// A checkpoint folder of any layout that [`checkpoint::open`] knows.
    Folder(PathBuf),
}

/// Candidates that are drawn in place of a sentence that the face contradicts, unless another number
/// is given.
pub const DRAWS: u32 = 4;

/// How a model is loaded.
#[derive(Debug, Clone)]
pub struct ExplainerOptions {
    /// The expressions that it answers with.
    pub set: ExpressionSet,
    /// Where it runs; `None` takes the first backend of the build.
    pub backend: Option<Backend>,
    /// Number format of the weights in memory; `None` takes that of the file. Formats of 8 and 4
    /// bits run on the `cpu` backend alone.
    pub format: Option<Format>,
    /// Start of the random numbers where the model samples; `None` keeps the folder's own.
    pub seed: Option<u64>,
    /// Sampling temperature, 0 to 100; 0 takes the likeliest token each time, `None` keeps the
    /// folder's own.
    pub temperature: Option<f32>,
    /// Most tokens of a text, at least 1; `None` keeps the folder's own limit.
    pub max_new_tokens: Option<usize>,
    /// Candidates that are drawn in place of a sentence that the units of the face contradict, before
    /// it is shown marked; 0 only marks it, and with `None` nothing is held against the face.
    pub draws: Option<u32>,
}

impl Default for ExplainerOptions {
    /// All eight expressions; backend, number format and seed are chosen, and four candidates drawn.
    fn default() -> Self {
        Self {
            set: ExpressionSet::Eight,
            backend: None,
            format: None,
            seed: None,
            temperature: None,
            max_new_tokens: None,
            draws: Some(DRAWS),
        }
    }
}

impl ModelSource {
    /// Loads the model with everything that it needs to explain aligned faces. On the `cpu`
    /// backend its weights are packed for the kernels of `expllm-kernels`.
    ///
    /// # Errors
    ///
    /// As [`checkpoint::open`] and [`ExpLlmExplainer::load`]; [`ModelError::Face`] when the
    /// build lacks the backend, [`ModelError::Device`] when the backend lacks the format.
    pub fn load(&self, options: &ExplainerOptions) -> Result<ExpLlmExplainer, ModelError> {
        let backend = options.backend.unwrap_or_else(Backend::preferred);
        let device = backend.device()?;
        let mut checkpoint = match self {
            Self::Shipped => checkpoint::shipped()?,
            Self::Folder(dir) => checkpoint::open(dir)?,
        };
        let settings = &mut checkpoint.generation;
        settings.seed = options.seed.unwrap_or(settings.seed);
        settings.temperature = options.temperature.unwrap_or(settings.temperature);
        settings.max_new_tokens = options.max_new_tokens.unwrap_or(settings.max_new_tokens);
        let format = options
            .format
            .unwrap_or_else(|| stored_format(&checkpoint, backend));
        let load = load_options(format, backend)?;
        let pixels = FacePixels::of(&checkpoint.config.vision);
        let model = ExpLlmExplainer::load(checkpoint, &load, &device, options.set, pixels)?;
        Ok(match options.draws {
            Some(draws) => verified(model, draws),
            None => model,
        })
    }
}

/// A model whose sentences are held against the units of the face by the reader of chains, the one
/// that all checks use.
#[must_use]
pub fn verified(model: ExpLlmExplainer, draws: u32) -> ExpLlmExplainer {
    let judge = Arc::new(ChainJudge);
    model.verified(Verification { judge, draws })
}

/// How weights are kept on a backend.
fn load_options(format: Format, backend: Backend) -> Result<LoadOptions, ModelError> {
    let mut options = LoadOptions::default();
    match (backend, format) {
        (Backend::Cpu, format) => options.kernels = Some(format.into()),
        (_, Format::F32) => options.dtype = DType::F32,
        (_, Format::F16) => options.dtype = DType::F16,
        (_, Format::Bf16) => options.dtype = DType::BF16,
        (backend, format) => {
            let name = format.name();
            return Err(ModelError::Device(format!(
                "{name} weights run on the cpu backend alone; take f16 or bf16 on {backend}"
            )));
        }
    }
    Ok(options)
}

/// The format of the largest tensor of a checkpoint; where blocks are not to be had, what they
/// are read as.
fn stored_format(checkpoint: &Checkpoint, backend: Backend) -> Format {
    let source = &checkpoint.source;
    let sizes = source.names().into_iter().filter_map(|name| {
        let info = source.info(&name)?;
        Some((info.count()?, name, info.dtype))
    });
    let Some((_, name, dtype)) = sizes.max_by_key(|(count, ..)| *count) else {
        return Format::F32;
    };
    match (source.block_format(&name), dtype) {
        (Some(format), _) if backend == Backend::Cpu => format,
        (_, DType::F16) => Format::F16,
        (_, DType::BF16) => Format::Bf16,
        _ => Format::F32,
    }
}

#[cfg(test)]
mod tests {
    use expllm_model::{ModelConfig, RandomWeights};

    use super::*;

    fn checkpoint(dtype: DType) -> Checkpoint {
        let config = ModelConfig::tiny();
        Checkpoint {
            // Random weights are drawn when they are read, so this takes no memory.
            source: Box::new(RandomWeights::new(&config, dtype, 1).unwrap()),
            tokenizer: None,
            prompt: Default::default(),
            generation: Default::default(),
            config,
        }
    }

    #[test]
    fn weights_keep_the_format_of_their_file() {
        for (stored, kept) in [
            (DType::F16, Format::F16),
            (DType::BF16, Format::Bf16),
            (DType::F32, Format::F32),
        ] {
            for backend in Backend::ALL {
                assert_eq!(stored_format(&checkpoint(stored), backend), kept);
                let options = load_options(kept, backend).unwrap();
                assert_eq!(options.kernels.is_some(), backend == Backend::Cpu);
                assert!(options.kernels.is_some() || options.dtype == stored);
            }
        }
        let refused = load_options(Format::Q8_0, Backend::Wgpu).unwrap_err();
        assert!(refused.to_string().contains("cpu"), "{refused}");
    }
}
