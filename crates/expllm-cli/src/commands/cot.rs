//! `expllm cot`: chain-of-thought data sets from labelled faces.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use expllm_cot::{CotError, DatasetFormat, Row};

use crate::{CliError, Outcome};

mod blind;
mod build;
mod check;
mod compare;
mod dry_run;
mod image_reader;
mod merge;
mod options;
mod progress;
mod source;

/// Arguments of `expllm cot`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: CotCommand,
}

#[derive(Debug, Subcommand)]
enum CotCommand {
    /// Write a chain of thought for every labelled face, check and repair it.
    Build(Box<build::Args>),
    /// Grade a data set in any format.
    Check(check::Args),
    /// Put two data sets over the same faces side by side, or have them read blind.
    Compare(compare::Args),
    /// Join the outputs of shards, or turn one into another format.
    Merge(merge::Args),
}

/// Runs the command.
pub fn run(args: Args) -> Result<Outcome, CliError> {
    match args.command {
        CotCommand::Build(args) => build::run(&args),
        CotCommand::Check(args) => check::run(&args),
        CotCommand::Compare(args) => compare::run(&args),
        CotCommand::Merge(args) => merge::run(&args),
    }
}

/// The error of the engine as one of the program: wrong settings are wrong usage.
fn cli_error(error: CotError) -> CliError {
    match error {
        CotError::UnknownFormat { .. }
        | CotError::UnknownVariable { .. }
        | CotError::Template { .. }
        | CotError::NotAFile { .. }
        | CotError::NotForLists { .. }
        | CotError::OtherRun { .. } => CliError::Usage(error.to_string()),
        CotError::File { path, source } => CliError::file(path, source),
        other => CliError::library(other),
    }
}

/// Writes text to the standard output; a reader that has gone (`| head`) is no error.
fn print(text: &str) -> Result<(), CliError> {
    use std::io::{ErrorKind, Write};
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::file("standard output", error))
        }
        _ => Ok(()),
    }
}

/// Writes a line to the error output; a run does not end because nobody reads it (unlike
/// `eprintln!`, which panics).
fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Kinds of file on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The ExpLLM authors' array of records.
    Official,
    /// The same without descriptions.
    LabelOnly,
    /// LLaVA and ShareGPT conversations.
    Llava,
    /// Lines with full provenance.
    Jsonl,
    /// Columns.
    Parquet,
}

impl Format {
    /// From the ending of a file's name; `.json` is the official form.
    fn of(path: &Path) -> Result<Self, CliError> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("json") => Ok(Self::Official),
            Some("jsonl") => Ok(Self::Jsonl),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(cli_error(CotError::UnknownFormat {
                path: path.to_owned(),
            })),
        }
    }
}

impl From<Format> for DatasetFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Official => Self::Official,
            Format::LabelOnly => Self::LabelOnly,
            Format::Llava => Self::Llava,
            Format::Jsonl => Self::Jsonl,
            Format::Parquet => Self::Parquet,
        }
    }
}

fn read(path: &Path) -> Result<Box<dyn Iterator<Item = Row> + Send>, CliError> {
    expllm_cot::read_rows(path).map_err(cli_error)
}

/// A path beside another, with a suffix before its extension.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}{suffix}"))
}
