//! A language model that speaks of what the action unit detector reads.

use std::path::Path;

use super::fresh::FreshProjector;
use super::hf_config::Fields;
use super::language::LanguageModel;
use super::open::{Checkpoint, finish_with, image_token, official_name};
use super::shipped::shipped;
use super::sources::Joined;
use crate::ModelError;
use crate::conversation::PromptTemplate;

/// Opens a language model of the LLaMA family, a folder or a `.gguf` file, behind the action unit
/// detector that ships: its image tokens are the scores of the detector
/// ([`score_tokens`](crate::score_tokens)), the projector before them is drawn from `seed`, and
/// there are no adapters yet.
///
/// Without a `prompt.toml` beside the language model, conversations are those of the model that
/// ships, with the end mark of the tokenizer.
///
/// # Errors
///
/// As [`open`](super::open).
pub fn open_on_detector(language: &Path, seed: u64) -> Result<Checkpoint, ModelError> {
    let language = LanguageModel::open(language)?;
    let shipped = shipped()?;
    let vision = shipped.config.vision;
    let projector = FreshProjector::new(vision.width(), language.config.hidden_size, seed);
    let source = Joined::default()
        .with(language.source, |name| Some(name.to_owned()))?
        .with(shipped.source, |name| {
            let seen = name.starts_with("vision_model.");
            seen.then(|| name.to_owned())
        })?
        .with(Box::new(projector), official_name)?;
    let fields = Fields {
        path: &language.path,
        object: &language.fields,
    };
    let mut config = fields.finish(vision, language.config, &source)?;
    let own = PromptTemplate::open(&language.dir)?;
    let known = own.is_some();
    let mut prompt = own.unwrap_or(shipped.prompt);
    if let Some(tokenizer) = &language.tokenizer {
        config.image_token_id = image_token(tokenizer, &prompt);
        let end = tokenizer.token_text(config.eos_token_id);
        if let Some(end) = end.filter(|_| !known) {
            prompt.separators[2] = end;
        }
    }
    let parts = (config, Box::new(source) as _);
    finish_with(&language.dir, prompt, parts, language.tokenizer)
}
