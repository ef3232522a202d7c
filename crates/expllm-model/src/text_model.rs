//! A language model on its own, ready to answer.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;

use crate::checkpoint::LanguageModel;
use crate::conversation::{ChatMessage, ChatTemplate};
use crate::generation::{CancelToken, GenerationSettings, Prefix, TextStream};
use crate::loading::load_language;
use crate::parts::Decoder;
use crate::{LoadOptions, ModelError, Tokenizer};

/// A language model of the LLaMA family without a vision encoder: text in, text out.
#[derive(Debug)]
pub struct TextModel {
    llm: Arc<dyn Decoder>,
    tokenizer: Tokenizer,
    chat: Option<ChatTemplate>,
    ends: Vec<u32>,
}

impl TextModel {
    /// Opens and loads a folder of transformers or a `.gguf` file.
    ///
    /// # Errors
    ///
    /// As [`LanguageModel::open`] and [`load`](Self::load).
    pub fn open(path: &Path, options: &LoadOptions, device: &Device) -> Result<Self, ModelError> {
        Self::load(LanguageModel::open(path)?, options, device)
    }

    /// Loads the weights; every tensor of the model must be there.
    ///
    /// # Errors
    ///
    /// [`ModelError::Weights`] names every tensor that is missing, unexpected or misshapen,
    /// before any is read; [`ModelError::Tensor`] for numbers that are not finite;
    /// [`ModelError::Tokenizer`] when the model has none.
    pub fn load(
        model: LanguageModel,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let tokenizer = model.tokenizer.ok_or_else(|| {
            let path = model.path.display();
            ModelError::Tokenizer(format!("none with {path}; put a tokenizer.json beside it"))
        })?;
        Ok(Self {
            llm: load_language(&model.config, model.source.as_ref(), options, device)?,
            tokenizer,
            chat: model.chat,
            ends: model.ends,
        })
    }

    /// The language model.
    #[must_use]
    pub fn llm(&self) -> &dyn Decoder {
        self.llm.as_ref()
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The template of its conversations; `None` for a model that was never tuned for any.
    #[must_use]
    pub fn chat(&self) -> Option<&ChatTemplate> {
        self.chat.as_ref()
    }

    /// Tokens that end an answer.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The tokens of a conversation, up to where the model answers.
    ///
    /// # Errors
    ///
    /// [`ModelError::Prompt`] when the model has no template or the template refuses the
    /// conversation, [`ModelError::Tokenizer`].
    pub fn prompt(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, ModelError> {
        let chat = self.chat.as_ref().ok_or_else(|| {
            let reason = "this model has none for conversations; give it a text to go on from";
            ModelError::Prompt(reason.to_owned())
        })?;
        let mut tokens = self.tokenizer.encode(&chat.prompt(messages)?)?;
        // Templates may begin with the token that the tokenizer puts before every text.
        if let [first, second, ..] = tokens[..]
            && first == second
            && self.tokenizer.bos_id() == Some(first)
        {
            tokens.remove(0);
        }
        Ok(tokens)
    }

    /// Runs a prompt and gives the text after it while it comes.
    ///
    /// # Errors
    ///
    /// [`ModelError::ContextTooLong`], [`ModelError::Generation`], or [`ModelError::Input`] for
    /// an empty prompt.
    pub fn answer(
        &self,
        prompt: &[u32],
        settings: &GenerationSettings,
        cancel: CancelToken,
    ) -> Result<TextStream<'_>, ModelError> {
        let prefix = Prefix::new(self, prompt, None)?;
        TextStream::new(prefix, &self.tokenizer, settings, cancel)
    }
}
