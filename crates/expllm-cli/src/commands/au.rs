//! `expllm au`: action units of every face as a table.

use std::path::PathBuf;

use clap::ValueEnum;
use expllm::reports::PhotoReport;
use expllm_core::{ActionUnit, Expression, FaceReading};

use crate::faces::{Job, JsonRows, Output, find_photos, for_each_report};
use crate::outputs::Kind;
use crate::{CliError, Outcome};

/// Arguments of `expllm au`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Photos and folders of photos.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Write to this file instead of the standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Treat each image as a crop of a single face; skip face detection.
    #[arg(long)]
    cropped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One row per face; a photo without faces gives a row whose `face` is empty.
    Csv,
    /// One array with an object per face; a photo without faces gives one whose `face` is null.
    Json,
}

/// Columns before the action units.
const PLACE: [&str; 7] = ["file", "face", "x", "y", "width", "height", "score"];
/// Columns after the expressions.
const REST: [&str; 5] = ["pitch", "yaw", "roll", "confidence", "error"];

/// Writes the table.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let found = find_photos(&args.paths);
    let job = Job::new(args.cropped, None)?;
    let kind = match args.format {
        Format::Csv => Kind::Csv(PLACE[0]),
        Format::Json => Kind::Json,
    };
    let mut output = Output::open(args.out.as_deref(), kind, &found)?;
    let failures = match args.format {
        Format::Csv => {
            output.text(&csv_line(&header())?)?;
            for_each_report(&job, &found, |report| {
                let rows = csv_rows(report);
                rows.iter().try_for_each(|row| output.text(&csv_line(row)?))
            })?
        }
        Format::Json => {
            let mut rows = JsonRows::begin(true, &mut output)?;
            let failures = for_each_report(&job, &found, |report| {
                let texts = report.json_rows(false).map_err(CliError::library)?;
                texts.iter().try_for_each(|row| rows.row(row, &mut output))
            })?;
            rows.end(&mut output)?;
            failures
        }
    };
    output.finish()?;
    Ok(failures.outcome(args.out.as_deref()))
}

/// Names of the columns.
pub(super) fn header() -> Vec<String> {
    let units = ActionUnit::ALL.map(ActionUnit::snake_case);
    let expressions = Expression::ALL.map(Expression::snake_case);
    let columns = PLACE.iter().chain(&units).chain(&expressions).chain(&REST);
    columns.map(|name| (*name).to_owned()).collect()
}

/// A line of CSV with its end.
pub(super) fn csv_line(fields: &[String]) -> Result<String, CliError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields).map_err(CliError::library)?;
    let bytes = writer
        .into_inner()
        .map_err(|e| CliError::library(e.to_string()))?;
    String::from_utf8(bytes).map_err(CliError::library)
}

fn csv_rows(report: &PhotoReport) -> Vec<Vec<String>> {
    let error = report.error.clone().unwrap_or_default();
    if report.faces.is_empty() {
        let mut row = vec![String::new(); header().len()];
        row[0].clone_from(&report.file);
        if let Some(last) = row.last_mut() {
            *last = error;
        }
        return vec![row];
    }
    let faces = report.faces.iter().enumerate();
    faces
        .map(|(index, face)| {
            let mut row = vec![report.file.clone(), index.to_string()];
            row.extend(numbers(&face.face));
            row.push(error.clone());
            row
        })
        .collect()
}

/// The columns of numbers, from `x` to `confidence`.
pub(super) fn number_names() -> Vec<String> {
    let all = header();
    all[2..all.len() - 1].to_vec()
}

/// The numbers of a face in the order of their columns; `None` where nothing was measured.
pub(super) fn values(face: &FaceReading) -> Vec<Option<f32>> {
    let b = &face.face_box;
    let place = [b.x, b.y, b.width, b.height, b.score].map(Some);
    let units = ActionUnit::ALL.map(|unit| face.action_units.get(unit).map(|i| i.get()));
    let expressions = Expression::ALL.map(|e| Some(face.probabilities?.get(e).get()));
    let pose = face.head_pose;
    let rest = [
        pose.map(|p| p.pitch.0),
        pose.map(|p| p.yaw.0),
        pose.map(|p| p.roll.0),
        Some(face.confidence.get()),
    ];
    place
        .into_iter()
        .chain(units)
        .chain(expressions)
        .chain(rest)
        .collect()
}

/// The same as text: pixels and degrees with two digits, intensities and probabilities with four.
pub(super) fn numbers(face: &FaceReading) -> Vec<String> {
    let values = values(face);
    let fine = 5..values.len() - 4;
    let text = |(column, value): (usize, Option<f32>)| match value {
        Some(value) if fine.contains(&column) => format!("{value:.4}"),
        Some(value) => format!("{value:.2}"),
        None => String::new(),
    };
    values.into_iter().enumerate().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_without_faces_keeps_its_row() {
        let report = PhotoReport {
            file: "a,b.png".into(),
            faces: Vec::new(),
            error: Some("broken".into()),
        };
        let rows = csv_rows(&report);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].len(), 7 + 35 + 8 + 5);
        let line = csv_line(&rows[0]).unwrap();
        assert!(line.starts_with("\"a,b.png\",,") && line.ends_with(",broken\n"));
    }
}
