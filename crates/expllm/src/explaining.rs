//! The multimodal language model as a stage: a checkpoint in, an explainer out.

use std::path::PathBuf;

use expllm_core::ExpressionSet;
use expllm_model::checkpoint::{self, Checkpoint};
use expllm_model::{
    Backend, DType, ExpLlmExplainer, FacePixels, LoadOptions, ModelError, default_device,
};

/// Numbers of a model above which the weights keep the format of their file. Smaller models are
/// loaded in f32, the fastest format on processors (see `docs/benchmarks.md`); f32 weights of a
/// larger one would fill 4 GB and more.
const LARGE: u64 = 1_000_000_000;

/// Where the weights, the tokenizer and the template of a multimodal model are. All of them are
/// used in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelSource {
    /// A checkpoint folder of any layout that [`checkpoint::open`] knows.
    Folder(PathBuf),
}

/// How a model is loaded.
#[derive(Debug, Clone)]
pub struct ExplainerOptions {
    /// The expressions that it answers with.
    pub set: ExpressionSet,
    /// Where it runs; `None` takes the first backend of the build.
    pub backend: Option<Backend>,
    /// Number format of the weights in memory. `None` takes f32 for models of up to a billion
    /// numbers and the format of the file for larger ones.
    pub dtype: Option<DType>,
    /// Start of the random numbers where the model samples; `None` keeps the folder's own.
    pub seed: Option<u64>,
    /// Sampling temperature, 0 to 100; 0 takes the likeliest token each time, `None` keeps the
    /// folder's own.
    pub temperature: Option<f32>,
    /// Most tokens of a text, at least 1; `None` keeps the folder's own limit.
    pub max_new_tokens: Option<usize>,
}

impl Default for ExplainerOptions {
    /// All eight expressions; backend, number format and seed are chosen.
    fn default() -> Self {
        Self {
            set: ExpressionSet::Eight,
            backend: None,
            dtype: None,
            seed: None,
            temperature: None,
            max_new_tokens: None,
        }
    }
}

impl ModelSource {
    /// Loads the model with everything that it needs to explain aligned faces.
    ///
    /// # Errors
    ///
    /// As [`checkpoint::open`] and [`ExpLlmExplainer::load`]; [`ModelError::Face`] when the
    /// build lacks the backend.
    pub fn load(&self, options: &ExplainerOptions) -> Result<ExpLlmExplainer, ModelError> {
        let device = options
            .backend
            .map_or_else(|| Ok(default_device()), Backend::device)?;
        let mut checkpoint = match self {
            Self::Folder(dir) => checkpoint::open(dir)?,
        };
        let settings = &mut checkpoint.generation;
        settings.seed = options.seed.unwrap_or(settings.seed);
        settings.temperature = options.temperature.unwrap_or(settings.temperature);
        settings.max_new_tokens = options.max_new_tokens.unwrap_or(settings.max_new_tokens);
        let load = LoadOptions {
            dtype: options.dtype.unwrap_or_else(|| fitting_dtype(&checkpoint)),
            ..LoadOptions::default()
        };
        let pixels = FacePixels::of(&checkpoint.config.vision);
        ExpLlmExplainer::load(checkpoint, &load, &device, options.set, pixels)
    }
}

/// The format of the largest tensor for a large model, else f32.
fn fitting_dtype(checkpoint: &Checkpoint) -> DType {
    let source = &checkpoint.source;
    let sizes = source.names().into_iter().filter_map(|name| {
        let info = source.info(&name)?;
        Some((info.count()? as u64, info.dtype))
    });
    let (total, largest) = sizes.fold((0, (0, DType::F32)), |(total, largest), tensor| {
        let largest = if tensor.0 > largest.0 {
            tensor
        } else {
            largest
        };
        (total + tensor.0, largest)
    });
    match largest.1 {
        half @ (DType::F16 | DType::BF16) if total > LARGE => half,
        _ => DType::F32,
    }
}

#[cfg(test)]
mod tests {
    use expllm_model::{ModelConfig, RandomWeights};

    use super::*;

    fn checkpoint(config: ModelConfig, dtype: DType) -> Checkpoint {
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
    fn only_large_models_keep_half_precision() {
        let large = ModelConfig::expllm_7b();
        for (config, stored, kept) in [
            (large.clone(), DType::F16, DType::F16),
            (large.clone(), DType::BF16, DType::BF16),
            (large, DType::F32, DType::F32),
            (ModelConfig::tiny(), DType::F16, DType::F32),
        ] {
            assert_eq!(fitting_dtype(&checkpoint(config, stored)), kept);
        }
    }
}
