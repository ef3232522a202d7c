//! Why an evaluation could not be done at all.

use std::path::PathBuf;

/// The end of an evaluation; a record that fails is a row with its reason instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// Inputs that contradict each other or the files they name.
    #[error("{0}")]
    Input(String),
    /// A file or folder could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Numbers that no metric can be taken of.
    #[error(transparent)]
    Metric(#[from] expllm_metrics::MetricError),
    /// The page could not be rendered.
    #[error("the report: {0}")]
    Report(#[from] minijinja::Error),
    /// A prediction could not be written as JSON.
    #[error("a prediction: {0}")]
    Json(#[from] serde_json::Error),
}

impl EvaluationError {
    /// Names the file that an input or output error is about.
    pub(super) fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File {
            path: path.into(),
            source,
        }
    }
}
