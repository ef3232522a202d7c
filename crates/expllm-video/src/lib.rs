//! Video in, a reading per frame and person out.
//!
//! [`Clip`] gives the frames of a video, an animation or a folder with their times;
//! [`VideoReader`] follows the people in them and reads every face with a
//! [`FaceReader`](expllm_core::FaceReader).
//!
//! ```no_run
//! use expllm_video::{Clip, ClipOptions, TrackOptions, VideoReader};
//!
//! let clip = Clip::open("talk.mp4", &ClipOptions::default())?;
//! let reader = expllm_au::FaceReader::pretrained()?;
//! for frame in VideoReader::new(&*reader, clip.frames, TrackOptions::default()) {
//!     let frame = frame?;
//!     for (person, face) in frame.people.iter().flat_map(|(n, f)| Some((n, f.as_ref().ok()?))) {
//!         println!("{:.3} s, person {person}: {face}", frame.time);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod copy;
mod error;
mod reader;
pub mod series;
mod source;
mod track;

pub use copy::{CopyOptions, VideoCopy};
pub use error::VideoError;
pub use reader::{FrameReading, VideoReader};
pub use source::{Clip, ClipInfo, ClipOptions, Frame, Frames, find_clips};
pub use track::{Appearance, TrackOptions, Tracked, Tracker};
