//! Reading clip after clip.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use expllm_au::FaceReader;
use expllm_video::{
    Clip, ClipOptions, FrameReading, TrackOptions, VideoError, VideoReader, find_clips,
};
use indicatif::ProgressBar;

use super::sinks::{ClipSinks, Sinks};
use super::stop::Stop;
use super::{Args, progress};
use crate::faces::Output;
use crate::{CliError, Outcome};

/// Frames between flushes of the output, so that a reader of the file lags little.
const FLUSH: u64 = 64;

/// Reads the clips.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let options = clip_options(args)?;
    let clips = clips(args)?;
    let mut opened = clips.iter().map(|path| (path, Clip::open(path, &options)));
    // The one clip that cannot be opened leaves no empty table behind.
    let first = match (opened.next(), clips.len()) {
        (Some((_, Err(error))), 1) => return Err(CliError::library(error)),
        (first, _) => first,
    };
    let mut output = Output::open(args.out.as_deref())?;
    let mut run = Run {
        reader: Rc::new(FaceReader::pretrained().map_err(CliError::library)?),
        sinks: Sinks::open(args, &mut output)?,
        stop: Stop::on_interrupt()?,
        complaints: 0,
    };
    for (path, clip) in first.into_iter().chain(opened) {
        if run.stop.asked() {
            break;
        }
        match clip {
            Ok(clip) => run.clip(path, clip)?,
            Err(error) => run.complain(&error.to_string()),
        }
    }
    let Run {
        sinks, complaints, ..
    } = run;
    sinks.finish()?;
    output.finish()?;
    Ok(match complaints {
        0 => Outcome::Complete,
        _ => Outcome::WithErrors,
    })
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
    if args.annotate.is_some() && clips.len() != 1 {
        let text = "--annotate writes one file and takes one clip";
        return Err(CliError::Usage(text.to_owned()));
    }
    let (part, all) = args.shard.unwrap_or((0, 1));
    Ok(clips.into_iter().skip(part).step_by(all).collect())
}

/// What is the same for all clips.
struct Run<'a> {
    reader: Rc<FaceReader>,
    sinks: Sinks<'a>,
    stop: Stop,
    complaints: u64,
}

/// What was seen of a clip so far.
#[derive(Default)]
struct Seen {
    frames: u64,
    people: BTreeSet<u32>,
}

impl Run<'_> {
    /// Reads a clip; what goes wrong with it is said and costs no other.
    fn clip(&mut self, path: &Path, clip: Clip) -> Result<(), CliError> {
        let bar = progress::bar(path, &clip.info);
        let file = path.display().to_string();
        let mut sinks = self.sinks.begin(path, &clip.info);
        let seen = self.frames((&file, clip), &mut sinks, &bar)?;
        bar.finish_and_clear();
        let counts = (seen.frames, seen.people.len());
        progress::note(&progress::summary(&file, counts, &bar));
        if let Some(error) = self.sinks.end(&file, sinks)? {
            self.complain(&error);
        }
        Ok(())
    }

    fn frames(
        &mut self,
        (file, clip): (&str, Clip),
        sinks: &mut ClipSinks,
        bar: &ProgressBar,
    ) -> Result<Seen, CliError> {
        let mut seen = Seen::default();
        let reader = Rc::clone(&self.reader);
        for frame in VideoReader::new(&**reader, clip.frames, TrackOptions::default()) {
            let complaint = match frame {
                Ok(frame) => {
                    seen.frames += 1;
                    seen.people
                        .extend(frame.people.iter().map(|(number, _)| *number));
                    self.frame(file, sinks, frame)?
                }
                Err(error) => Some(error.to_string()),
            };
            bar.inc(1);
            if let Some(complaint) = complaint {
                bar.suspend(|| self.complain(&complaint));
            }
            if seen.frames.is_multiple_of(FLUSH) {
                self.sinks.flush()?;
            }
            if self.stop.asked() {
                let kept = format!(
                    "{file}: stopped; the rows of {} frames are kept",
                    seen.frames
                );
                bar.suspend(|| self.complain(&kept));
                break;
            }
        }
        Ok(seen)
    }

    /// Passes a frame on; errors that have a row of their own are only counted.
    fn frame(
        &mut self,
        file: &str,
        sinks: &mut ClipSinks,
        frame: FrameReading,
    ) -> Result<Option<String>, CliError> {
        if frame.error.is_some() || frame.people.iter().any(|(_, face)| face.is_err()) {
            self.complaints += 1;
        }
        self.sinks.frame(file, sinks, frame)
    }

    fn complain(&mut self, text: &str) {
        self.complaints += 1;
        progress::note(&format!("error: {text}"));
    }
}
