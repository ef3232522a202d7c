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
