//! Where the readings of clips go.

use std::path::Path;

use expllm::reports::{FaceReport, drawing};
use expllm_face::annotate;
use expllm_video::{ClipInfo, CopyOptions, FrameReading, VideoCopy};

use super::Args;
use super::report::Report;
use super::rows::Rows;
use super::story::Story;
use crate::CliError;
use crate::faces::Output;

/// Everything that was asked for beside the table, over all clips.
pub struct Sinks<'a> {
    args: &'a Args,
    rows: Rows<'a>,
    events: Option<Output>,
    report: Option<Report>,
}

/// The same for one clip.
pub struct ClipSinks {
    story: Option<Story>,
    copy: Option<VideoCopy>,
}

impl<'a> Sinks<'a> {
    /// Opens all files.
    pub fn open(args: &'a Args, table: &'a mut Output) -> Result<Self, CliError> {
        let events = args.events.as_deref();
        Ok(Self {
            args,
            rows: Rows::begin(table, args.format)?,
            events: events.map(|path| Output::open(Some(path))).transpose()?,
            report: args.report.as_ref().map(|_| Report::default()),
        })
    }

    /// Begins a clip.
    pub fn begin(&self, path: &Path, info: &ClipInfo) -> ClipSinks {
        let told = self.events.is_some() || self.report.is_some();
        let rate = info.base_rate.or(info.rate).unwrap_or(25.0);
        let copy = |out: &std::path::PathBuf| {
            let options = CopyOptions {
                sound: path.is_file().then(|| path.to_path_buf()),
                rate: rate / self.args.every as f64,
                from: self.args.from,
                to: self.args.to,
            };
            VideoCopy::new(out, options)
        };
        ClipSinks {
            story: told.then(|| Story::new(self.report.is_some())),
            copy: self.args.annotate.as_ref().map(copy),
        }
    }

    /// Takes a frame; what cannot be written to the copy ends the copy and is given back.
    pub fn frame(
        &mut self,
        file: &str,
        clip: &mut ClipSinks,
        mut frame: FrameReading,
    ) -> Result<Option<String>, CliError> {
        self.rows.frame(file, &frame)?;
        if let Some(story) = &mut clip.story {
            story.frame(&frame);
        }
        let Some(copy) = &mut clip.copy else {
            return Ok(None);
        };
        let Some(photo) = frame.photo.take() else {
            return Ok(None);
        };
        let time = frame.time;
        let failed = copy.add(annotate(&photo, &drawings(frame)), time).err();
        if failed.is_some() {
            clip.copy = None;
        }
        Ok(failed.map(|error| error.to_string()))
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.rows.flush()
    }

    /// Ends a clip; gives back why its copy could not be ended.
    pub fn end(&mut self, file: &str, clip: ClipSinks) -> Result<Option<String>, CliError> {
        self.flush()?;
        if let Some(story) = clip.story {
            for (told, part) in story.tell(file, self.args.explain)? {
                if let Some(events) = &mut self.events {
                    let row = serde_json::to_string(&told).map_err(CliError::library)?;
                    events.text(&(row + "\n"))?;
                    events.flush()?;
                }
                if let Some(report) = &mut self.report {
                    report.add(&told, part);
                }
            }
        }
        let failed = clip.copy.map(VideoCopy::finish).and_then(Result::err);
        Ok(failed.map(|error| error.to_string()))
    }

    /// Writes what is left.
    pub fn finish(self) -> Result<(), CliError> {
        if let Some(report) = self.report {
            let mut output = Output::open(self.args.report.as_deref())?;
            output.text(&report.render()?)?;
            output.finish()?;
        }
        self.events.map_or(Ok(()), Output::finish)
    }
}

/// Boxes with numbers and expressions.
fn drawings(frame: FrameReading) -> Vec<expllm_face::FaceDrawing> {
    let people = frame
        .people
        .into_iter()
        .filter_map(|(number, face)| Some((number, face.ok()?)));
    let one = |(number, face): (u32, expllm_core::FaceReading)| {
        let likely = face.probabilities.map(|p| (p.top(), p.get(p.top()).get()));
        let report = FaceReport {
            face,
            explanation: None,
            picture: None,
        };
        let title = match likely {
            Some((expression, share)) => format!("{number}: {expression} {:.0} %", 100.0 * share),
            None => number.to_string(),
        };
        // Bars would change the height of the picture from frame to frame.
        expllm_face::FaceDrawing {
            title,
            bars: Vec::new(),
            ..drawing(&report)
        }
    };
    people.map(one).collect()
}
