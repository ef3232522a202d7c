//! Where the readings of clips go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use expllm::reports::{FaceReport, drawing};
use expllm_face::annotate;
use expllm_video::series::PersonEvents;
use expllm_video::{ClipInfo, CopyOptions, FrameReading, VideoCopy};

use super::Args;
use super::judge::{Coded, Judge};
use super::report::Report;
use super::rows::Rows;
use super::story::{Part, Story, Told};
use crate::CliError;
use crate::faces::{Found, Output};
use crate::outputs::Kind;

/// Everything that was asked for beside the table, over all clips.
pub struct Sinks<'a> {
    args: &'a Args,
    rows: Rows,
    events: Option<Output>,
    report: Option<Report>,
    coded: Option<Coded>,
}

/// The same for one clip.
pub struct ClipSinks {
    story: Option<Story>,
    copy: Option<VideoCopy>,
    judge: Option<Judge>,
}

impl<'a> Sinks<'a> {
    /// Opens the other files.
    pub fn open(args: &'a Args, rows: Rows, clips: &[Found]) -> Result<Self, CliError> {
        let open = |path: &PathBuf| Output::open(Some(path), Kind::Json, clips);
        Ok(Self {
            args,
            rows,
            events: args.events.as_ref().map(open).transpose()?,
            report: args.report.as_ref().map(|_| Report::default()),
            coded: args.coded.as_deref().map(Coded::read).transpose()?,
        })
    }

    /// Begins a clip.
    pub fn begin(&self, path: &Path, info: &ClipInfo) -> Result<ClipSinks, CliError> {
        let truth = self.args.truth.as_deref();
        let judged = truth.is_some() || self.coded.is_some();
        let told = self.events.is_some() || self.report.is_some() || judged;
        let rate = info.base_rate.or(info.rate).unwrap_or(25.0);
        let judge = |dir| Judge::new(dir, info.rate.unwrap_or(rate));
        let copy = |out: &PathBuf| {
            let options = CopyOptions {
                sound: path.is_file().then(|| path.to_path_buf()),
                rate: rate / self.args.every as f64,
                start: info.start,
                from: self.args.from.max(info.start),
                to: self.args.to,
            };
            VideoCopy::new(out, options)
        };
        Ok(ClipSinks {
            story: told.then(|| Story::new(self.report.is_some())),
            copy: self.args.annotate.as_ref().map(copy),
            judge: truth.map(judge).transpose()?,
        })
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
        if let Some(judge) = &mut clip.judge {
            judge.frame(&frame);
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

    /// Shows what was written so far; gives the bytes of the table.
    pub fn flush(&mut self) -> Result<u64, CliError> {
        self.rows.flush()
    }

    /// Ends a clip; gives back why its copy could not be ended.
    pub fn end(&mut self, file: &str, clip: ClipSinks) -> Result<Option<String>, CliError> {
        self.flush()?;
        if let Some(story) = clip.story {
            let told = story.tell(file, self.args.explain)?;
            told.iter()
                .try_for_each(|(told, part)| self.told(told, part))?;
            let spotted = told
                .into_iter()
                .map(|(told, _)| (told.person, told.events))
                .collect();
            self.judge(file, &clip.judge, &spotted)?;
        }
        let failed = clip.copy.map(VideoCopy::finish).and_then(Result::err);
        Ok(failed.map(|error| error.to_string()))
    }

    /// Compares what was spotted with what is true.
    fn judge(
        &mut self,
        file: &str,
        judge: &Option<Judge>,
        spotted: &BTreeMap<u32, PersonEvents>,
    ) -> Result<(), CliError> {
        if let Some(judge) = judge {
            for line in judge.judge(spotted)? {
                say!("{line}");
            }
        }
        match &mut self.coded {
            Some(coded) => coded.clip(Path::new(file), spotted.values()),
            None => Ok(()),
        }
    }

    fn told(&mut self, told: &Told<'_>, part: &Part) -> Result<(), CliError> {
        if let Some(events) = &mut self.events {
            let row = serde_json::to_string(told).map_err(CliError::library)?;
            events.text(&(row + "\n"))?;
            events.flush()?;
        }
        if let Some(report) = &mut self.report {
            report.add(told, part);
        }
        Ok(())
    }

    /// Writes what is left.
    pub fn finish(self) -> Result<(), CliError> {
        self.rows.finish()?;
        for line in self.coded.iter().flat_map(Coded::lines) {
            say!("{line}");
        }
        if let Some(report) = self.report {
            let mut output = Output::open(self.args.report.as_deref(), Kind::Html, &[])?;
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
            Some((expression, share)) => {
                format!("person {number}: {expression} {:.0} %", 100.0 * share)
            }
            None => format!("person {number}"),
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
