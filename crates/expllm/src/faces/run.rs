//! Running the pipeline over many photos, several at a time, in constant memory.

use std::collections::HashMap;
use std::path::PathBuf;

use expllm_au::AuNet;
use expllm_core::{ExpressionSet, FaceAnalysis, FaceBox, Photo, Pipeline, Similarity};
use expllm_cot::Composer;
use expllm_face::device::default_device;
use expllm_face::{
    FaceDrawing, LandmarkNet, PhotoReader, RustfaceDetector, SimilarityAligner, annotate, warp,
    write_png,
};
use image::codecs::jpeg::JpegEncoder;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::{FaceReport, Found, PhotoReport};
use crate::CliError;

/// Photos read and not yet written at a time, per thread.
const AHEAD: usize = 8;

/// Side of a face's picture in pixels.
const PICTURE: u32 = 320;

/// The stages with the weights that are part of the program.
pub type Stages = Pipeline<RustfaceDetector, LandmarkNet, SimilarityAligner, AuNet, Composer>;

/// What to do with every photo.
pub struct Job {
    stages: Stages,
    /// Whether each photo is the crop of one face.
    pub cropped: bool,
    /// Where annotated photos go.
    pub annotate: Option<PathBuf>,
    /// Whether a picture of each face is wanted.
    pub pictures: bool,
}

impl Job {
    /// A job with the default stages.
    pub fn new(cropped: bool, set: ExpressionSet, seed: u64) -> Result<Self, CliError> {
        let device = default_device();
        let stages = Pipeline {
            detector: RustfaceDetector::new().map_err(CliError::library)?,
            landmarks: LandmarkNet::pretrained(&device).map_err(CliError::library)?,
            aligner: SimilarityAligner,
            units: AuNet::pretrained(&device).map_err(CliError::library)?,
            writer: Composer,
            set,
            seed,
        };
        Ok(Self {
            stages,
            cropped,
            annotate: None,
            pictures: false,
        })
    }

    fn picture(&self, photo: &Photo, analysis: &FaceAnalysis) -> Option<Vec<u8>> {
        let margin = if self.cropped { 1.0 } else { 1.4 };
        self.pictures
            .then(|| picture(photo, analysis, margin))
            .flatten()
    }

    fn report(&self, found: &Found, annotated: Option<&str>) -> PhotoReport {
        let outcome = match &found.error {
            Some(error) => Err(format!("{}: {error}", found.path.display())),
            None => self.faces(found, annotated),
        };
        let (faces, error) = match outcome {
            Ok((faces, error)) => (faces, error),
            Err(error) => (Vec::new(), Some(error)),
        };
        PhotoReport {
            file: found.path.display().to_string(),
            faces,
            error,
        }
    }

    /// The faces of a file; a failure to write the annotated photo keeps them.
    fn faces(
        &self,
        found: &Found,
        annotated: Option<&str>,
    ) -> Result<(Vec<FaceReport>, Option<String>), String> {
        let photo = PhotoReader::default()
            .read(&found.path)
            .map_err(|error| error.to_string())?;
        let analyses = if self.cropped {
            let whole = FaceBox::whole(photo.width(), photo.height());
            self.stages.analyze_boxes(&photo, &[whole])
        } else {
            self.stages.analyze(&photo)
        }
        .map_err(|error| format!("{}: {error}", found.path.display()))?;
        let written = self.annotate.as_ref().zip(annotated).map(|(folder, name)| {
            let drawings: Vec<_> = analyses.iter().map(drawing).collect();
            write_png(&annotate(&photo, &drawings), folder.join(name))
        });
        let error = written.and_then(Result::err).map(|e| e.to_string());
        let faces = analyses.into_iter().map(|analysis| FaceReport {
            picture: self.picture(&photo, &analysis),
            analysis,
        });
        Ok((faces.collect(), error))
    }
}

/// Hands a report on each photo to `write`, in the order of `found`.
///
/// Several photos are worked on at a time and only a few reports are held. A progress bar runs on
/// the error output when that is a terminal and there is more than one photo. Says whether any
/// report carries an error.
pub fn for_each_report(
    job: &Job,
    found: &[Found],
    mut write: impl FnMut(&PhotoReport) -> Result<(), CliError>,
) -> Result<bool, CliError> {
    let names = annotated_names(found);
    let bar = progress(found.len());
    let mut with_errors = false;
    let chunk = AHEAD * rayon::current_num_threads();
    for (found, names) in found.chunks(chunk).zip(names.chunks(chunk)) {
        let reports: Vec<_> = found
            .par_iter()
            .zip(names)
            .map(|(found, name)| {
                let report = job.report(found, Some(name.as_str()));
                bar.inc(1);
                report
            })
            .collect();
        for report in &reports {
            with_errors |= report.error.is_some();
            write(report)?;
        }
    }
    bar.finish_and_clear();
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

/// Title and bars of a face: its active units, the strongest eight.
fn drawing(analysis: &FaceAnalysis) -> FaceDrawing {
    let reading = &analysis.reading;
    let share = reading.probabilities.get(analysis.expression).get();
    let active = reading.action_units.active();
    FaceDrawing {
        face_box: analysis.face_box,
        landmarks: Some(analysis.landmarks.clone()),
        title: format!("{} {:.0} %", analysis.expression, 100.0 * share),
        bars: active
            .into_iter()
            .take(8)
            .map(|(unit, value)| (unit.name().to_owned(), value.get()))
            .collect(),
    }
}

/// A JPEG of the face with its landmarks; `margin` is the picture's side in box sides.
fn picture(photo: &Photo, analysis: &FaceAnalysis, margin: f32) -> Option<Vec<u8>> {
    let b = &analysis.face_box;
    let extent = margin * b.width.max(b.height).max(1.0);
    let center = b.center();
    let to_photo = Similarity {
        a: extent / PICTURE as f32,
        b: 0.0,
        tx: center.x - extent / 2.0,
        ty: center.y - extent / 2.0,
    };
    let to_crop = to_photo.inverse()?;
    let corner = to_crop.apply(expllm_core::Point::new(b.x, b.y));
    let scale = to_crop.scale();
    let inside = FaceDrawing {
        face_box: FaceBox {
            x: corner.x,
            y: corner.y,
            width: b.width * scale,
            height: b.height * scale,
            score: b.score,
        },
        landmarks: Some(analysis.landmarks.transformed(&to_crop)),
        bars: Vec::new(),
        ..drawing(analysis)
    };
    let drawn = annotate(&warp(photo, &to_photo, PICTURE), &[inside]);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 82)
        .encode(
            drawn.pixels(),
            drawn.width(),
            drawn.height(),
            image::ExtendedColorType::Rgb8,
        )
        .ok()?;
    Some(bytes)
}
