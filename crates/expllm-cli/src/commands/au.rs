//! `expllm au`: action units of every face as a table.

use std::path::PathBuf;

use clap::ValueEnum;
use expllm::reports::{FaceReport, PhotoReport};
use expllm_core::{ActionUnit, Expression, ExpressionProbabilities, FaceReading};

use crate::faces::{Failures, Found, Job, JsonRows, Output, find_photos, for_each_report};
use crate::outputs::Kind;
use crate::shard::Shard;
use crate::tables::{Cell, Column, ColumnKind, ParquetTable};
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
    /// Read only the I-th of N parts of the photos, counted from 0: for many machines, whose tables
    /// `expllm merge` joins.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One row per face; a photo without faces gives a row whose `face` is empty.
    Csv,
    /// One array with an object per face; a photo without faces gives one whose `face` is null.
    Json,
    /// The same objects, one a line.
    Jsonl,
    /// The columns of the CSV, typed; the file is whole once the run has ended.
    Parquet,
}

/// Columns before the action units.
const PLACE: [&str; 7] = ["file", "face", "x", "y", "width", "height", "score"];
/// Columns after the expressions.
const REST: [&str; 5] = ["pitch", "yaw", "roll", "confidence", "error"];

/// Writes the table.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let found = find_photos(&args.paths);
    let mut job = Job::new(args.cropped, None)?;
    job.shard = args.shard.unwrap_or_default();
    let failures = match args.format {
        Format::Csv => csv_table(args, &job, &found),
        Format::Json | Format::Jsonl => json_table(args, &job, &found),
        Format::Parquet => parquet_table(args, &job, &found),
    }?;
    Ok(failures.outcome(args.out.as_deref()))
}

fn csv_table(args: &Args, job: &Job, found: &[Found]) -> Result<Failures, CliError> {
    let mut output = Output::open(args.out.as_deref(), Kind::Csv(PLACE[0]), found)?;
    output.text(&csv_line(header())?)?;
    let failures = for_each_report(job, found, |report| {
        let mut rows = csv_rows(report).into_iter();
        rows.try_for_each(|row| output.text(&csv_line(row)?))
    })?;
    output.finish()?;
    Ok(failures)
}

fn json_table(args: &Args, job: &Job, found: &[Found]) -> Result<Failures, CliError> {
    let mut output = Output::open(args.out.as_deref(), Kind::Json, found)?;
    let mut rows = JsonRows::begin(args.format == Format::Json, &mut output)?;
    let failures = for_each_report(job, found, |report| {
        let texts = report.json_rows(false).map_err(CliError::library)?;
        texts.iter().try_for_each(|row| rows.row(row, &mut output))
    })?;
    rows.end(&mut output)?;
    output.finish()?;
    Ok(failures)
}

fn parquet_table(args: &Args, job: &Job, found: &[Found]) -> Result<Failures, CliError> {
    let columns = columns(std::iter::empty());
    let mut table = ParquetTable::open(args.out.as_deref(), columns, found)?;
    let failures = for_each_report(job, found, |report| {
        let mut rows = table_rows(report, |_| Vec::new()).into_iter();
        rows.try_for_each(|row| table.row(row))
    })?;
    table.finish()?;
    Ok(failures)
}

/// Names of the columns.
pub(super) fn header() -> Vec<String> {
    let units = ActionUnit::ALL.map(ActionUnit::snake_case);
    let expressions = Expression::ALL.map(Expression::snake_case);
    let columns = PLACE.iter().chain(&units).chain(&expressions).chain(&REST);
    columns.map(|name| (*name).to_owned()).collect()
}

/// A line of CSV with its end.
pub(super) fn csv_line<T: AsRef<[u8]>>(
    fields: impl IntoIterator<Item = T>,
) -> Result<String, CliError> {
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

/// The columns typed, with others before the last.
pub(super) fn columns(others: impl IntoIterator<Item = Column>) -> Vec<Column> {
    let numbers = number_names().into_iter();
    let mut all = vec![
        Column::always(PLACE[0], ColumnKind::Text),
        Column::maybe(PLACE[1], ColumnKind::Whole),
    ];
    all.extend(numbers.map(|name| Column::maybe(name, ColumnKind::Number)));
    all.extend(others);
    all.push(Column::maybe(REST[4], ColumnKind::Text));
    all
}

/// The rows of a photo for the typed columns: one for each face, or one that says that there is
/// none; `others` gives what stands in the columns before the last.
pub(super) fn table_rows(
    report: &PhotoReport,
    others: impl Fn(Option<&FaceReport>) -> Vec<Cell>,
) -> Vec<Vec<Cell>> {
    let row = |face: Option<(usize, &FaceReport)>| {
        let reading = face.map(|(_, report)| (&report.face, report.probabilities().copied()));
        let mut row = cells(&report.file, face.map(|(index, _)| index), reading);
        row.extend(others(face.map(|(_, report)| report)));
        row.push(Cell::text(report.error.as_deref()));
        row
    };
    match report.faces.is_empty() {
        true => vec![row(None)],
        false => report
            .faces
            .iter()
            .enumerate()
            .map(|f| row(Some(f)))
            .collect(),
    }
}

/// The cells from `file` to `confidence`, with these probabilities.
pub(super) fn cells(
    file: &str,
    face: Option<usize>,
    reading: Option<(&FaceReading, Option<ExpressionProbabilities>)>,
) -> Vec<Cell> {
    let empty = || vec![None; number_names().len()];
    let numbers = reading.map_or_else(empty, |(face, p)| values_with(face, p));
    let mut row = vec![Cell::Text(file.to_owned()), Cell::whole(face)];
    row.extend(numbers.into_iter().map(Cell::number));
    row
}

/// The numbers of a face in the order of their columns; `None` where nothing was measured.
fn values(face: &FaceReading) -> Vec<Option<f32>> {
    values_with(face, face.probabilities)
}

/// The same with other probabilities.
fn values_with(
    face: &FaceReading,
    probabilities: Option<ExpressionProbabilities>,
) -> Vec<Option<f32>> {
    let b = &face.face_box;
    let place = [b.x, b.y, b.width, b.height, b.score].map(Some);
    let units = ActionUnit::ALL.map(|unit| face.action_units.get(unit).map(|i| i.get()));
    let expressions = Expression::ALL.map(|e| Some(probabilities?.get(e).get()));
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
