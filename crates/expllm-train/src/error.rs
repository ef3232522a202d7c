//! What can go wrong in training and in making its data.

use std::path::PathBuf;

/// Why faces could not be made or a recipe could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A face kit that is truncated, of the wrong shape or holds numbers that are none.
    #[error(
        "{path} is not a usable face kit: {reason}; expected the safetensors conversion of \
         the ICT-FaceKit light model (docs/synthetic_faces.md)",
        path = path.display()
    )]
    FaceKit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A data set that could not be listed or read.
    #[error(transparent)]
    Data(#[from] expllm_data::DataError),
    /// A training file that does not hold what its layout promises.
    #[error("{path}: {reason}")]
    Layout {
        /// The file within its data set.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A stage of the face path that failed.
    #[error(transparent)]
    Stage(#[from] expllm_core::StageError),
    /// A face that could not be read.
    #[error(transparent)]
    Unread(#[from] expllm_core::UnreadFace),
    /// A figure that its numbers do not define.
    #[error(transparent)]
    Metric(#[from] expllm_metrics::MetricError),
    /// A network that could not be prepared or read back.
    #[error(transparent)]
    Face(#[from] expllm_face::FaceError),
    /// A checkpoint that could not be written or read.
    #[error("checkpoint {path}: {reason}", path = path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// A configuration that cannot be.
    #[error("{path}: {reason}", path = path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A data set without anything to train on.
    #[error(
        "{path} holds no record that can be trained on; it needs faces with a label, and chains \
         need action units or a description (see `expllm data inspect`)",
        path = .0.display()
    )]
    NoRecords(PathBuf),
    /// A record that cannot be used.
    #[error("record {id}: {reason}")]
    Record {
        /// The record.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A language model that could not be prepared, run or written.
    #[error(transparent)]
    Model(#[from] expllm_model::ModelError),
    /// The loss of some records stopped being a number; the last checkpoint is still good.
    #[error(
        "the loss is {loss} at step {step}, on {}; the last checkpoint is good: lower the \
         learning rate, or leave these records out, and start again",
        records.join(", ")
    )]
    DivergedOn {
        /// The step, counted from 0.
        step: usize,
        /// The loss found.
        loss: f32,
        /// The records.
        records: Vec<String>,
    },
    /// The loss stopped being a number; the last checkpoint is still good.
    #[error(
        "the loss is {loss} at step {step}; lower the learning rate and start again from the \
         last checkpoint"
    )]
    Diverged {
        /// The step, counted from 0.
        step: usize,
        /// The loss found.
        loss: f32,
    },
}

impl TrainError {
    /// Names the file that an input or output error is about.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File {
            path: path.into(),
            source,
        }
    }
}
