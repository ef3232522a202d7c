//! Running the stages over many photos in constant memory.

use std::collections::HashMap;
use std::path::PathBuf;

use expllm_au::AuNet;
use expllm_core::{ExplanationEvent, ExpressionSet, FaceBox, Photo, Pipeline, ReadFace};
use expllm_face::device::default_device;
use expllm_face::{
    LandmarkNet, PhotoReader, RustfaceDetector, SimilarityAligner, annotate, write_png,
};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::picture::{drawing, picture};
use super::{Explaining, FaceReport, Found, PhotoReport};
use crate::CliError;

/// Photos read and not yet written at a time, per thread.
const AHEAD: usize = 8;

/// The stages up to the reading of action units, with the weights that are part of the program.
type Reader = Pipeline<RustfaceDetector, LandmarkNet, SimilarityAligner, AuNet, ()>;

/// What to do with every photo.
pub struct Job {
    reader: Reader,
    explaining: Explaining,
    /// Whether each photo is the crop of one face.
    pub cropped: bool,
    /// Where annotated photos go.
    pub annotate: Option<PathBuf>,
    /// Whether a picture of each face is wanted.
    pub pictures: bool,
}

/// Something that has just been found.
#[derive(Debug)]
pub enum Step<'a> {
    /// A photo is looked at: the file as it was named.
    Photo(&'a str),
    /// A face was read; its place in the photo.
    Face(usize, &'a ReadFace),
    /// The face is being explained.
    Event(&'a ExplanationEvent),
    /// The explanation has ended.
    Explained(&'a FaceReport),
    /// All that there is to say about the photo.
    Done(&'a PhotoReport),
}

/// Is told what is found while it is found; an error ends the run.
type Listener<'a> = &'a mut dyn FnMut(Step<'_>) -> Result<(), CliError>;

impl Job {
    /// A job with the default stages before the one that explains.
    pub fn new(cropped: bool, explaining: Explaining) -> Result<Self, CliError> {
        let device = default_device();
        let reader = Pipeline {
            detector: RustfaceDetector::new().map_err(CliError::library)?,
            landmarks: LandmarkNet::pretrained(&device).map_err(CliError::library)?,
            aligner: SimilarityAligner,
            units: AuNet::pretrained(&device).map_err(CliError::library)?,
            writer: (),
            set: ExpressionSet::Eight,
            seed: 0,
        };
        Ok(Self {
            reader,
            explaining,
            cropped,
            annotate: None,
            pictures: false,
        })
    }

    /// Reads and explains the faces of a file; everything that goes wrong stands in the report.
    fn report(
        &self,
        found: &Found,
        annotated: &str,
        listener: Listener<'_>,
    ) -> Result<PhotoReport, CliError> {
        let mut report = PhotoReport {
            file: found.path.display().to_string(),
            faces: Vec::new(),
            error: None,
        };
        listener(Step::Photo(&report.file))?;
        match self.read(found) {
            Ok((photo, faces)) => {
                for (index, face) in faces.into_iter().enumerate() {
                    listener(Step::Face(index, &face))?;
                    self.explain(&mut report, face, &mut *listener)?;
                }
                self.draw(&photo, &mut report, annotated);
            }
            Err(error) => report.fails(error),
        }
        listener(Step::Done(&report))?;
        Ok(report)
    }

    /// The photo and its faces.
    fn read(&self, found: &Found) -> Result<(Photo, Vec<ReadFace>), String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", found.path.display());
        if let Some(error) = &found.error {
            return Err(named(error));
        }
        let photo = PhotoReader::default()
            .read(&found.path)
            .map_err(|error| error.to_string())?;
        let faces = if self.cropped {
            let whole = FaceBox::whole(photo.width(), photo.height());
            self.reader.read_boxes(&photo, &[whole])
        } else {
            self.reader.read(&photo)
        };
        Ok((photo, faces.map_err(|error| named(&error))?))
    }

    /// Adds a face to the report; one that cannot be explained stays with what was read.
    fn explain(
        &self,
        report: &mut PhotoReport,
        face: ReadFace,
        listener: Listener<'_>,
    ) -> Result<(), CliError> {
        let index = report.faces.len();
        let mut collected = self.explaining.collect();
        let failed = match self.explaining.start(index, &face) {
            Err(error) => Some(error),
            Ok(events) => {
                let mut failed = None;
                for event in events {
                    match event {
                        Ok(event) => {
                            collected.take(&event);
                            listener(Step::Event(&event))?;
                        }
                        Err(error) => failed = Some(error),
                    }
                }
                failed
            }
        };
        if let Some(error) = failed {
            let file = &report.file;
            report.fails(format!("{file}: face {}: {error}", index + 1));
        }
        let explained = FaceReport {
            face,
            explanation: collected.finish(),
            picture: None,
        };
        listener(Step::Explained(&explained))?;
        report.faces.push(explained);
        Ok(())
    }

    /// Draws the faces; a failure to write the annotated photo keeps them.
    fn draw(&self, photo: &Photo, report: &mut PhotoReport, annotated: &str) {
        if self.pictures {
            let margin = if self.cropped { 1.0 } else { 1.4 };
            for face in &mut report.faces {
                face.picture = picture(photo, face, margin);
            }
        }
        if let Some(folder) = &self.annotate {
            let drawings: Vec<_> = report.faces.iter().map(drawing).collect();
            if let Err(error) = write_png(&annotate(photo, &drawings), folder.join(annotated)) {
                report.fails(error.to_string());
            }
        }
    }
}

/// Hands a report on each photo to `write`, in the order of `found`.
///
/// Several photos are worked on at a time where the explaining stage allows it, and only a few
/// reports are held. A progress bar runs on the error output when that is a terminal and there is
/// more than one photo. Says whether any report carries an error.
pub fn for_each_report(
    job: &Job,
    found: &[Found],
    mut write: impl FnMut(&PhotoReport) -> Result<(), CliError>,
) -> Result<bool, CliError> {
    let names = annotated_names(found);
    let bar = progress(found.len());
    let mut with_errors = false;
    let chunk = match job.explaining.in_parallel() {
        true => AHEAD * rayon::current_num_threads(),
        false => 1,
    };
    for (found, names) in found.chunks(chunk).zip(names.chunks(chunk)) {
        let report = |(found, name): (&Found, &String)| {
            let report = job.report(found, name, &mut |_| Ok(()));
            bar.inc(1);
            report
        };
        // A single photo stays on this thread, so that a model finds all others free.
        let reports: Vec<_> = match (found, names) {
            ([found], [name]) => vec![report((found, name))],
            _ => found.par_iter().zip(names).map(report).collect(),
        };
        for report in reports {
            let report = report?;
            with_errors |= report.error.is_some();
            write(&report)?;
        }
    }
    bar.finish_and_clear();
    Ok(with_errors)
}

/// Tells `listener` what is found while it is found, photo after photo. Says whether anything
/// went wrong.
pub fn for_each_step(job: &Job, found: &[Found], listener: Listener<'_>) -> Result<bool, CliError> {
    let mut with_errors = false;
    for (found, name) in found.iter().zip(annotated_names(found)) {
        with_errors |= job.report(found, &name, &mut *listener)?.error.is_some();
    }
    Ok(with_errors)
}

fn progress(count: usize) -> ProgressBar {
    if count < 2 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    // The template is fixed; the plain bar would do as well.
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} photos, {per_sec}, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// File names of annotated photos: the photo's own with `.png`, numbered where they repeat.
fn annotated_names(found: &[Found]) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let name = |found: &Found| {
        let stem = found.path.file_stem().map(|s| s.to_string_lossy());
        let stem = stem.unwrap_or_default().into_owned();
        let count = seen.entry(stem.clone()).or_default();
        *count += 1;
        match *count {
            1 => format!("{stem}.png"),
            n => format!("{stem}_{n}.png"),
        }
    };
    found.iter().map(name).collect()
}
