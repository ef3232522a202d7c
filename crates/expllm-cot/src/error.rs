//! Errors of the engine.

use std::path::{Path, PathBuf};

/// Why a run, a read or a write as a whole cannot go on; bad records are rows, not errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CotError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file whose kind is not known from its name.
    #[error("{path}: unknown format; names end in .json, .jsonl, .csv or .parquet", path = path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A file that holds no records at all, whatever its name says.
    #[error("{path}: {reason}", path = path.display())]
    NoRecords {
        /// The file.
        path: PathBuf,
        /// What is found instead, and where.
        reason: String,
    },
    /// An output that is no regular file.
    #[error("{path} is a folder, a pipe or a device; an output must be a regular file", path = path.display())]
    NotAFile {
        /// The output.
        path: PathBuf,
    },
    /// A path that a list file cannot hold.
    #[error(
        "{path:?} holds a comma or a line break, which part the columns of a list file; choose another name"
    )]
    NotForLists {
        /// The path.
        path: PathBuf,
    },
    /// A Parquet file in a build that knows none.
    #[error("{path}: this build reads and writes no Parquet; build expllm-cot with its feature `parquet`, or choose .jsonl", path = path.display())]
    WithoutParquet {
        /// The file.
        path: PathBuf,
    },
    /// A Parquet file that cannot be read or written.
    #[cfg(feature = "parquet")]
    #[error("{path}: {source}", path = path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// A prompt template that cannot be used.
    #[error("prompt template {name}: {source:#}")]
    Template {
        /// File or built-in name.
        name: String,
        /// What and in which line.
        source: minijinja::Error,
    },
    /// A prompt template with a variable that nothing fills.
    #[error("prompt template {template}:{line}: no variable {variable:?}; there are {known}")]
    UnknownVariable {
        /// File or built-in name.
        template: String,
        /// Counted from 1.
        line: usize,
        /// The variable.
        variable: String,
        /// Those that there are.
        known: String,
    },
    /// The output file belongs to another run.
    #[error("{path}: written by a run with other settings ({detail}); choose another --out, or remove the file and its .journal to start again", path = path.display())]
    OtherRun {
        /// The output.
        path: PathBuf,
        /// What differs.
        detail: String,
    },
    /// Another process writes the same output.
    #[error("{path}: another run is writing here; wait for it or choose another --out", path = path.display())]
    Busy {
        /// The output.
        path: PathBuf,
    },
    /// The finished part of an output does not agree with its input.
    #[error("{path}: line {line} {reason}; the input changed since the run began", path = path.display())]
    Disagrees {
        /// The output.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A form of a blind comparison that cannot be read.
    #[error("{name}: line {line}: {reason}")]
    Form {
        /// The file.
        name: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// Two files that were to be joined hold the same record.
    #[error("record {index} ({file_name:?}) is in two of the inputs; leave one of them out")]
    Twice {
        /// Its place in the input of the runs.
        index: u64,
        /// The image.
        file_name: String,
    },
    /// The server refuses everything (wrong key, wrong address, wrong model).
    #[error("{endpoint}: {reason}")]
    Endpoint {
        /// Base address, without any key.
        endpoint: String,
        /// What the server said and what to do.
        reason: String,
    },
    /// A writer given as a stage failed.
    #[error(transparent)]
    Stage(#[from] expllm_core::StageError),
}

impl CotError {
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    #[cfg(feature = "parquet")]
    pub(crate) fn parquet(path: &Path, source: parquet::errors::ParquetError) -> Self {
        Self::Parquet {
            path: path.to_owned(),
            source,
        }
    }
}

/// Refuses outputs that exist and are folders, pipes or devices.
pub(crate) fn check_regular(path: &Path) -> Result<(), CotError> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(CotError::NotAFile {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}
