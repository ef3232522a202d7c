//! `expllm analyze`: action units, expression and chain of thought of every face.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use expllm_core::{ExpressionSet, FaceAnalysis};

use crate::faces::{Job, JsonRows, Output, PhotoReport, find_photos, for_each_report};
use crate::{CliError, Outcome};

mod page;

/// Arguments of `expllm analyze`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Photos and folders of photos.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write to this file instead of the standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write photos with boxes, landmarks and action units drawn on them to this folder.
    #[arg(long, value_name = "DIR")]
    annotate: Option<PathBuf>,
    /// Take each image as the crop of one face, as in data sets of crops.
    #[arg(long)]
    cropped: bool,
    /// Varies the wording of the chains.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text to read.
    Text,
    /// One array with an object per face; a photo without faces gives one whose `face` is null.
    Json,
    /// The same objects, one a line.
    Jsonl,
    /// One self-contained page with a picture of every face.
    Html,
}

/// Analyses the photos.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let found = find_photos(&args.paths);
    if let Some(folder) = &args.annotate {
        std::fs::create_dir_all(folder).map_err(|e| CliError::file(folder, e))?;
    }
    let mut job = Job::new(args.cropped, ExpressionSet::Eight, args.seed)?;
    job.annotate.clone_from(&args.annotate);
    job.pictures = args.format == Format::Html;
    let mut output = Output::open(args.out.as_deref())?;
    let with_errors = match args.format {
        Format::Text => for_each_report(&job, &found, |report| output.text(&text(report)))?,
        Format::Html => {
            let page = page::Page::new()?;
            output.text(&page.head()?)?;
            let ended = for_each_report(&job, &found, |report| output.text(&page.photo(report)?))?;
            output.text(page.foot())?;
            ended
        }
        Format::Json | Format::Jsonl => {
            let mut rows = JsonRows::begin(args.format == Format::Json, &mut output)?;
            let ended = for_each_report(&job, &found, |report| {
                let texts = report.json_rows(true).map_err(CliError::library)?;
                texts.iter().try_for_each(|row| rows.row(row, &mut output))
            })?;
            rows.end(&mut output)?;
            ended
        }
    };
    output.finish()?;
    Ok(if with_errors {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

/// A report as text to read.
fn text(report: &PhotoReport) -> String {
    let mut text = format!("{}\n", report.file);
    for (index, face) in report.faces.iter().enumerate() {
        text.push_str(&face_text(index, &face.analysis));
    }
    match &report.error {
        Some(error) => text.push_str(&format!("  error: {error}\n")),
        None if report.faces.is_empty() => text.push_str("  no face found\n"),
        None => {}
    }
    text.push('\n');
    text
}

fn face_text(index: usize, face: &FaceAnalysis) -> String {
    let (b, pose) = (&face.face_box, &face.reading.head_pose);
    let mut text = format!(
        "  face {}: {:.0} x {:.0} pixels at ({:.0}, {:.0}); \
         head pitch {:.0}, yaw {:.0}, roll {:.0} degrees\n",
        index + 1,
        b.width,
        b.height,
        b.x,
        b.y,
        pose.pitch.0,
        pose.yaw.0,
        pose.roll.0,
    );
    let ranked = face.reading.probabilities.ranked();
    let likely: Vec<String> = ranked[..3]
        .iter()
        .map(|(expression, p)| format!("{expression} {:.0} %", 100.0 * p.get()))
        .collect();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  expression: {}", likely.join(", "));
    let active = face.reading.action_units.active();
    if active.is_empty() {
        text.push_str("  action units: none above 0.2\n");
    } else {
        text.push_str("  action units:\n");
    }
    for (unit, intensity) in active {
        let value = intensity.get();
        let bar = "#".repeat((value * 30.0).round() as usize);
        let _ = writeln!(text, "    {:<26}{value:.2} {bar}", unit.name());
    }
    for line in face.chain.to_string().lines() {
        let indent = if line.is_empty() { "" } else { "  " };
        let _ = writeln!(text, "{indent}{line}");
    }
    text
}
