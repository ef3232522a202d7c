//! Why a command could not do its work at all.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

/// The end of a command; single bad rows are not errors of this kind.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Arguments that contradict each other or the files they name.
    #[error("{0}")]
    Usage(String),
    /// A file or folder could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Anything that a library reports.
    #[error("{0}")]
    Library(Box<dyn std::error::Error + Send + Sync>),
}

impl CliError {
    /// Says what went wrong on the error output; returns the exit status. Whoever closed the
    /// output has seen enough: then nothing is said, and nothing is wrong.
    pub fn report(&self) -> u8 {
        match self {
            Self::File { source, .. } if source.kind() == ErrorKind::BrokenPipe => 0,
            _ => {
                // Nothing is left to tell when the error output is closed too.
                let _ = writeln!(std::io::stderr(), "error: {self}");
                self.exit_status()
            }
        }
    }

    /// 2 for wrong usage, else 1.
    fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::File { .. } | Self::Library(_) => 1,
        }
    }

    /// Names the file that an input or output error is about.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File {
            path: path.into(),
            source,
        }
    }

    /// Wraps the error of a library.
    pub fn library(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Library(error.into())
    }
}

impl From<expllm::evaluation::EvaluationError> for CliError {
    fn from(error: expllm::evaluation::EvaluationError) -> Self {
        use expllm::evaluation::EvaluationError;
        match error {
            EvaluationError::Input(reason) => Self::Usage(reason),
            EvaluationError::File { path, source } => Self::File { path, source },
            other => Self::library(other),
        }
    }
}
