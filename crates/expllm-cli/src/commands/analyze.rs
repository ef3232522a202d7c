//! `expllm analyze`: action units, expression and chain of thought of every face.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::faces::{
    Failures, Found, Job, JsonRows, Output, find_photos, for_each_report, for_each_step,
};
use crate::outputs::Kind;
use crate::shard::Shard;
use crate::{CliError, Outcome};

mod columns;
mod page;
pub(super) mod stage;
pub(super) mod text;

/// Arguments of `expllm analyze`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Photos and folders of photos.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write to this file instead of the standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write photos with boxes, landmarks and action units drawn on them to this folder.
    #[arg(long, value_name = "DIR")]
    annotate: Option<PathBuf>,
    /// Treat each image as a crop of a single face; skip face detection.
    #[arg(long)]
    cropped: bool,
    /// Print the text as it is being written (text output only). In a terminal this is always on
    /// for a single photo.
    #[arg(long)]
    stream: bool,
    /// Read only the I-th of N parts of the photos, counted from 0: for many machines, whose tables
    /// `expllm merge` joins.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    stage: stage::StageArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text to read.
    Text,
    /// One array with an object per face; a photo without faces gives one whose `face` is null.
    Json,
    /// The same objects, one a line.
    Jsonl,
    /// The columns of `au` with expression, chain and its agreement; the file is whole once the run
    /// has ended.
    Parquet,
    /// One self-contained page with a picture of every face.
    Html,
}

impl Format {
    const fn kind(self) -> Kind {
        match self {
            Self::Text => Kind::Text,
            Self::Json | Self::Jsonl => Kind::Json,
            Self::Parquet => Kind::Parquet,
            Self::Html => Kind::Html,
        }
    }
}

impl Args {
    /// Whether somebody looks on while the output is written.
    fn in_terminal(&self) -> bool {
        self.out.is_none() && std::io::stdout().is_terminal()
    }
}

/// Analyses the photos.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    if args.stream && args.format != Format::Text {
        let reason = "--stream shows text while it is written; leave --format out";
        return Err(CliError::Usage(reason.to_owned()));
    }
    let found = find_photos(&args.paths);
    let mut job = Job::new(args.cropped, Some(args.stage.load()?))?;
    job.pictures = args.format == Format::Html;
    job.shard = args.shard.unwrap_or_default();
    let out = args.out.as_deref();
    let failures = if args.format == Format::Parquet {
        let table = columns::begin(out, &found)?;
        annotate(args, &mut job, &found)?;
        columns::write(table, (&job, &found))?
    } else {
        let mut output = Output::open(out, args.format.kind(), &found)?;
        annotate(args, &mut job, &found)?;
        let failures = write(args, (&job, &found), &mut output)?;
        output.finish()?;
        failures
    };
    Ok(failures.outcome(out))
}

fn annotate(args: &Args, job: &mut Job, found: &[Found]) -> Result<(), CliError> {
    let folder = args.annotate.as_ref();
    folder.map_or(Ok(()), |folder| job.annotate_in(folder, found))
}

/// Writes the reports in the format that was asked for; returns the photos with an error.
fn write(
    args: &Args,
    (job, found): (&Job, &[Found]),
    output: &mut Output,
) -> Result<Failures, CliError> {
    match args.format {
        Format::Text if args.stream || (found.len() == 1 && args.in_terminal()) => {
            let mut writer = text::StreamWriter::new(output);
            for_each_step(job, found, &mut |step| writer.step(&step))
        }
        Format::Text => for_each_report(job, found, |report| output.text(&text::photo(report))),
        Format::Html => {
            let page = page::Page::new()?;
            output.text(&page.head()?)?;
            let ended = for_each_report(job, found, |report| output.text(&page.photo(report)?))?;
            output.text(page.foot())?;
            Ok(ended)
        }
        Format::Json | Format::Jsonl | Format::Parquet => {
            let mut rows = JsonRows::begin(args.format == Format::Json, output)?;
            let ended = for_each_report(job, found, |report| {
                let texts = report.json_rows(true).map_err(CliError::library)?;
                texts.iter().try_for_each(|row| rows.row(row, output))
            })?;
            rows.end(output)?;
            Ok(ended)
        }
    }
}
