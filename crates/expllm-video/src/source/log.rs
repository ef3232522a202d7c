//! What `ffmpeg` says while it works: the time of each frame, and what goes wrong.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// Errors that are kept, at most; the first says most.
const KEPT: usize = 3;

/// The ear at the error output of `ffmpeg`.
pub struct Log {
    /// Time of each frame in seconds; `None` of a frame without a time stamp.
    pub times: Receiver<Option<f64>>,
    errors: JoinHandle<Vec<String>>,
}

impl Log {
    /// Begins to listen. Times are read from lines of the filter `showinfo`, whose lines all come
    /// out before the frame they are about.
    pub fn listen(output: impl Read + Send + 'static) -> Self {
        let (sender, times) = channel();
        let errors = thread::spawn(move || hear(BufReader::new(output), &sender));
        Self { times, errors }
    }

    /// What went wrong, once `ffmpeg` has ended.
    pub fn errors(self) -> Vec<String> {
        self.errors.join().unwrap_or_default()
    }
}

fn hear(output: impl BufRead, times: &Sender<Option<f64>>) -> Vec<String> {
    let (mut errors, mut base) = (Vec::new(), None);
    for line in output.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        match Line::of(&line) {
            Some(Line::Base(seconds)) => base = Some(seconds),
            Some(Line::Frame(pts)) => {
                let time = base.zip(pts).map(|(base, pts)| base * pts as f64);
                // Nobody listens any more: `ffmpeg` is about to be ended.
                let _ = times.send(time);
            }
            Some(Line::Error(error)) if errors.len() < KEPT && !errors.contains(&error) => {
                errors.push(error);
            }
            _ => {}
        }
    }
    errors
}

/// A line that matters.
#[derive(Debug, PartialEq)]
enum Line {
    /// Seconds per unit of time stamps.
    Base(f64),
    /// The time stamp of a frame, if it has one.
    Frame(Option<i64>),
    /// Something went wrong.
    Error(String),
}

impl Line {
    fn of(line: &str) -> Option<Self> {
        if let Some((_, error)) = line.split_once("[error] ").or(line.split_once("[fatal] ")) {
            return Some(Self::Error(error.trim().to_owned()));
        }
        let (_, info) = line
            .strip_prefix("[Parsed_showinfo_")?
            .split_once("[info] ")?;
        if let Some((_, base)) = info.split_once("config in time_base: ") {
            let (over, under) = base.split(',').next()?.split_once('/')?;
            let base = over.trim().parse::<f64>().ok()? / under.trim().parse::<f64>().ok()?;
            return base.is_finite().then_some(Self::Base(base));
        }
        let (_, pts) = info.strip_prefix("n:")?.split_once(" pts:")?;
        Some(Self::Frame(pts.split_whitespace().next()?.parse().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_errors_are_heard() {
        let said = "[info] Input #0, mov, from 'n: 1 pts: 3':\n\
            [Parsed_showinfo_1 @ 0x55] [info] config in time_base: 1/15360, frame_rate: 30/1\n\
            [Parsed_showinfo_1 @ 0x55] [info] config out time_base: 0/0, frame_rate: 0/0\n\
            [Parsed_showinfo_1 @ 0x55] [info] n:   0 pts:   7680 pts_time:0.5 pos: 32501 fmt:rgb\n\
            [Parsed_showinfo_1 @ 0x55] [info] color_range:tv color_space:bt709\n\
            [h264 @ 0x55] [error] error while decoding MB 1 2\n\
            [h264 @ 0x55] [error] error while decoding MB 1 2\n\
            [Parsed_showinfo_1 @ 0x55] [info] n:   1 pts: NOPTS pts_time:NOPTS pos: -1\n";
        let log = Log::listen(said.as_bytes());
        assert_eq!(log.times.iter().collect::<Vec<_>>(), [Some(0.5), None]);
        assert_eq!(log.errors(), ["error while decoding MB 1 2"]);
    }
}
