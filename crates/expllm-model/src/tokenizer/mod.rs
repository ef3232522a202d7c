//! Text to tokens and back.
//!
//! One [`Tokenizer`] over the two files in use: the sentencepiece `tokenizer.model` of LLaMA,
//! read directly, and `tokenizer.json`, read by the `tokenizers` library.

mod bpe;
mod config;
mod json;
mod llama;
mod parts;
mod proto;
mod sentencepiece;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod train;
mod utf8;

use std::path::Path;
use std::sync::Arc;

use crate::ModelError;
use crate::checkpoint::files;
use config::TokenizerConfig;
use json::{JsonDecoder, JsonTokenizer};
pub use llama::{AddedToken, LlamaOptions};
use llama::{LlamaDecoder, LlamaTokenizer};
pub(crate) use parts::{PieceEntry, SentencePieceParts};
pub(crate) use sentencepiece::SentencePieceFault;
use sentencepiece::SentencePieceModel;

/// File name of a sentencepiece model.
pub(crate) const MODEL_FILE: &str = "tokenizer.model";
/// File name of a tokenizer of the `tokenizers` library.
pub(crate) const JSON_FILE: &str = "tokenizer.json";

/// No published tokenizer comes near this many bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Turns text into tokens and tokens into text.
///
/// Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    kind: Kind,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
}

#[derive(Debug, Clone)]
enum Kind {
    Llama {
        tokenizer: Arc<LlamaTokenizer>,
        /// The file as it was read, for writing it again.
        file: Arc<[u8]>,
    },
    Json(Arc<JsonTokenizer>),
}

impl Tokenizer {
    /// Reads the tokenizer of a checkpoint folder: `tokenizer.model` with the settings of
    /// `tokenizer_config.json` and `added_tokens.json` beside it, or else `tokenizer.json`.
    /// `None` when the folder has neither.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`] and [`ModelError::Format`] with the file that cannot be used.
    pub fn open(dir: &Path) -> Result<Option<Self>, ModelError> {
        let config = TokenizerConfig::open(dir)?;
        let model = dir.join(MODEL_FILE);
        if model.is_file() {
            let file = files::read_limited(&model, MAX_FILE_BYTES)?;
            let tokenizer = Self::from_sentencepiece(&file, config.options(), config.added.clone())
                .map_err(|error| ModelError::format(&model, error.to_string()))?;
            return Ok(Some(tokenizer.with_named_ids(&config)));
        }
        let json = dir.join(JSON_FILE);
        if !json.is_file() {
            return Ok(None);
        }
        let tokenizer = Self::from_json(&files::read_limited(&json, MAX_FILE_BYTES)?)
            .map_err(|error| ModelError::format(&json, error.to_string()))?;
        Ok(Some(tokenizer.with_named_ids(&config)))
    }

    /// A LLaMA tokenizer from the bytes of a `tokenizer.model`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when the bytes are no sentencepiece BPE model, or when an added
    /// token repeats a text or id.
    pub fn from_sentencepiece(
        file: &[u8],
        options: LlamaOptions,
        added: Vec<AddedToken>,
    ) -> Result<Self, ModelError> {
        let model = SentencePieceModel::parse(file)
            .map_err(|fault: SentencePieceFault| ModelError::Tokenizer(fault.to_string()))?;
        let (bos, eos, unknown) = (model.bos, model.eos, model.unknown);
        let plain = Self {
            kind: Kind::Llama {
                tokenizer: Arc::new(LlamaTokenizer::new(model, options, Vec::new())),
                file: file.into(),
            },
            bos,
            eos,
            // LLaMA has no padding token of its own; the reference pads with `<unk>`.
            pad: Some(unknown),
        };
        added.into_iter().try_fold(plain, Self::with_token)
    }

    /// A tokenizer from the bytes of a `tokenizer.json`. The ids of `<s>`, `</s>` and `<pad>` are
    /// those of these texts, if there are such tokens.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when the library cannot read it.
    pub fn from_json(file: &[u8]) -> Result<Self, ModelError> {
        let tokenizer = JsonTokenizer::parse(files::without_mark(file))?;
        let find = |texts: &[&str]| texts.iter().find_map(|text| tokenizer.token_id(text));
        Ok(Self {
            bos: find(&["<s>", "<|begin_of_text|>"]),
            eos: find(&["</s>", "<|end_of_text|>"]),
            pad: find(&["<pad>", "<unk>"]),
            kind: Kind::Json(Arc::new(tokenizer)),
        })
    }

    /// Adds one token, such as `<im_patch>`. Adding a token that is there already, with the same
    /// id, changes nothing.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when the text is empty or has another id, or when the id is
    /// another token's or not the next free one of a `tokenizer.json`.
    pub fn with_token(self, token: AddedToken) -> Result<Self, ModelError> {
        if token.text.is_empty() {
            return Err(ModelError::Tokenizer("an added token is empty".into()));
        }
        let conflict = |problem: String| {
            Err(ModelError::Tokenizer(format!(
                "the added token {:?} with id {} {problem}; is the tokenizer another model's?",
                token.text, token.id
            )))
        };
        match self.token_id(&token.text) {
            Some(id) if id == token.id => return Ok(self),
            Some(id) => return conflict(format!("has the id {id} already")),
            None => {}
        }
        let kind = match self.kind {
            Kind::Llama { tokenizer, file } => {
                let taken = tokenizer.added().iter().any(|other| other.id == token.id);
                if taken || tokenizer.model.piece(token.id).is_some() {
                    return conflict("has the id of another token".into());
                }
                let tokenizer = Arc::new(Arc::unwrap_or_clone(tokenizer).with_added(token));
                Kind::Llama { tokenizer, file }
            }
            Kind::Json(tokenizer) => {
                let next = tokenizer.vocab_size();
                if next != token.id as usize {
                    return conflict(format!("is not next to the vocabulary of {next}"));
                }
                let mut tokenizer = Arc::unwrap_or_clone(tokenizer);
                tokenizer.add(&token);
                Kind::Json(Arc::new(tokenizer))
            }
        };
        Ok(Self { kind, ..self })
    }

    /// The tokens of a text, with `<s>` before it where the tokenizer says so.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when the library refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        match &self.kind {
            Kind::Llama { tokenizer, .. } => Ok(tokenizer.encode(text)),
            Kind::Json(tokenizer) => tokenizer.encode(text),
        }
    }

    /// The tokens by which `prefix + continuation` goes beyond `prefix`.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_continuation(
        &self,
        prefix: &str,
        continuation: &str,
    ) -> Result<Vec<u32>, ModelError> {
        let before = self.encode(prefix)?;
        let mut all = self.encode(&format!("{prefix}{continuation}"))?;
        let shared = common_prefix(&before, &all);
        Ok(all.split_off(shared))
    }

    /// The text of the tokens without special tokens. An id that the tokenizer lacks shows as
    /// U+FFFD or not at all.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when the library fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        match &self.kind {
            Kind::Json(tokenizer) => {
                let hidden = [self.bos, self.eos, self.pad];
                let shown = ids
                    .iter()
                    .copied()
                    .filter(|&id| !hidden.contains(&Some(id)));
                tokenizer.decode(&shown.collect::<Vec<_>>())
            }
            Kind::Llama { .. } => {
                let mut stream = self.decode_stream();
                let mut text = String::new();
                for &id in ids {
                    text.push_str(&stream.push(id)?);
                }
                text.push_str(&stream.finish()?);
                Ok(text)
            }
        }
    }

    /// A decoder that shows text while tokens come in.
    #[must_use]
    pub fn decode_stream(&self) -> DecodeStream {
        let state = match &self.kind {
            Kind::Llama { tokenizer, .. } => {
                StreamState::Llama(Arc::clone(tokenizer), LlamaDecoder::default())
            }
            Kind::Json(tokenizer) => {
                StreamState::Json(Arc::clone(tokenizer), JsonDecoder::default())
            }
        };
        let hidden = [self.bos, self.eos, self.pad];
        DecodeStream { state, hidden }
    }

    /// One past the largest id.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        match &self.kind {
            Kind::Llama { tokenizer, .. } => tokenizer.vocab_size(),
            Kind::Json(tokenizer) => tokenizer.vocab_size(),
        }
    }

    /// The id of the token with exactly this text.
    #[must_use]
    pub fn token_id(&self, text: &str) -> Option<u32> {
        match &self.kind {
            Kind::Llama { tokenizer, .. } => tokenizer.token_id(text),
            Kind::Json(tokenizer) => tokenizer.token_id(text),
        }
    }

    /// The token that begins a text.
    #[must_use]
    pub fn bos_id(&self) -> Option<u32> {
        self.bos
    }

    /// The token that ends an answer.
    #[must_use]
    pub fn eos_id(&self) -> Option<u32> {
        self.eos
    }

    /// The token that fills short rows of a batch.
    #[must_use]
    pub fn pad_id(&self) -> Option<u32> {
        self.pad
    }

    /// Writes the tokenizer into a folder, in the format that it was read from.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`] when a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), ModelError> {
        let named = [self.bos, self.eos, self.pad].map(|id| self.token_text(id?));
        match &self.kind {
            Kind::Llama { tokenizer, file } => {
                files::write(&dir.join(MODEL_FILE), file)?;
                TokenizerConfig::of(tokenizer, named).save(dir)
            }
            Kind::Json(tokenizer) => {
                files::write(&dir.join(JSON_FILE), tokenizer.to_json()?.as_bytes())?;
                TokenizerConfig::named(named).save(dir)
            }
        }
    }

    /// The text of the token with this id.
    #[must_use]
    pub fn token_text(&self, id: u32) -> Option<String> {
        match &self.kind {
            Kind::Llama { tokenizer, .. } => tokenizer.token_text(id),
            Kind::Json(tokenizer) => tokenizer.token_text(id),
        }
    }

    /// The tokens that begin, end and fill, where they are known.
    pub(crate) fn with_ids(self, [bos, eos, pad]: [Option<u32>; 3]) -> Self {
        Self {
            bos: bos.or(self.bos),
            eos: eos.or(self.eos),
            pad: pad.or(self.pad),
            ..self
        }
    }

    /// The ids of the special tokens that `tokenizer_config.json` names.
    fn with_named_ids(self, config: &TokenizerConfig) -> Self {
        let id = |name: &Option<String>| name.as_deref().and_then(|text| self.token_id(text));
        Self {
            bos: id(&config.bos_token).or(self.bos),
            eos: id(&config.eos_token).or(self.eos),
            pad: id(&config.pad_token).or(self.pad),
            ..self
        }
    }
}

/// How many tokens two sequences share from their start.
pub(crate) fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Shows the text of tokens while they come in. The pieces together are what
/// [`Tokenizer::decode`] gives, and no piece ends inside a character.
#[derive(Debug, Clone)]
pub struct DecodeStream {
    state: StreamState,
    /// Special tokens, which leave no trace.
    hidden: [Option<u32>; 3],
}

#[derive(Debug, Clone)]
enum StreamState {
    Llama(Arc<LlamaTokenizer>, LlamaDecoder),
    Json(Arc<JsonTokenizer>, JsonDecoder),
}

impl DecodeStream {
    /// The text that is certain with this token; empty while a character is incomplete.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when the library fails.
    pub fn push(&mut self, id: u32) -> Result<String, ModelError> {
        if self.hidden.contains(&Some(id)) {
            return Ok(String::new());
        }
        match &mut self.state {
            StreamState::Llama(tokenizer, decoder) => Ok(decoder.push(tokenizer, id)),
            StreamState::Json(tokenizer, decoder) => decoder.push(tokenizer, id),
        }
    }

    /// What is left when no more tokens come.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when the library fails.
    pub fn finish(&mut self) -> Result<String, ModelError> {
        match &mut self.state {
            StreamState::Llama(_, decoder) => Ok(decoder.finish()),
            StreamState::Json(tokenizer, decoder) => decoder.finish(tokenizer),
        }
    }
}
