//! A `tokenizer.json`, read by the `tokenizers` library.

use tokenizers::tokenizer::AddedToken as LibraryToken;

use super::AddedToken;
use super::sentencepiece::byte_value;
use crate::ModelError;

fn error(cause: impl std::fmt::Display) -> ModelError {
    ModelError::Tokenizer(cause.to_string())
}

/// A tokenizer of the library.
#[derive(Debug, Clone)]
pub(super) struct JsonTokenizer {
    inner: tokenizers::Tokenizer,
}

impl JsonTokenizer {
    pub(super) fn parse(file: &[u8]) -> Result<Self, ModelError> {
        let mut inner = tokenizers::Tokenizer::from_bytes(file).map_err(error)?;
        // Prompts are never cut or filled silently; lengths are checked against the model.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(error)?;
        Ok(Self { inner })
    }

    pub(super) fn to_json(&self) -> Result<String, ModelError> {
        self.inner.to_string(true).map_err(error)
    }

    pub(super) fn add(&mut self, token: &AddedToken) {
        self.inner
            .add_special_tokens(&[LibraryToken::from(token.text.clone(), true)
                .lstrip(token.strip_left)
                .rstrip(token.strip_right)]);
    }

    pub(super) fn vocab_size(&self) -> usize {
        // Ids may have gaps, so the count alone is not one past the largest id.
        let vocabulary = self.inner.get_vocab(true);
        let largest = vocabulary.values().map(|&id| id as usize + 1).max();
        largest.unwrap_or(0)
    }

    pub(super) fn token_id(&self, text: &str) -> Option<u32> {
        self.inner.token_to_id(text)
    }

    pub(super) fn token_text(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let encoding = self.inner.encode_fast(text, true).map_err(error)?;
        Ok(encoding.get_ids().to_vec())
    }

    pub(super) fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        self.inner.decode(ids, true).map_err(error)
    }
}

/// Ids to text, one at a time.
///
/// The library's own stream fails on byte pieces that make no character, which an untrained
/// model writes all the time; this one waits for the end of a run of them.
#[derive(Debug, Clone, Default)]
pub(super) struct JsonDecoder {
    /// The ids of the last stretch that was shown, as context, and those after it.
    ids: Vec<u32>,
    /// How many of them are context.
    context: usize,
    /// Their text without the last ids, all of it shown.
    shown: String,
}

impl JsonDecoder {
    pub(super) fn push(
        &mut self,
        tokenizer: &JsonTokenizer,
        id: u32,
    ) -> Result<String, ModelError> {
        let Some(piece) = tokenizer.token_text(id) else {
            return Ok(String::new());
        };
        self.ids.push(id);
        if byte_value(&piece).is_some() {
            return Ok(String::new());
        }
        let text = tokenizer.decode(&self.ids)?;
        // Byte-level tokenizers show half a character so.
        if text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        let new = beyond(&self.shown, &text).to_owned();
        self.ids.drain(..self.context);
        self.context = self.ids.len();
        self.shown = tokenizer.decode(&self.ids)?;
        Ok(new)
    }

    pub(super) fn finish(&mut self, tokenizer: &JsonTokenizer) -> Result<String, ModelError> {
        let text = tokenizer.decode(&self.ids)?;
        let rest = beyond(&self.shown, &text).to_owned();
        *self = Self::default();
        Ok(rest)
    }
}

/// What a text has after the part that it shares with one that was shown.
fn beyond<'a>(shown: &str, text: &'a str) -> &'a str {
    let shared = shown.chars().zip(text.chars()).take_while(|(a, b)| a == b);
    let shared: usize = shared.map(|(character, _)| character.len_utf8()).sum();
    &text[shared..]
}
