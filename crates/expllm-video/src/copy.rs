//! A copy of a clip with other pictures and the same sound.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::{self, JoinHandle};

use expllm_core::Photo;

use crate::VideoError;
use crate::source::ffmpeg::started;
use crate::source::input::file_argument;

/// The most frames per second of a copy; more are left out.
const FASTEST: f64 = 120.0;

/// What a copy is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyOptions {
    /// Where the sound comes from; a clip without sound gives none.
    pub sound: Option<PathBuf>,
    /// Frames per second of the copy, above 0 and at most 120.
    pub rate: f64,
    /// Time stamp of the clip's own beginning in seconds, see
    /// [`ClipInfo::start`](crate::ClipInfo::start).
    pub start: f64,
    /// Time stamp of the clip at which the copy begins, in seconds.
    pub from: f64,
    /// Time stamp of the clip at which the copy ends, in seconds.
    pub to: Option<f64>,
}

/// Writes a video through `ffmpeg`.
///
/// The copy has a constant rate: a picture is repeated until it is time for the next, so that
/// picture and sound stay together where the frames of the clip come unevenly.
#[derive(Debug)]
pub struct VideoCopy {
    path: PathBuf,
    options: CopyOptions,
    encoder: Option<Encoder>,
    /// Pictures written.
    written: u64,
    /// The last picture, until it is known how long it lasts.
    last: Option<Photo>,
}

#[derive(Debug)]
struct Encoder {
    child: Child,
    pixels: ChildStdin,
    said: JoinHandle<String>,
    size: (u32, u32),
}

impl VideoCopy {
    /// A copy that is begun with its first picture.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, options: CopyOptions) -> Self {
        let rate = if options.rate > 0.0 {
            options.rate.min(FASTEST)
        } else {
            25.0
        };
        Self {
            path: path.into(),
            options: CopyOptions { rate, ..options },
            encoder: None,
            written: 0,
            last: None,
        }
    }

    /// Adds a picture that is shown from a time stamp of the clip on, in seconds. All pictures
    /// have the size of the first.
    ///
    /// # Errors
    ///
    /// [`VideoError::NoFfmpeg`], or [`VideoError::Write`] when the encoder fails.
    pub fn add(&mut self, picture: Photo, time: f64) -> Result<(), VideoError> {
        let size = (picture.width(), picture.height());
        if self.encoder.is_none() {
            self.encoder = Some(Encoder::start(&self.path, &self.options, size)?);
        }
        if self
            .encoder
            .as_ref()
            .is_some_and(|encoder| encoder.size != size)
        {
            let (width, height) = size;
            return Err(self.failed(format!("a picture of {width} x {height} among others")));
        }
        let until = ((time - self.options.from) * self.options.rate)
            .round()
            .max(0.0) as u64;
        // A picture before the first is the first.
        let before = self.last.take();
        self.repeat(before.as_ref().unwrap_or(&picture), until)?;
        self.last = Some(picture);
        Ok(())
    }

    /// Ends the copy.
    ///
    /// # Errors
    ///
    /// [`VideoError::Write`] when the encoder fails.
    pub fn finish(mut self) -> Result<(), VideoError> {
        if let Some(last) = self.last.take() {
            self.repeat(&last, self.written + 1)?;
        }
        match self.encoder.take().map(Encoder::end) {
            Some(Err(reason)) => Err(self.failed(reason)),
            _ => Ok(()),
        }
    }

    /// Writes a picture until so many are written.
    fn repeat(&mut self, picture: &Photo, until: u64) -> Result<(), VideoError> {
        while self.written < until {
            let Some(encoder) = &mut self.encoder else {
                return Ok(());
            };
            if let Err(error) = encoder.pixels.write_all(picture.pixels()) {
                let said = self.encoder.take().and_then(|encoder| encoder.end().err());
                return Err(self.failed(said.unwrap_or_else(|| error.to_string())));
            }
            self.written += 1;
        }
        Ok(())
    }

    fn failed(&self, reason: String) -> VideoError {
        VideoError::Write {
            path: self.path.clone(),
            reason,
        }
    }
}

impl Encoder {
    fn start(path: &Path, options: &CopyOptions, size: (u32, u32)) -> Result<Self, VideoError> {
        let mut command = Command::new("ffmpeg");
        command.args(arguments(path, options, size));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = started(&mut command, path, "ffmpeg")?;
        let pipes = child.stdin.take().zip(child.stderr.take());
        let no_pipe = || VideoError::unreadable(path, "ffmpeg has no input");
        let (pixels, mut output) = pipes.ok_or_else(no_pipe)?;
        let said = thread::spawn(move || {
            let mut said = String::new();
            // What is no text is not worth a message.
            let _ = output.read_to_string(&mut said);
            said
        });
        Ok(Self {
            child,
            pixels,
            said,
            size,
        })
    }

    /// Waits for the end; gives what was said if that is a failure.
    fn end(mut self) -> Result<(), String> {
        drop(self.pixels);
        let status = self.child.wait();
        let said = self.said.join().unwrap_or_default();
        if status.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        let last = said.lines().last().unwrap_or("ffmpeg failed");
        Err(last.to_owned())
    }
}

fn arguments(path: &Path, options: &CopyOptions, (width, height): (u32, u32)) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    let mut add = |arguments: &[&str]| all.extend(arguments.iter().map(OsString::from));
    let (size, rate) = (format!("{width}x{height}"), format!("{}", options.rate));
    add(&["-hide_banner", "-nostats", "-loglevel", "error", "-y"]);
    add(&[
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size, "-r", &rate, "-i", "pipe:0",
    ]);
    if let Some(sound) = &options.sound {
        // The program counts from the beginning of the file, wherever its time stamps begin.
        let seek = |time: f64| format!("{:.6}", (time - options.start).max(0.0));
        add(&["-ss", &seek(options.from)]);
        if let Some(to) = options.to {
            add(&["-to", &seek(to)]);
        }
        add(&["-protocol_whitelist", "file,crypto,data", "-i"]);
        all.push(file_argument(sound));
    }
    let mut add = |arguments: &[&str]| all.extend(arguments.iter().map(OsString::from));
    add(&["-map", "0:v", "-map", "1:a?"][..if options.sound.is_some() { 4 } else { 2 }]);
    // Sides must be even in the pixel format that every player knows.
    add(&[
        "-vf",
        "pad=ceil(iw/2)*2:ceil(ih/2)*2",
        "-pix_fmt",
        "yuv420p",
    ]);
    all.push(file_argument(path));
    all
}
