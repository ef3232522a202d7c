//! Frames of any video through the program `ffmpeg`.

use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use expllm_core::Photo;

use super::input::Input;
use super::log::Log;
use super::probe::Probe;
use super::{ClipInfo, ClipOptions, Frame, NEAR, NO_FRAMES, Opened, Side, Start};
use crate::VideoError;

/// Opens a video or a camera.
pub fn open(input: &Input, options: &ClipOptions) -> Result<Opened, VideoError> {
    let path = &input.path;
    let probe = Probe::of(input)?;
    let mut frames = Decoded::start(input, &probe, *options)?;
    let expected = probe.frames_within(options.from, options.to);
    let info = ClipInfo {
        expected_frames: expected.map(|n| (n / options.every as f64).ceil() as u64),
        rate: probe.rate,
        base_rate: probe.base_rate,
        size: Some((probe.width, probe.height)),
        start: if input.live { 0.0 } else { probe.start },
    };
    let first = frames.next();
    // Whatever hinders the first frame is told before any output is begun.
    match first {
        Some(Err(VideoError::Broken { reason, .. })) => {
            return Err(VideoError::unreadable(path, reason));
        }
        None => return Err(VideoError::unreadable(path, NO_FRAMES)),
        _ => {}
    }
    let start: Start = Box::new(move || Box::new(first.into_iter().chain(frames)));
    Ok(Opened { info, start })
}

/// Starts a program; says how to install it where it is not there.
pub fn started(
    command: &mut Command,
    path: &Path,
    program: &'static str,
) -> Result<Child, VideoError> {
    // An interrupt from the keyboard is for this program alone, which ends the other one itself.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => VideoError::NoFfmpeg {
            path: path.to_path_buf(),
            program,
        },
        _ => VideoError::unreadable(path, format!("{program} cannot be started: {error}")),
    })
}

/// How the installed `ffmpeg` is told to keep every frame as it is; the option got another name
/// in version 5.1, and the old one is gone from later versions.
pub fn passthrough() -> [&'static str; 2] {
    let version = Command::new("ffmpeg")
        .arg("-version")
        .stdin(Stdio::null())
        .output();
    let said = version.map(|v| String::from_utf8_lossy(&v.stdout).into_owned());
    if said.is_ok_and(|said| before_5_1(&said)) {
        ["-vsync", "passthrough"]
    } else {
        ["-fps_mode", "passthrough"]
    }
}

/// Whether the answer to `-version` names a release before 5.1; builds between releases count as
/// new.
fn before_5_1(said: &str) -> bool {
    let version = said.strip_prefix("ffmpeg version ").unwrap_or_default();
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    let major: Option<u32> = parts.next().and_then(|part| part.parse().ok());
    let minor: u32 = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    major.is_some_and(|major| (major, minor) < (5, 1))
}

/// Frames as `ffmpeg` decodes them. Dropping this ends the program.
struct Decoded {
    path: PathBuf,
    child: Child,
    pixels: ChildStdout,
    /// `None` once everything was said.
    log: Option<Log>,
    size: (u32, u32),
    /// Seconds between frames without time stamps.
    step: f64,
    options: ClipOptions,
    /// Frames so far.
    read: u64,
    /// Time of the last frame in seconds.
    time: Option<f64>,
}

impl Decoded {
    fn start(input: &Input, probe: &Probe, options: ClipOptions) -> Result<Self, VideoError> {
        let path = &input.path;
        let mut command = Command::new("ffmpeg");
        command.args(arguments(input, probe, &options));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = started(&mut command, path, "ffmpeg")?;
        let (pixels, said) = (child.stdout.take(), child.stderr.take());
        let no_pipe = || VideoError::unreadable(path, "ffmpeg has no output");
        Ok(Self {
            path: path.to_path_buf(),
            pixels: pixels.ok_or_else(no_pipe)?,
            log: Some(Log::listen(said.ok_or_else(no_pipe)?)),
            child,
            size: (probe.width, probe.height),
            step: options.every as f64 / probe.rate.unwrap_or(25.0),
            options,
            read: 0,
            time: None,
        })
    }

    /// The pixels of the next frame; `None` at the end, also when it comes within a frame.
    fn photo(&mut self) -> Option<Photo> {
        let (width, height) = self.size;
        let mut pixels = vec![0; 3 * width as usize * height as usize];
        self.pixels.read_exact(&mut pixels).ok()?;
        Photo::new(width, height, pixels).ok()
    }

    /// The time of the frame whose pixels were just read.
    fn next_time(&mut self) -> f64 {
        let said = self
            .log
            .as_ref()
            .and_then(|log| log.times.recv().ok().flatten());
        let guess = || self.time.map_or(0.0, |before| before + self.step);
        let time = said.unwrap_or_else(guess);
        self.time = Some(time);
        time
    }

    /// What went wrong, once; ends the program.
    fn ending(&mut self) -> Option<VideoError> {
        let log = self.log.take()?;
        let status = self.child.wait();
        let mut errors = log.errors();
        if errors.is_empty() && !status.is_ok_and(|status| status.success()) {
            errors.push("ffmpeg failed".to_owned());
        }
        (!errors.is_empty()).then(|| VideoError::Broken {
            path: self.path.clone(),
            frames: self.read,
            reason: errors.join("; "),
        })
    }
}

impl Iterator for Decoded {
    type Item = Result<Frame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.log.as_ref()?;
        loop {
            let Some(photo) = self.photo() else {
                return self.ending().map(Err);
            };
            let time = self.next_time();
            match self.options.side(time) {
                Side::Before => continue,
                Side::After => {
                    // What follows was not asked for, and what is said about it does not matter.
                    self.log = None;
                    return None;
                }
                Side::Within => {}
            }
            let number = self.read * self.options.every;
            self.read += 1;
            return Some(Ok(Frame {
                number,
                time,
                photo,
            }));
        }
    }
}

impl Drop for Decoded {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds to go back further where the container has no index: longer than between key frames.
const NO_INDEX_AHEAD: f64 = 60.0;

/// Frames upright (ffmpeg turns them by itself), with square pixels and of one size, as raw RGB;
/// times through the filter `showinfo`, those of files unchanged (`-copyts`). Raw frames carry no
/// times, but two at one time would be dropped: the last filters set them far apart.
fn arguments(input: &Input, probe: &Probe, options: &ClipOptions) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    let mut add = |arguments: &[&str]| all.extend(arguments.iter().map(OsString::from));
    add(&[
        "-hide_banner",
        "-nostdin",
        "-nostats",
        "-loglevel",
        "level+info",
    ]);
    if !input.live {
        add(&["-copyts"]);
    }
    if options.from > 0.0 && !input.live {
        let ahead = if probe.no_index { NO_INDEX_AHEAD } else { 1e-3 };
        // The program counts from the beginning of the file, wherever its time stamps begin.
        let seek = options.from - probe.start - ahead;
        if seek > 0.0 {
            add(&["-ss", &format!("{seek:.6}")]);
        }
    }
    all.extend_from_slice(input.arguments());
    let mut add = |arguments: &[&str]| all.extend(arguments.iter().map(OsString::from));
    let Probe { width, height, .. } = probe;
    let every = options.every;
    // What comes before the stretch is dropped first, since the others are counted from its
    // beginning.
    let from = match input.live {
        true => String::new(),
        false => format!("select=not(lt(t\\,{:.6})),", options.from - NEAR),
    };
    let filters = format!(
        "{from}select=not(mod(n\\,{every})),showinfo=checksum=0,scale={width}:{height}:flags=bilinear,\
         settb=1/1000,setpts=100000*N"
    );
    add(&["-map", "0:V:0", "-vf", &filters]);
    add(&passthrough());
    add(&["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_tell_which_option_is_known() {
        assert!(before_5_1("ffmpeg version 4.4.2-0ubuntu0 Copyright"));
        assert!(before_5_1("ffmpeg version 5.0 Copyright"));
        for new in ["5.1.9-0+deb12u1", "6.0", "8.1", "N-109-gabc", "n7.1"] {
            assert!(!before_5_1(&format!("ffmpeg version {new}")), "{new}");
        }
    }

    #[test]
    fn names_of_files_are_never_options() {
        let probe = Probe {
            width: 4,
            height: 2,
            rate: None,
            base_rate: None,
            frames: None,
            duration: None,
            start: 1.4,
            no_index: false,
        };
        let options = ClipOptions {
            from: 2.0,
            ..ClipOptions::default()
        };
        let all = arguments(&Input::file(Path::new("-y.mp4")), &probe, &options);
        assert!(all.contains(&OsString::from("file:-y.mp4")));
        assert!(all.contains(&OsString::from("0.599000")));
        assert!(!all.contains(&OsString::from("-y.mp4")));
        let probe = Probe {
            no_index: true,
            ..probe
        };
        let all = arguments(&Input::file(Path::new("a.ts")), &probe, &options);
        assert!(!all.contains(&OsString::from("-ss")));
    }
}
