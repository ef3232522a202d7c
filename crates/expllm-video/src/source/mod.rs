//! From a file or folder to frames with their times.

mod ahead;
mod animation;
pub(crate) mod ffmpeg;
mod folder;
pub(crate) mod input;
mod log;
mod mjpeg;
mod probe;
mod window;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use expllm_core::Photo;

use crate::VideoError;
use ahead::Ahead;
use input::Input;

/// Most pixels of a frame; larger videos are refused before memory is taken.
const MAX_PIXELS: u64 = 64_000_000;

/// Bytes of frames that are read ahead, at most, once two are.
const AHEAD_BYTES: u64 = 16 << 20;

/// Seconds that count as nothing between two times.
const NEAR: f64 = 5e-4;

/// What is said of a clip without a single frame.
const NO_FRAMES: &str = "holds no frames, or none in the stretch of time that was asked for";

/// One picture of a clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Counted from 0 at the first frame that was asked for, before frames are left out.
    pub number: u64,
    /// Time stamp of the container in seconds.
    pub time: f64,
    /// The picture, upright.
    pub photo: Photo,
}

/// Frames in the order of time. After an error of a single frame ([`VideoError::Frame`]) others
/// may follow; any other error is the last item.
pub type Frames = Box<dyn Iterator<Item = Result<Frame, VideoError>> + Send>;

/// Which frames of a clip are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipOptions {
    /// Every how many frames one is read, at least 1; 1 by default.
    pub every: u64,
    /// Time stamp in seconds of the first frame that is wanted; 0 by default.
    pub from: f64,
    /// Time stamp in seconds of the last frame that is wanted.
    pub to: Option<f64>,
    /// Frames per second of a folder of frames or a stream of pictures (motion JPEG), above 0; 25
    /// by default.
    pub rate: f64,
}

impl Default for ClipOptions {
    fn default() -> Self {
        Self {
            every: 1,
            from: 0.0,
            to: None,
            rate: 25.0,
        }
    }
}

impl ClipOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`VideoError::Setting`] with the first that is left.
    pub fn check(&self) -> Result<(), VideoError> {
        let fails = |what, range| Err(VideoError::Setting { what, range });
        if self.every == 0 {
            return fails("the distance of frames", "at least 1");
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return fails("the frames per second", "above 0");
        }
        if !(self.from.is_finite() && self.from >= 0.0) {
            return fails("the first time", "at least 0 seconds");
        }
        match self.to {
            Some(to) if !(to.is_finite() && to >= self.from) => {
                fails("the last time", "a number of seconds not before the first")
            }
            _ => Ok(()),
        }
    }

    /// Whether a frame is wanted that is the `number`th of the wanted stretch of time.
    const fn takes(&self, number: u64) -> bool {
        number.is_multiple_of(self.every)
    }

    /// Where a time stamp lies to the wanted stretch. Half a millisecond counts as nothing, so
    /// that times may be copied from a table.
    fn side(&self, time: f64) -> Side {
        match self.to {
            _ if time < self.from - NEAR => Side::Before,
            Some(to) if time > to + NEAR => Side::After,
            _ => Side::Within,
        }
    }
}

/// Before, within or after a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Within,
    After,
}

/// What is known of a clip before it is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClipInfo {
    /// Frames that will come, as far as the container tells; a guess for progress.
    pub expected_frames: Option<u64>,
    /// Frames per second on average, before frames are left out.
    pub rate: Option<f64>,
    /// Frames per second of the grid on which the container's time stamps lie.
    pub base_rate: Option<f64>,
    /// Width and height in pixels, upright.
    pub size: Option<(u32, u32)>,
    /// Time stamp of the container's beginning in seconds; above 0 in transport streams.
    pub start: f64,
}

/// A clip that was opened.
pub struct Clip {
    /// What is known of it.
    pub info: ClipInfo,
    /// Its frames.
    pub frames: Frames,
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clip")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Clip {
    /// Opens a video, a camera (`camera:0`), an animated GIF, WebP or PNG, a stream of JPEG pictures
    /// one after the other (`.mjpeg`), or a folder of frames in the natural order of their names
    /// (`2.png` before `10.png`).
    ///
    /// Animations, streams of pictures and folders are read by this crate, everything else by the
    /// programs `ffmpeg` and `ffprobe`, which must be on the search path. Frames come upright, with square pixels,
    /// and are read ahead on a thread of their own.
    ///
    /// # Errors
    ///
    /// [`VideoError::Setting`], [`VideoError::NoFfmpeg`] or [`VideoError::Unreadable`].
    pub fn open(path: impl AsRef<Path>, options: &ClipOptions) -> Result<Self, VideoError> {
        options.check()?;
        let path = path.as_ref();
        let clip = match Kind::of(path)? {
            Kind::Folder => folder::open(path, options),
            Kind::Animation(format) => animation::open(path, format, options),
            Kind::Pictures => mjpeg::open(path, options),
            Kind::Video(input) => ffmpeg::open(&input, options),
        }?;
        let (width, height) = clip.info.size.unwrap_or((1920, 1080));
        let bytes = 3 * u64::from(width) * u64::from(height);
        let count = (AHEAD_BYTES / bytes.max(1)).clamp(2, 32) as usize;
        Ok(Self {
            info: clip.info,
            frames: Box::new(Ahead::new(clip.start, count)),
        })
    }
}

/// What makes the frames of a clip, on the thread that reads them.
type Start = Box<dyn FnOnce() -> Box<dyn Iterator<Item = Result<Frame, VideoError>>> + Send>;

/// A clip that is ready to be read.
pub(crate) struct Opened {
    info: ClipInfo,
    start: Start,
}

/// Who reads a path.
enum Kind {
    Folder,
    Animation(image::ImageFormat),
    Pictures,
    Video(Input),
}

impl Kind {
    fn of(path: &Path) -> Result<Self, VideoError> {
        let io = |error| VideoError::unreadable(path, error);
        if let Some(camera) = Input::camera(path) {
            return camera.map(Self::Video);
        }
        let found = std::fs::metadata(path).map_err(io)?;
        if found.is_dir() {
            return Ok(Self::Folder);
        }
        if !found.is_file() {
            // To open a pipe would wait for whoever writes into it.
            return Err(VideoError::unreadable(
                path,
                "is neither a file nor a folder",
            ));
        }
        let mut start = Vec::new();
        let file = File::open(path).map_err(io)?;
        file.take(64).read_to_end(&mut start).map_err(io)?;
        if start.is_empty() {
            return Err(VideoError::unreadable(path, "is empty"));
        }
        Ok(match image::guess_format(&start) {
            Ok(format) if animation::reads(format) => Self::Animation(format),
            Ok(image::ImageFormat::Jpeg) => Self::Pictures,
            _ => Self::Video(Input::file(path)),
        })
    }
}

/// Videos and folders of frames under paths of a command line: a folder with photos in it is one
/// clip, any other folder stands for the videos in it, in the natural order of their names.
///
/// # Errors
///
/// [`VideoError::Unreadable`] for a folder that cannot be listed or holds neither.
pub fn find_clips(paths: &[PathBuf]) -> Result<Vec<PathBuf>, VideoError> {
    let mut clips = Vec::new();
    for path in paths {
        if !path.is_dir() || !folder::frames(path)?.is_empty() {
            clips.push(path.clone());
            continue;
        }
        let videos = folder::videos(path)?;
        if videos.is_empty() {
            let reason = "holds neither frames nor videos";
            return Err(VideoError::unreadable(path, reason));
        }
        clips.extend(videos);
    }
    Ok(clips)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let good = ClipOptions::default();
        assert!(good.check().is_ok());
        let bad = [
            ClipOptions { every: 0, ..good },
            ClipOptions {
                rate: f64::NAN,
                ..good
            },
            ClipOptions { from: -1.0, ..good },
            ClipOptions {
                from: 2.0,
                to: Some(1.0),
                ..good
            },
        ];
        assert!(bad.iter().all(|options| options.check().is_err()));
    }

    #[test]
    fn times_within_half_a_millisecond_count_as_equal() {
        let options = ClipOptions {
            from: 1.0,
            to: Some(2.0),
            ..ClipOptions::default()
        };
        let sides = [0.9, 0.9996, 2.0004, 2.1].map(|time| options.side(time));
        assert_eq!(
            sides,
            [Side::Before, Side::Within, Side::Within, Side::After]
        );
    }

    #[test]
    fn what_is_not_there_or_empty_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.mp4");
        std::fs::write(&empty, []).unwrap();
        for path in [empty, dir.path().join("none.mp4"), dir.path().to_path_buf()] {
            let error = Clip::open(&path, &ClipOptions::default()).unwrap_err();
            assert!(error.to_string().starts_with(&path.display().to_string()));
        }
        assert!(find_clips(&[dir.path().join("empty.mp4")]).is_ok());
    }
}
