//! Videos, read on a thread of their own.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use expllm_video::{
    Clip, ClipInfo, ClipOptions, FrameReading, Frames, TrackOptions, VideoError, VideoReader,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::face::Face;
use crate::stages::{Loaded, SIGNALS, check_process};
use crate::values::wrong;

/// Read frames that wait for whoever wants them, at most.
const AHEAD: usize = 8;

/// Every how many frames one is read, first and last time in seconds, frames of a folder per
/// second.
pub type Stretch = (u64, f64, Option<f64>, f64);

/// Number and time in seconds of a frame, its people by number, and why they were not read.
type Read = (u64, f64, Vec<(u32, Face)>, Option<String>);

/// Frames expected, frames per second, width and height, as far as they are known.
type Info = (Option<u64>, Option<f64>, Option<(u32, u32)>);

/// The frames of a clip, with what was read of the people in each.
#[pyclass(frozen, module = "expllm._native")]
pub struct Video {
    path: PathBuf,
    info: ClipInfo,
    /// `None` once it is closed.
    frames: Mutex<Option<Receiver<Result<Read, VideoError>>>>,
    /// The process that the thread belongs to.
    process: u32,
}

#[pymethods]
impl Video {
    /// What is known before reading: frames expected, frames per second, width and height.
    #[getter]
    fn info(&self) -> Info {
        let info = &self.info;
        (info.expected_frames, info.rate, info.size)
    }

    /// The next frame; `None` after the last. An error ends the clip.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Read>> {
        check_process(self.process)?;
        loop {
            match py.detach(|| self.wait()) {
                Ok(frame) => return frame.map(Some).map_err(|e| refused(&self.path, &e)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            }
        }
    }

    /// Ends the reading.
    fn close(&self, py: Python<'_>) {
        py.detach(|| *self.frames.lock().unwrap_or_else(PoisonError::into_inner) = None);
    }
}

impl Video {
    /// Opens a clip and begins to read it.
    pub fn open(loaded: Arc<Loaded>, path: PathBuf, stretch: Stretch) -> PyResult<Self> {
        let (every, from, to, rate) = stretch;
        let options = ClipOptions {
            every,
            from,
            to,
            rate,
        };
        let clip = Clip::open(&path, &options).map_err(|error| refused(&path, &error))?;
        let (sender, receiver) = sync_channel(AHEAD);
        let frames = clip.frames;
        let thread = thread::Builder::new().name("expllm video".to_owned());
        let started = thread.spawn(move || read(&loaded, frames, &sender));
        started.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        Ok(Self {
            path,
            info: clip.info,
            frames: Mutex::new(Some(receiver)),
            process: std::process::id(),
        })
    }

    /// What comes next, within the time after which signals are looked for.
    fn wait(&self) -> Result<Result<Read, VideoError>, RecvTimeoutError> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        match frames.as_ref() {
            Some(frames) => frames.recv_timeout(SIGNALS),
            None => Err(RecvTimeoutError::Disconnected),
        }
    }
}

/// Reads until the clip ends or nobody wants more.
fn read(loaded: &Loaded, frames: Frames, sender: &SyncSender<Result<Read, VideoError>>) {
    let mut reader = VideoReader::new(&*loaded.reader, frames, TrackOptions::default());
    // The threads of the reader are only lent for each step: whoever takes their time over a frame
    // must not hold up other photos.
    while let Some(frame) = loaded.pool.install(|| reader.next()) {
        if sender.send(frame.map(told)).is_err() {
            return;
        }
    }
}

fn told(frame: FrameReading) -> Read {
    let people = frame.people.into_iter();
    let people = people.map(|(person, face)| (person, Face::from(face)));
    (frame.number, frame.time, people.collect(), frame.error)
}

/// The reason without the path, which the caller knows.
fn refused(path: &Path, error: &VideoError) -> PyErr {
    let text = error.to_string();
    let before = format!("{}: ", path.display());
    wrong(text.strip_prefix(&before).unwrap_or(&text))
}
