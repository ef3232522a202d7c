//! Errors of this crate.

use std::fmt;
use std::path::PathBuf;

/// What can go wrong between a checkpoint folder and an explanation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file is not what its name promises.
    #[error("{path}: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and, where that is known, where.
        reason: String,
    },
    /// A size or option that no model can have.
    #[error("model configuration: {field}: {reason}")]
    Config {
        /// The field, such as `llm.num_heads`.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that the source does not hold.
    #[error("there is no tensor {0:?}")]
    UnknownTensor(String),
    /// One tensor whose data cannot be used.
    #[error("tensor {name:?}: {reason}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tensors of a checkpoint do not fit its configuration; names each of them.
    #[error("the weights do not fit the configuration: {0}")]
    Weights(WeightsMismatch),
    /// Image positions in the prompt do not fit the patches of the image.
    #[error("the prompt needs {expected} consecutive image tokens; {found}")]
    ImageTokens {
        /// Patches of one image.
        expected: usize,
        /// What was found instead.
        found: String,
    },
    /// A token that the embedding table does not hold.
    #[error(
        "token {id} is outside the vocabulary of {vocab_size}; is the tokenizer another model's?"
    )]
    TokenOutsideVocabulary {
        /// The token.
        id: u32,
        /// Rows of the embedding table.
        vocab_size: usize,
    },
    /// Prompt and answer do not fit the positions that the model knows.
    #[error(
        "{tokens} tokens do not fit the context of {limit}; shorten the prompt or `max_new_tokens`"
    )]
    ContextTooLong {
        /// Tokens of prompt and answer together.
        tokens: usize,
        /// Positions of the model.
        limit: usize,
    },
    /// A generation setting out of range.
    #[error("generation setting `{setting}`: {reason}")]
    Generation {
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An input whose shape does not fit the model or its neighbours.
    #[error("{what}: {reason}")]
    Input {
        /// The input.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer cannot be used.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The conversation template cannot be used.
    #[error("conversation template: {0}")]
    Prompt(String),
    /// An error of the crate for faces, which also picks devices.
    #[error(transparent)]
    Face(#[from] expllm_face::FaceError),
    /// The compute device failed.
    #[error("compute device: {0}")]
    Device(String),
}

impl ModelError {
    /// Names the file that an input or output error is about.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }

    /// Names the file whose content is wrong.
    pub fn format(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Format {
            path: path.into(),
            reason: reason.into(),
        }
    }

    /// Names the tensor that cannot be used.
    pub fn tensor(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Tensor {
            name: name.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn config(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Config {
            field,
            reason: reason.into(),
        }
    }
}

/// A tensor whose shape is not the one that the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongShape {
    /// The tensor.
    pub name: String,
    /// Shape that the configuration asks for.
    pub expected: Vec<usize>,
    /// Shape in the source.
    pub found: Vec<usize>,
}

/// Every tensor that is missing, left over or misshapen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WeightsMismatch {
    /// Tensors that the configuration asks for and the source lacks.
    pub missing: Vec<String>,
    /// Tensors of the source that the configuration has no place for.
    pub unexpected: Vec<String>,
    /// Tensors of another shape.
    pub misshapen: Vec<WrongShape>,
}

impl WeightsMismatch {
    /// Whether everything fits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

impl fmt::Display for WeightsMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            let names = self.missing.join(", ");
            parts.push(format!("{} missing ({names})", self.missing.len()));
        }
        if !self.unexpected.is_empty() {
            let names = self.unexpected.join(", ");
            parts.push(format!("{} unexpected ({names})", self.unexpected.len()));
        }
        if !self.misshapen.is_empty() {
            let shapes: Vec<_> = self
                .misshapen
                .iter()
                .map(|w| format!("{}: {:?}, needs {:?}", w.name, w.found, w.expected))
                .collect();
            let list = shapes.join(", ");
            parts.push(format!("{} of another shape ({list})", shapes.len()));
        }
        f.write_str(&parts.join("; "))
    }
}
