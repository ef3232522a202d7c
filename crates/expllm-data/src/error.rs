//! Why a data set could not be read at all.

use std::io;
use std::path::{Path, PathBuf};

/// The end of a reading; single bad rows are [`Skipped`](crate::Skipped) items, not errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file that is larger than its kind may be.
    #[error("{path} has {size} bytes, more than the {limit} that are read", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The most bytes that are read of its kind.
        limit: u64,
    },
    /// A `.tar` whose headers cannot be followed.
    #[error("{path} is no readable tar archive: {reason} at byte {offset}", path = path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Where the bad header starts.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that was given as a data set and is neither a folder nor a `.tar`.
    #[error("{path} {what}", path = path.display())]
    NotADataSet {
        /// The file.
        path: PathBuf,
        /// What it is instead, and what to do.
        what: &'static str,
    },
    /// An annotation file that cannot be understood.
    #[error("{path}: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A root in which the files of the layout are not found.
    #[error("{root} does not look like the layout `{layout}`: found no {expected}", root = root.display())]
    NotThisLayout {
        /// The root that was searched.
        root: PathBuf,
        /// The name of the layout.
        layout: &'static str,
        /// What was looked for.
        expected: &'static str,
    },
    /// A name that no layout has.
    #[error("unknown data set layout {found:?}; the layouts are {known}")]
    UnknownLayout {
        /// The name given.
        found: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// A name that no split has.
    #[error("unknown split {0:?}; the splits are train, valid and test")]
    UnknownSplit(String),
    /// A name that is no FACS action unit.
    #[error("{0:?} is no FACS action unit; they are written like 12, AU12, L14 or R2")]
    UnknownFacsUnit(String),
    /// An image whose bytes are not those of an image.
    #[error("{image}: {reason}")]
    Image {
        /// The image, as [`ImageSource`](crate::ImageSource) prints it.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl DataError {
    /// Names the file that an input error is about.
    pub(crate) fn file(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::File {
            path: path.as_ref().to_path_buf(),
            source,
        }
    }
}
