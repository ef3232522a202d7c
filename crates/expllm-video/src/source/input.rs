//! What `ffmpeg` and `ffprobe` are told to read: a file, or a camera.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::VideoError;

/// The word before the number of a camera.
const CAMERA: &str = "camera:";

/// A file or a camera.
#[derive(Debug, Clone)]
pub struct Input {
    /// The path or the words `camera:N`, for messages.
    pub path: PathBuf,
    /// Whether it is a camera, which has no beginning to go back to.
    pub live: bool,
    arguments: Vec<OsString>,
}

impl Input {
    /// A file, which is never taken for an option or another protocol.
    pub fn file(path: &Path) -> Self {
        let whitelist = ["-protocol_whitelist", "file,crypto,data", "-i"];
        let mut arguments = whitelist.map(OsString::from).to_vec();
        arguments.push(file_argument(path));
        Self {
            path: path.to_path_buf(),
            live: false,
            arguments,
        }
    }

    /// The camera that `camera:N` names; `None` for any other path.
    ///
    /// # Errors
    ///
    /// When what follows the colon is no number, or where cameras cannot be told by numbers.
    pub fn camera(path: &Path) -> Option<Result<Self, VideoError>> {
        let number = path.to_str()?.strip_prefix(CAMERA)?;
        let wrong = |reason| VideoError::unreadable(path, reason);
        let number = match number.parse::<u16>() {
            Ok(number) => number,
            Err(_) => return Some(Err(wrong("a camera is named by a number, like camera:0"))),
        };
        let arguments = match std::env::consts::OS {
            "linux" => ["-f", "v4l2", "-i", &format!("/dev/video{number}")].map(OsString::from),
            "macos" => ["-f", "avfoundation", "-i", &number.to_string()].map(OsString::from),
            _ => return Some(Err(wrong("cameras are read on Linux and macOS only"))),
        };
        Some(Ok(Self {
            path: path.to_path_buf(),
            live: true,
            arguments: arguments.to_vec(),
        }))
    }

    /// The arguments that name it.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }
}

/// A path as an argument that is never taken for an option or another protocol.
pub fn file_argument(path: &Path) -> OsString {
    let mut argument = OsString::from("file:");
    argument.push(path);
    argument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_have_numbers_and_files_are_never_options() {
        assert!(Input::camera(Path::new("talk.mp4")).is_none());
        assert!(Input::camera(Path::new("camera:front")).unwrap().is_err());
        let file = Input::file(Path::new("-y.mp4"));
        assert!(!file.live && file.arguments().contains(&OsString::from("file:-y.mp4")));
        if cfg!(target_os = "linux") {
            let camera = Input::camera(Path::new("camera:3")).unwrap().unwrap();
            assert!(camera.live && camera.arguments().contains(&OsString::from("/dev/video3")));
        }
    }
}
