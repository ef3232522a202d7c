//! Running the stages over many photos in constant memory.

use std::io::Write;
use std::path::{Path, PathBuf};

use expllm::reports::{FaceReport, PhotoReport, drawing, picture};
use expllm_au::FaceReader;
use expllm_core::{
    ExplainQuestion, ExplainRequest, Explainer, ExplanationEvent, ExplanationParts, ExpressionSet,
    FaceOutcome, FaceReading, Photo, StageError,
};
use expllm_face::{PhotoReader, annotate, write_png};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::Found;
use crate::outputs::{FreeNames, Inputs, Kind};
use crate::shard::Shard;
use crate::{CliError, Outcome};

/// Photos read and not yet written at a time, per thread.
const AHEAD: usize = 8;

/// Seeds that lie between two photos: more faces of one photo share those of the next.
const FACES: usize = 64;

/// Who explains faces, and what is asked.
pub struct Explaining {
    /// Who explains.
    pub explainer: Box<dyn Explainer>,
    /// What is asked, in which order.
    pub question: ExplainQuestion,
    /// The expressions in play.
    pub set: ExpressionSet,
    /// Varies the wording.
    pub seed: u64,
}

/// What to do with every photo.
pub struct Job {
    reader: FaceReader,
    explaining: Option<Explaining>,
    /// Whether each photo is the crop of one face.
    pub cropped: bool,
    /// Where annotated photos go.
    annotate: Option<PathBuf>,
    /// Whether a picture of each face is wanted.
    pub pictures: bool,
    /// The part of the photos that is read.
    pub shard: Shard,
}

/// A file to read, its place among the files, and the name of its annotated photo.
struct Entry<'a> {
    number: usize,
    found: &'a Found,
    annotated: String,
}

/// A photo that was read, and its place among the files.
#[derive(Clone, Copy)]
struct Numbered<'a> {
    number: usize,
    photo: &'a Photo,
}

/// Something that has just been found.
#[derive(Debug)]
pub enum Step<'a> {
    /// A photo is looked at: the file as it was named.
    Photo(&'a str),
    /// A face was read; its place in the photo.
    Face(usize, &'a FaceReading),
    /// The face is being explained.
    Event(&'a ExplanationEvent),
    /// The explanation has ended.
    Explained(&'a FaceReport),
    /// All that there is to say about the photo.
    Done(&'a PhotoReport),
}

/// Hears of every step as it happens; an error ends the run.
type Listener<'a> = &'a mut dyn FnMut(Step<'_>) -> Result<(), CliError>;

impl Job {
    /// A job that reads faces and explains them, or leaves them unexplained.
    pub fn new(cropped: bool, explaining: Option<Explaining>) -> Result<Self, CliError> {
        Ok(Self {
            reader: FaceReader::pretrained().map_err(CliError::library)?,
            explaining,
            cropped,
            annotate: None,
            pictures: false,
            shard: Shard::default(),
        })
    }

    /// Makes the folder for annotated photos, once no drawing would take the place of a photo.
    pub fn annotate_in(&mut self, folder: &Path, found: &[Found]) -> Result<(), CliError> {
        std::fs::create_dir_all(folder).map_err(|e| CliError::file(folder, e))?;
        let inputs = Inputs::new(found.iter().map(|found| &found.path));
        for name in annotated_names(found) {
            inputs.check_output(&folder.join(name), Kind::Drawing)?;
        }
        self.annotate = Some(folder.to_path_buf());
        Ok(())
    }

    /// Whether several photos may be worked on at a time.
    fn in_parallel(&self) -> bool {
        let explaining = self.explaining.as_ref();
        explaining.is_none_or(|explaining| explaining.explainer.in_parallel())
    }

    /// Reads and explains the faces of a file; everything that goes wrong stands in the report.
    fn report(&self, entry: &Entry<'_>, listener: Listener<'_>) -> Result<PhotoReport, CliError> {
        let Entry { number, found, .. } = *entry;
        let mut report = PhotoReport {
            file: found.path.display().to_string(),
            faces: Vec::new(),
            error: None,
        };
        listener(Step::Photo(&report.file))?;
        match self.read(found) {
            Ok((photo, faces)) => {
                let photo = &photo;
                self.explain_all(&mut report, Numbered { number, photo }, faces, listener)?;
                self.draw(photo, &mut report, &entry.annotated);
            }
            Err(error) => report.fails(error),
        }
        listener(Step::Done(&report))?;
        Ok(report)
    }

    /// The photo and its faces.
    fn read(&self, found: &Found) -> Result<(Photo, Vec<FaceOutcome>), String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", found.path.display());
        if let Some(error) = &found.error {
            return Err(named(error));
        }
        let photo = PhotoReader::default()
            .read(&found.path)
            .map_err(|error| error.to_string())?;
        let faces = if self.cropped {
            vec![self.reader.read_crop(&photo)]
        } else {
            self.reader.read(&photo).map_err(|error| named(&error))?
        };
        Ok((photo, faces))
    }

    /// Adds the faces to the report; one that could not be read leaves the reason.
    fn explain_all(
        &self,
        report: &mut PhotoReport,
        photo: Numbered<'_>,
        faces: Vec<FaceOutcome>,
        listener: Listener<'_>,
    ) -> Result<(), CliError> {
        for (index, face) in faces.into_iter().enumerate() {
            match face {
                Ok(face) => {
                    listener(Step::Face(index, &face))?;
                    self.explain(report, photo, face, &mut *listener)?;
                }
                Err(unread) => {
                    let file = &report.file;
                    report.fails(format!("{file}: face {}: {unread}", index + 1));
                }
            }
        }
        Ok(())
    }

    /// Adds a face to the report; one that cannot be explained stays with what was read.
    fn explain(
        &self,
        report: &mut PhotoReport,
        photo: Numbered<'_>,
        face: FaceReading,
        listener: Listener<'_>,
    ) -> Result<(), CliError> {
        let index = report.faces.len();
        let mut explanation = None;
        if let Some(explaining) = &self.explaining {
            let mut parts = ExplanationParts::new(explaining.question);
            let events = self.request(explaining, photo, &face, index);
            let failed = match &events {
                Err(error) => Some(error.to_string()),
                Ok(request) => hear(explaining, request, &mut parts, &mut *listener)?,
            };
            if let Some(error) = failed {
                let file = &report.file;
                report.fails(format!("{file}: face {}: {error}", index + 1));
            }
            let whole = parts.finish();
            explanation = whole.expression.is_some().then_some(whole);
        }
        let explained = FaceReport {
            face,
            explanation,
            picture: None,
        };
        listener(Step::Explained(&explained))?;
        report.faces.push(explained);
        Ok(())
    }

    /// What is asked about a face, with the pixels at the size that the explainer looks at.
    fn request(
        &self,
        explaining: &Explaining,
        Numbered { number, photo }: Numbered<'_>,
        face: &FaceReading,
        index: usize,
    ) -> Result<ExplainRequest, StageError> {
        // Faces of different photos get different wordings.
        let turn = number * FACES + index;
        let seed = explaining.seed.wrapping_add(turn as u64);
        let Explaining { question, set, .. } = explaining;
        let request = ExplainRequest::of_reading(face, *question, *set).with_seed(seed);
        self.reader
            .with_pixels(request, (photo, face), explaining.explainer.crop_side())
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

/// Collects the events of an explanation and passes them on; says what ended it early.
fn hear(
    explaining: &Explaining,
    request: &ExplainRequest,
    parts: &mut ExplanationParts,
    listener: Listener<'_>,
) -> Result<Option<String>, CliError> {
    let events = match explaining.explainer.explain(request) {
        Ok(events) => events,
        Err(error) => return Ok(Some(error.to_string())),
    };
    for event in events {
        match event {
            Ok(event) => {
                parts.take(&event);
                listener(Step::Event(&event))?;
            }
            Err(error) => return Ok(Some(error.to_string())),
        }
    }
    Ok(None)
}

/// The photos with an error.
#[derive(Debug, Default)]
pub struct Failures {
    count: usize,
    first: String,
}

impl Failures {
    fn note(&mut self, report: &PhotoReport) {
        if let Some(error) = &report.error {
            if self.count == 0 {
                self.first.clone_from(error);
            }
            self.count += 1;
        }
    }

    /// How the command ended; whoever writes to a file is told on the error output what stands
    /// in it.
    pub fn outcome(&self, out: Option<&Path>) -> Outcome {
        if self.count == 0 {
            return Outcome::Complete;
        }
        if out.is_some() {
            let (count, first) = (self.count, &self.first);
            // A run does not fail because nobody reads its error output.
            let _ = writeln!(std::io::stderr(), "{count} photos with an error: {first}");
        }
        Outcome::WithErrors
    }
}

/// Hands a report on each photo of the job's part to `write`, in the order of `found`.
///
/// Several photos are worked on at a time where the explaining stage allows it, and only a few
/// reports are held. A progress bar runs on the error output when that is a terminal and there is
/// more than one photo. Returns the photos with an error.
pub fn for_each_report(
    job: &Job,
    found: &[Found],
    mut write: impl FnMut(&PhotoReport) -> Result<(), CliError>,
) -> Result<Failures, CliError> {
    let entries = entries(job, found);
    let bar = progress(entries.len());
    let mut failures = Failures::default();
    let chunk = match job.in_parallel() {
        true => AHEAD * rayon::current_num_threads(),
        false => 1,
    };
    for entries in entries.chunks(chunk) {
        let report = |entry: &Entry<'_>| {
            let report = job.report(entry, &mut |_| Ok(()));
            bar.inc(1);
            report
        };
        // A single photo stays on this thread, so that a model finds all others free.
        let reports: Vec<_> = match entries {
            [entry] => vec![report(entry)],
            _ => entries.par_iter().map(report).collect(),
        };
        for report in reports {
            let report = report?;
            failures.note(&report);
            write(&report)?;
        }
    }
    bar.finish_and_clear();
    Ok(failures)
}

/// Tells `listener` what is found while it is found, photo after photo. Returns the photos with an
/// error.
pub fn for_each_step(
    job: &Job,
    found: &[Found],
    listener: Listener<'_>,
) -> Result<Failures, CliError> {
    let mut failures = Failures::default();
    for entry in entries(job, found) {
        failures.note(&job.report(&entry, &mut *listener)?);
    }
    Ok(failures)
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

/// The photos of the job's part; what depends on the place of a photo is the same as in the whole.
fn entries<'a>(job: &Job, found: &'a [Found]) -> Vec<Entry<'a>> {
    let names = found.iter().zip(annotated_names(found)).enumerate();
    job.shard
        .of(names)
        .map(|(number, (found, annotated))| Entry {
            number,
            found,
            annotated,
        })
        .collect()
}

/// File names of annotated photos: the photo's own with `.png`, numbered where they repeat.
fn annotated_names(found: &[Found]) -> Vec<String> {
    let mut names = FreeNames::default();
    let mut name = |found: &Found| {
        let stem = found.path.file_stem().unwrap_or_default();
        names.name(&stem.to_string_lossy(), "png")
    };
    found.iter().map(&mut name).collect()
}
