//! What can go wrong between a file and an aligned face.

/// Why a photo could not be read or a face not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaceError {
    /// Weights that do not fit their network.
    #[error("{file} does not fit the network: {reason}")]
    Weights {
        /// Name of the weights file.
        file: &'static str,
        /// What is missing, too much or of the wrong shape.
        reason: String,
    },
    /// The tensor framework did not give its result back.
    #[error("a result could not be read from the device: {0}")]
    Tensor(String),
}

impl FaceError {
    /// Wraps an error of the tensor framework.
    pub(crate) fn tensor(error: impl std::fmt::Debug) -> Self {
        Self::Tensor(format!("{error:?}"))
    }
}
