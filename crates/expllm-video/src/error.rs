//! Why a clip cannot be read, or not to its end.

use std::path::PathBuf;

use expllm_core::StageError;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The file needs `ffmpeg`, which is not there.
    #[error(
        "{path}: videos are read through the programs ffmpeg and ffprobe, and {program} was not \
         found; install them (Debian and Ubuntu: apt-get install ffmpeg; macOS: brew install \
         ffmpeg; Windows: winget install ffmpeg), or give an animated GIF, WebP or PNG, a \
         stream of JPEG pictures (.mjpeg) or a folder of frames", path = path.display()
    )]
    NoFfmpeg {
        /// The clip.
        path: PathBuf,
        /// The program that was looked for.
        program: &'static str,
    },
    /// The file or folder is no clip, or nothing that can be read as one.
    #[error("{path}: {reason}", path = path.display())]
    Unreadable {
        /// The clip.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The clip ends early; the frames before are good.
    #[error("{path}: broken after {frames} frames: {reason}", path = path.display())]
    Broken {
        /// The clip.
        path: PathBuf,
        /// Frames that were read.
        frames: u64,
        /// What was said about it.
        reason: String,
    },
    /// One frame cannot be read; those after it can.
    #[error("frame {number}: {reason}")]
    Frame {
        /// Its number.
        number: u64,
        /// Its time in seconds.
        time: f64,
        /// What is wrong with it.
        reason: String,
    },
    /// A stage of the reader failed.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A setting outside of its range.
    #[error("{what} must be {range}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// What is allowed.
        range: &'static str,
    },
    /// A copy of the clip could not be written.
    #[error("{path}: {reason}", path = path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

impl VideoError {
    /// An error about a clip that cannot be read at all.
    pub(crate) fn unreadable(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::Unreadable {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}
