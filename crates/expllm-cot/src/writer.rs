//! Who writes the texts.

use async_trait::async_trait;
use expllm_core::{AuVector, ExplainRequest, Explainer, Expression, ExpressionSet};

use crate::{CotError, Message, Usage};

/// What a text is asked for.
#[derive(Debug, Clone, Copy)]
pub struct WriteRequest<'a> {
    /// Path of the image below the image root; a writer that looks at pixels opens it.
    pub file_name: &'a str,
    /// The label to conclude with.
    pub label: Expression,
    /// Intensities of the units.
    pub units: &'a AuVector,
    /// The expressions in play.
    pub set: ExpressionSet,
    /// Varies the wording.
    pub seed: u64,
    /// The conversation so far; the last message is from the user.
    pub messages: &'a [Message],
}

/// A text with what it cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The text as the writer gave it.
    pub text: String,
    /// The model that the server names.
    pub model: Option<String>,
    /// Tokens spent.
    pub usage: Usage,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// This record cannot be written; the next may.
    #[error("{0}")]
    Record(String),
    /// No record can be written; the run stops and can be started again.
    #[error(transparent)]
    Run(#[from] CotError),
}

/// Writes texts, one request at a time, many at once.
///
/// This is the seam for any language model, also one in this process: the conversation is in
/// [`WriteRequest::messages`], the face in [`WriteRequest::file_name`]. Retries against a flaky
/// service are the writer's business, checks and repair are the engine's.
#[async_trait]
pub trait TextWriter: Send + Sync {
    /// Name that provenance records.
    fn name(&self) -> &str;

    /// Whether another round can bring another text, by the seed or by the findings; a writer
    /// that always says the same of a face is asked once (default yes).
    fn varies(&self) -> bool {
        true
    }

    /// Whether the pixels of the image decide the text (default no).
    fn looks(&self) -> bool {
        false
    }

    /// Writes one text.
    ///
    /// # Errors
    ///
    /// [`WriteError::Record`] when this text cannot be had, [`WriteError::Run`] when none can.
    async fn write(&self, request: WriteRequest<'_>) -> Result<Draft, WriteError>;
}

/// An [`Explainer`] of this process (the [`crate::Composer`], for one) as a [`TextWriter`].
#[derive(Debug, Clone)]
pub struct LocalWriter<W> {
    name: String,
    writer: W,
}

impl<W: Explainer> LocalWriter<W> {
    /// Gives the writer a name for provenance.
    pub fn new(name: impl Into<String>, writer: W) -> Self {
        let name = name.into();
        Self { name, writer }
    }
}

#[async_trait]
impl<W: Explainer> TextWriter for LocalWriter<W> {
    fn name(&self) -> &str {
        &self.name
    }

    /// Never waits.
    async fn write(&self, request: WriteRequest<'_>) -> Result<Draft, WriteError> {
        let asked = ExplainRequest::of_units(*request.units, request.label, request.set);
        let asked = asked.with_seed(request.seed);
        let explained = self.writer.explain_all(&[asked]).map_err(CotError::from)?;
        match explained.into_iter().next() {
            Some(explanation) => Ok(Draft {
                text: explanation.text,
                ..Draft::default()
            }),
            None => Err(WriteError::Record("the writer gave no chain".into())),
        }
    }
}
