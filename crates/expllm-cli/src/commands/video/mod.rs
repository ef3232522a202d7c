//! `expllm video`: a row per frame and person of videos.

mod bookmark;
mod judge;
mod progress;
mod report;
mod rows;
mod run;
mod sinks;
mod stop;
mod story;
mod summary;

use std::path::PathBuf;

use clap::ValueEnum;

pub use run::run;

use crate::outputs::Kind;
use crate::shard::Shard;

/// Arguments of `expllm video`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("told").args(["events", "report"]).multiple(true))]
pub struct Args {
    /// Videos, animated GIF, WebP or PNG files, folders of frames, folders of videos, and cameras
    /// as `camera:0`.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Write to this file instead of the standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write what each person does to this file, one JSON object a line: blinks, onset, apex and
    /// offset of units, micro-expressions, stretches of one expression.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write everybody over time to this HTML file, which needs nothing else.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Explain each stretch of one expression in --events and --report.
    #[arg(long, requires = "told")]
    explain: bool,
    /// Write a copy of the clip with boxes and expressions to this file, with its sound.
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,
    /// Compare the clip with the folder that `expllm synth --clip` wrote, and print how well people
    /// and movements were found.
    #[arg(long, value_name = "DIR", requires = "out")]
    truth: Option<PathBuf>,
    /// Compare micro-expressions with coded intervals: a CSV file with the columns file, onset and
    /// offset, in seconds. Prints F1 after the protocol of MEGC, over all clips.
    #[arg(long, value_name = "FILE", requires = "out")]
    coded: Option<PathBuf>,
    /// Read one of so many frames.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Begin at this time stamp, in seconds.
    #[arg(long, default_value_t = 0.0, value_name = "T")]
    from: f64,
    /// End after this time stamp, in seconds.
    #[arg(long, value_name = "T")]
    to: Option<f64>,
    /// Frames per second of a folder of frames.
    #[arg(long, default_value_t = 25.0, value_name = "RATE")]
    fps: f64,
    /// Go on where an earlier run with the same settings was ended; a complete table is left as it
    /// is.
    #[arg(long, requires = "out", conflicts_with_all = ["events", "report", "annotate", "truth", "coded"])]
    resume: bool,
    /// Read only the I-th of N parts of the clips, counted from 0: for many machines, whose tables
    /// `expllm merge` joins.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma separated, with a line of names.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Columns; the file is whole once the run has ended.
    Parquet,
}

impl Format {
    const fn kind(self) -> Kind {
        match self {
            Self::Csv => Kind::Csv(rows::TIME[0]),
            Self::Jsonl => Kind::Json,
            Self::Parquet => Kind::Parquet,
        }
    }
}
