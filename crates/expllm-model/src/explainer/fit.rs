//! Whether the parts of an explainer belong together.

use crate::conversation::PromptTemplate;
use crate::{ModelConfig, ModelError, Tokenizer};

/// Checks that tokenizer, template and weights belong together.
pub(super) fn check_tokenizer(
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    template: &PromptTemplate,
) -> Result<(), ModelError> {
    let image = tokenizer.token_id(&template.image_token);
    if image != Some(config.image_token_id) {
        return Err(ModelError::Tokenizer(format!(
            "{:?} has the id {image:?}, the model expects {}",
            template.image_token, config.image_token_id
        )));
    }
    // The image token is never looked up, so it may be one beyond the table.
    let is_last = tokenizer.vocab_size() == config.image_token_id as usize + 1;
    if tokenizer.vocab_size() - usize::from(is_last) > config.llm.vocab_size {
        return Err(ModelError::Tokenizer(format!(
            "holds {} tokens, the model knows {}; it belongs to another model",
            tokenizer.vocab_size(),
            config.llm.vocab_size
        )));
    }
    if tokenizer
        .eos_id()
        .is_some_and(|id| id != config.eos_token_id)
    {
        return Err(ModelError::Tokenizer(format!(
            "ends texts with token {:?}, the model with {}",
            tokenizer.eos_id(),
            config.eos_token_id
        )));
    }
    Ok(())
}
