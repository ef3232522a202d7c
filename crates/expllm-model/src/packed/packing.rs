//! The formats of packed weights.

use expllm_kernels::Format;

/// How weights are packed for the kernels of `expllm-kernels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packing {
    /// Each matrix in the format of its file.
    Stored,
    /// All matrices in one format; beside a language model in 4 bits, the vision encoder and the
    /// projector are kept in 8.
    As(Format),
}

impl From<Format> for Packing {
    fn from(format: Format) -> Self {
        Self::As(format)
    }
}

impl Packing {
    /// For the vision encoder and the projector beside a language model that is packed so.
    pub(crate) fn beside(self) -> Self {
        match self {
            Self::Stored => Self::Stored,
            Self::As(format) => Self::As(format_beside(format)),
        }
    }
}

/// The format of the vision encoder and the projector beside a language model: they are a
/// twentieth of a large model, and four bits cost them more.
pub(crate) fn format_beside(language: Format) -> Format {
    match language {
        format if format.is_quantised() => Format::Q8_0,
        other => other,
    }
}
