//! What can go wrong between a file and an aligned face.

use std::path::PathBuf;

use expllm_core::{Stage, StageError};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaceError {
    /// An error about one file.
    #[error("{path}: {source}", path = path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<FaceError>,
    },
    /// The operating system refuses to read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The path names a folder, a pipe or a device.
    #[error("is not a regular file")]
    NotAFile,
    /// No bytes at all.
    #[error("is empty")]
    Empty,
    /// More bytes than the reader accepts.
    #[error("has more than {limit} bytes; raise `PhotoReader::max_bytes` if it is meant")]
    TooManyBytes {
        /// The limit in bytes.
        limit: u64,
    },
    /// The first bytes belong to none of the formats that are read.
    #[error("is not a JPEG, PNG, WebP, BMP, TIFF or GIF image")]
    UnknownFormat,
    /// An image of a format that is not read.
    #[error("is {0}, which is not read; convert it to JPEG or PNG")]
    Foreign(&'static str),
    /// A pointer of Git LFS in place of the photo.
    #[error("is a pointer of Git LFS in place of the photo; fetch it with `git lfs pull`")]
    Pointer,
    /// The header promises more pixels than the reader accepts; nothing was decoded.
    #[error(
        "has {width} x {height} pixels, the limit is {limit} in all; \
         shrink it or raise `PhotoReader::max_pixels`"
    )]
    TooManyPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit in pixels.
        limit: u64,
    },
    /// The data does not hold the whole picture, or more than it.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
    /// The decoder gives up.
    #[error("cannot be decoded: {0}")]
    Decode(#[from] image::ImageError),
    /// A library broke its word not to panic; the photo is to blame, the program is not harmed.
    #[error("{library} fails on this photo: {message}")]
    Library {
        /// The library.
        library: &'static str,
        /// What it says.
        message: String,
    },
    /// A setting outside of its range.
    #[error("{what} must be {range}, found {value}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// What is allowed.
        range: &'static str,
        /// What was given.
        value: f64,
    },
    /// Landmarks that no transform fits: all in one point, or not finite.
    #[error("the landmarks of face {index} lie in one point or are not finite")]
    DegenerateLandmarks {
        /// Index of the face in the batch.
        index: usize,
    },
    /// An image could not be encoded or written.
    #[error("cannot be written: {0}")]
    Write(png::EncodingError),
    /// Weights that do not fit their network.
    #[error("{file} does not fit the network: {reason}")]
    Weights {
        /// Name of the weights file.
        file: &'static str,
        /// What is missing, too much or of the wrong shape.
        reason: String,
    },
    /// A backend that this build lacks, or a name that none has.
    #[error("{0}")]
    Backend(String),
    /// The tensor framework did not give its result back.
    #[error("a result could not be read from the device: {0}")]
    Tensor(String),
}

impl FaceError {
    /// Names the file that the error is about.
    pub(crate) fn in_file(self, path: impl Into<PathBuf>) -> Self {
        Self::InFile {
            path: path.into(),
            source: Box::new(self),
        }
    }

    /// Wraps an error of the tensor framework.
    #[must_use]
    pub fn tensor(error: impl std::fmt::Debug) -> Self {
        Self::Tensor(format!("{error:?}"))
    }

    /// The error as that of a stage.
    pub(crate) fn at(self, stage: Stage) -> StageError {
        StageError::new(stage, self)
    }
}

/// Runs a library on foreign data and turns a panic inside of it into an error.
///
/// The closure must own everything that it changes, so that nothing half-changed is seen after.
pub(crate) fn contained<T>(
    library: &'static str,
    work: impl FnOnce() -> T,
) -> Result<T, FaceError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("it panicked");
        FaceError::Library {
            library,
            message: message.to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let found = contained("demo", || -> u8 { panic!("no {}", "luck") });
        assert_eq!(
            found.unwrap_err().to_string(),
            "demo fails on this photo: no luck"
        );
        assert_eq!(contained("demo", || 3).unwrap(), 3);
    }
}
