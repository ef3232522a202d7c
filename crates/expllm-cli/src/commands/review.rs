//! `expllm review`: explanations held against the photographs by people.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use expllm::evaluation::{
    Review, ReviewFigures, ReviewSheet, read_reviews, review_form, review_sheets,
};
use expllm::reports::{FaceReport, PhotoReport};
use expllm_core::{Photo, Similarity};
use expllm_face::{PhotoReader, warp, write_png};
use expllm_metrics::Estimate;

use super::analyze::stage::StageArgs;
use crate::faces::{Job, find_photos, for_each_report};
use crate::{CliError, Outcome};

/// Side of a picture in pixels.
const SIDE: u32 = 320;

/// Side of what a picture shows, in sides of the face's box.
const MARGIN: f32 = 1.5;

/// Arguments of `expllm review`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write a picture and the explanation of the largest face of each photo, and a form to fill in.
    Write(WriteArgs),
    /// Print what the filled forms (form*.csv) of a folder say, with 95 % intervals over faces.
    Count {
        /// The folder that `write` made.
        dir: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct WriteArgs {
    /// Photos and folders of photos.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// A new folder for pictures, sheets.md and form.csv.
    #[arg(long)]
    out: PathBuf,
    /// Take each image as the crop of one face.
    #[arg(long)]
    cropped: bool,
    #[command(flatten)]
    stage: StageArgs,
}

/// Writes sheets or counts forms.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    match &args.what {
        What::Write(args) => write(args),
        What::Count { dir } => count(dir),
    }
}

fn write(args: &WriteArgs) -> Result<Outcome, CliError> {
    // Forms that somebody filled in are never written over.
    std::fs::create_dir(&args.out).map_err(|e| CliError::file(&args.out, e))?;
    let found = find_photos(&args.paths);
    let job = Job::new(args.cropped, Some(args.stage.load()?))?;
    let mut sheets = Vec::new();
    let failures = for_each_report(&job, &found, |report| {
        sheets.extend(sheet(report, sheets.len() + 1, &args.out)?);
        Ok(())
    })?;
    let put = |name: &str, text: String| {
        let path = args.out.join(name);
        std::fs::write(&path, text).map_err(|e| CliError::file(&path, e))
    };
    put("sheets.md", review_sheets(&sheets))?;
    put("form.csv", review_form(sheets.len()))?;
    let (faces, folder) = (sheets.len(), args.out.display());
    say!("{faces} faces in {folder}; each reader fills in a copy of form.csv, named form*.csv");
    Ok(failures.outcome(Some(&args.out)))
}

/// The picture and the text of the largest face, if there is one with a text.
fn sheet(
    report: &PhotoReport,
    number: usize,
    folder: &Path,
) -> Result<Option<ReviewSheet>, CliError> {
    let Some(face) = report.faces.first() else {
        return Ok(None);
    };
    let Some(said) = &face.explanation else {
        return Ok(None);
    };
    let photo = PhotoReader::default()
        .read(Path::new(&report.file))
        .map_err(CliError::library)?;
    let picture = format!("face_{number:03}.png");
    write_png(&cut(&photo, face), folder.join(&picture)).map_err(CliError::library)?;
    let text = said.text.clone();
    Ok(Some(ReviewSheet { picture, text }))
}

/// The face with what is around it.
fn cut(photo: &Photo, report: &FaceReport) -> Photo {
    let face = &report.face.face_box;
    let extent = MARGIN * face.width.max(face.height).max(1.0);
    let center = face.center();
    let to_photo = Similarity {
        a: extent / SIDE as f32,
        b: 0.0,
        tx: center.x - extent / 2.0,
        ty: center.y - extent / 2.0,
    };
    warp(photo, &to_photo, SIDE)
}

fn count(dir: &Path) -> Result<Outcome, CliError> {
    let entries = std::fs::read_dir(dir).map_err(|e| CliError::file(dir, e))?;
    let mut forms: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    forms.retain(|path| is_form(path));
    forms.sort();
    let read = |path: &PathBuf| -> Result<BTreeMap<usize, Review>, CliError> {
        let text = std::fs::read_to_string(path).map_err(|e| CliError::file(path, e))?;
        read_reviews(&path.display().to_string(), &text).map_err(CliError::library)
    };
    let forms: Result<Vec<_>, CliError> = forms.iter().map(read).collect();
    let mut forms = forms?;
    forms.retain(|form| !form.is_empty());
    let figures = ReviewFigures::of(&forms);
    if figures.readers == 0 {
        let reason = format!("{}: no form*.csv has an answer", dir.display());
        return Err(CliError::Usage(reason));
    }
    say!("{} faces, {} readers", figures.faces, figures.readers);
    say!("statements that are true\t{}", estimate(figures.correct));
    say!(
        "clear movements left out, a face\t{}",
        estimate(figures.left_out)
    );
    say!("points of 5\t{}", estimate(figures.points));
    if let Some(apart) = figures.points_apart {
        say!("points of two readers lie apart by\t{apart:.2}");
    }
    Ok(Outcome::Complete)
}

fn is_form(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("form") && name.ends_with(".csv")
}

fn estimate(estimate: Option<Estimate>) -> String {
    match estimate {
        Some(Estimate {
            value, low, high, ..
        }) => format!("{value:.3} [{low:.3}, {high:.3}]"),
        None => "not known".to_owned(),
    }
}
