//! Reading clip after clip.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use expllm_au::FaceReader;
use expllm_video::{
    Clip, ClipOptions, FrameReading, TrackOptions, Tracker, VideoError, VideoReader, find_clips,
};
use indicatif::ProgressBar;

use super::bookmark::{Bookmark, BookmarkFile, LastFrame};
use super::rows::Rows;
use super::sinks::{ClipSinks, Sinks};
use super::stop::Stop;
use super::{Args, progress};
use crate::faces::Found;
use crate::outputs::{Inputs, Kind};
use crate::{CliError, Outcome};

/// Frames between flushes of the output, so that a reader of the file lags little.
const FLUSH: u64 = 64;

/// Reads the clips.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let options = clip_options(args)?;
    let clips = clips(args)?;
    let found = check_outputs(args, &clips)?;
    let file = BookmarkFile::of(args);
    let bookmark = match earlier(args, file.as_ref())? {
        Earlier::Nothing => None,
        Earlier::Whole => return Ok(Outcome::Complete),
        Earlier::Part(bookmark) => Some(*bookmark),
    };
    // The one clip that cannot be opened leaves no empty table behind.
    let opened = match (&clips[..], &bookmark) {
        ([only], None) => Some(Clip::open(only, &options).map_err(CliError::library)?),
        _ => None,
    };
    let rows = Rows::open(args, &found, bookmark.as_ref())?;
    let mut run = Run {
        options,
        reader: Rc::new(FaceReader::pretrained().map_err(CliError::library)?),
        sinks: Sinks::open(args, rows, &found)?,
        stop: Stop::on_interrupt()?,
        complaints: 0,
        bookmarks: file,
    };
    run.clips(&clips, bookmark, opened)?;
    run.finish()
}

/// What an earlier run has left.
enum Earlier {
    Nothing,
    Part(Box<Bookmark>),
    Whole,
}

/// Looks for what an earlier run has left, where it is to be gone on with.
fn earlier(args: &Args, file: Option<&BookmarkFile>) -> Result<Earlier, CliError> {
    if !args.resume {
        return Ok(Earlier::Nothing);
    }
    let (Some(file), Some(out)) = (file, &args.out) else {
        let text = "--resume goes on with a table in a file; name it by --out";
        return Err(CliError::Usage(text.to_owned()));
    };
    if file.is_done(out) {
        progress::note(&format!("{}: nothing is left to do", out.display()));
        return Ok(Earlier::Whole);
    }
    let bookmark = file.read()?;
    Ok(bookmark.map_or(Earlier::Nothing, |b| Earlier::Part(Box::new(b))))
}

fn clip_options(args: &Args) -> Result<ClipOptions, CliError> {
    let options = ClipOptions {
        every: args.every,
        from: args.from,
        to: args.to,
        rate: args.fps,
    };
    let usage = |error: VideoError| CliError::Usage(error.to_string());
    options.check().map_err(usage)?;
    Ok(options)
}

/// The clips of this part of the work.
fn clips(args: &Args) -> Result<Vec<PathBuf>, CliError> {
    let clips = find_clips(&args.paths).map_err(CliError::library)?;
    let one = [
        ("--annotate", args.annotate.is_some()),
        ("--truth", args.truth.is_some()),
    ];
    if let (Some((name, _)), true) = (one.iter().find(|(_, given)| *given), clips.len() != 1) {
        let text = format!("{name} takes one clip, not {}", clips.len());
        return Err(CliError::Usage(text));
    }
    Ok(args.shard.unwrap_or_default().of(clips).collect())
}

/// Refuses outputs that are clips or files of somebody else, before anything is written; gives the
/// clips as what must not be written over.
fn check_outputs(args: &Args, clips: &[PathBuf]) -> Result<Vec<Found>, CliError> {
    let found = |path: &PathBuf| Found {
        path: path.clone(),
        error: None,
    };
    let inputs = Inputs::new(clips);
    let outputs = [
        (&args.out, args.format.kind()),
        (&args.events, Kind::Json),
        (&args.report, Kind::Html),
        (&args.annotate, Kind::Video),
    ];
    for (path, kind) in outputs {
        path.iter()
            .try_for_each(|path| inputs.check_output(path, kind))?;
    }
    Ok(clips.iter().map(found).collect())
}

/// What is the same for all clips.
struct Run<'a> {
    options: ClipOptions,
    reader: Rc<FaceReader>,
    sinks: Sinks<'a>,
    stop: Stop,
    complaints: u64,
    bookmarks: Option<BookmarkFile>,
}

/// What was seen of a clip so far.
struct Seen {
    /// Place of the clip among all.
    clip: usize,
    frames: u64,
    people: BTreeSet<u32>,
    /// Number of the frame that comes as the first.
    first: u64,
    /// Frames since the last flush.
    held: u64,
}

/// A clip that is being read.
struct ClipRun {
    file: String,
    sinks: ClipSinks,
    seen: Seen,
}

impl Run<'_> {
    /// Reads all clips from where an earlier run was ended; the first may have been opened.
    fn clips(
        &mut self,
        clips: &[PathBuf],
        mut from: Option<Bookmark>,
        mut opened: Option<Clip>,
    ) -> Result<(), CliError> {
        let done = from.as_ref().map_or(0, |bookmark| bookmark.clip);
        for (index, path) in clips.iter().enumerate().skip(done) {
            if self.stop.asked() {
                break;
            }
            let from = from.take().and_then(|bookmark| bookmark.last);
            let options = ClipOptions {
                from: from.as_ref().map_or(self.options.from, |last| last.time),
                ..self.options
            };
            let opened = opened.take().map_or_else(|| Clip::open(path, &options), Ok);
            match opened {
                Ok(clip) => self.clip((index, path), clip, from)?,
                Err(error) => self.complain(&error.to_string()),
            }
        }
        Ok(())
    }

    /// Reads a clip; what goes wrong with it is said and costs no other.
    fn clip(
        &mut self,
        (index, path): (usize, &Path),
        clip: Clip,
        from: Option<LastFrame>,
    ) -> Result<(), CliError> {
        let bar = progress::bar(path, &clip.info);
        let mut at = ClipRun {
            file: path.display().to_string(),
            sinks: self.sinks.begin(path, &clip.info)?,
            seen: Seen {
                clip: index,
                frames: 0,
                people: BTreeSet::new(),
                first: from.as_ref().map_or(0, |last| last.number),
                held: 0,
            },
        };
        if from.is_none() {
            self.mark(index, None)?;
        }
        let tracker = from.map(|last| last.tracker);
        self.frames(&mut at, clip, tracker, &bar)?;
        bar.finish_and_clear();
        let counts = (at.seen.frames, at.seen.people.len());
        progress::note(&progress::summary(&at.file, counts, &bar));
        if let Some(error) = self.sinks.end(&at.file, at.sinks)? {
            self.complain(&error);
        }
        Ok(())
    }

    fn frames(
        &mut self,
        at: &mut ClipRun,
        clip: Clip,
        tracker: Option<Tracker>,
        bar: &ProgressBar,
    ) -> Result<(), CliError> {
        let reader = Rc::clone(&self.reader);
        // The frame of the bookmark is read again to keep the count of `--every`; it is written.
        let repeated = usize::from(tracker.is_some());
        let tracker = tracker.unwrap_or_else(|| Tracker::new(TrackOptions::default()));
        let frames = Box::new(clip.frames.skip(repeated));
        for frame in VideoReader::resume(&**reader, frames, tracker) {
            let complaint = match frame {
                Ok(frame) => self.frame(at, frame)?,
                Err(error) => Some(error.to_string()),
            };
            bar.inc(1);
            if let Some(complaint) = complaint {
                bar.suspend(|| self.complain(&complaint));
            }
            if self.stop.asked() {
                let kept = format!("{}: stopped; {} frames were read", at.file, at.seen.frames);
                bar.suspend(|| self.complain(&kept));
                break;
            }
        }
        Ok(())
    }

    /// Passes a frame on; errors that have a row of their own are only counted.
    fn frame(
        &mut self,
        at: &mut ClipRun,
        mut frame: FrameReading,
    ) -> Result<Option<String>, CliError> {
        let seen = &mut at.seen;
        if frame.error.is_some() || frame.people.iter().any(|(_, face)| face.is_err()) {
            self.complaints += 1;
        }
        seen.frames += 1;
        seen.held += 1;
        seen.people
            .extend(frame.people.iter().map(|(number, _)| *number));
        frame.number += seen.first;
        let (number, time, tracker) = (frame.number, frame.time, frame.tracker.take());
        let failed = self.sinks.frame(&at.file, &mut at.sinks, frame)?;
        if let (true, Some(tracker)) = (seen.held >= FLUSH, tracker) {
            seen.held = 0;
            let tracker = *tracker;
            let last = LastFrame {
                number,
                time,
                tracker,
            };
            self.mark(seen.clip, Some(last))?;
        }
        Ok(failed)
    }

    /// Shows what was written so far, and notes where it ends.
    fn mark(&mut self, clip: usize, last: Option<LastFrame>) -> Result<(), CliError> {
        let bytes = self.sinks.flush()?;
        let Some(file) = &self.bookmarks else {
            return Ok(());
        };
        file.write((clip, bytes), last)
    }

    fn complain(&mut self, text: &str) {
        self.complaints += 1;
        progress::note(&format!("error: {text}"));
    }

    /// Writes what is left; a table that was not ended early needs no bookmark.
    fn finish(self) -> Result<Outcome, CliError> {
        let stopped = self.stop.asked();
        self.sinks.finish()?;
        if let (false, Some(file)) = (stopped, &self.bookmarks) {
            file.remove();
        }
        Ok(match self.complaints {
            0 => Outcome::Complete,
            _ => Outcome::WithErrors,
        })
    }
}
