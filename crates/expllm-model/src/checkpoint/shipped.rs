//! The model that is part of this crate.

use super::open::{Checkpoint, with_image_token};
use super::weight_file::{WeightFile, WeightFormat};
use crate::conversation::PromptTemplate;
use crate::{ModelError, Tokenizer};

/// The folder `weights/tiny`, which `expllm train model` wrote; see `MODEL_CARD.md` beside it.
mod file {
    pub(super) static WEIGHTS: &[u8] = include_bytes!("../../weights/tiny/model.safetensors");
    pub(super) static CONFIG: &[u8] = include_bytes!("../../weights/tiny/config.json");
    pub(super) static TOKENIZER: &[u8] = include_bytes!("../../weights/tiny/tokenizer.json");
    pub(super) static GENERATION: &[u8] =
        include_bytes!("../../weights/tiny/generation_config.json");
    pub(super) static PROMPT: &str = include_str!("../../weights/tiny/prompt.toml");
}

/// The tiny ExpLLM that ships with the project: it needs no file and no network.
///
/// ```
/// use expllm_model::{ExpLlm, LoadOptions, checkpoint, default_device};
///
/// let shipped = checkpoint::shipped()?;
/// let options = LoadOptions::default();
/// let device = default_device();
/// let model = ExpLlm::load(&shipped.config, shipped.source.as_ref(), &options, &device)?;
/// assert!(model.config().llm.hidden_size < 1000);
/// # Ok::<(), expllm_model::ModelError>(())
/// ```
///
/// # Errors
///
/// [`ModelError::Config`] or [`ModelError::Tokenizer`] when the files of the build do not fit
/// each other.
pub fn shipped() -> Result<Checkpoint, ModelError> {
    let damaged = |error: serde_json::Error| ModelError::config("shipped", error.to_string());
    let config: crate::ModelConfig = serde_json::from_slice(file::CONFIG).map_err(damaged)?;
    config.validate()?;
    let prompt = PromptTemplate::from_toml(file::PROMPT)?;
    let tokenizer = Tokenizer::from_json(file::TOKENIZER)?;
    Ok(Checkpoint {
        tokenizer: Some(with_image_token(tokenizer, &config, &prompt)?),
        source: Box::new(WeightFile::from_bytes(
            WeightFormat::Safetensors,
            file::WEIGHTS,
        )?),
        generation: serde_json::from_slice(file::GENERATION).map_err(damaged)?,
        prompt,
        config,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_files_fit_each_other_and_are_small() {
        let shipped = shipped().unwrap();
        shipped.verify().unwrap();
        shipped.generation.validate().unwrap();
        let bytes = file::WEIGHTS.len() + file::TOKENIZER.len();
        assert!(bytes < 10_000_000, "{bytes}");
    }
}
