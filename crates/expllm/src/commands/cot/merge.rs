//! `expllm cot merge`.

use std::iter::Peekable;
use std::path::PathBuf;

use expllm_cot::{BuiltRecord, CotError, DatasetFormat, Status, write_dataset, write_list};

use super::{Format, beside, built, cli_error, read};
use crate::{CliError, Outcome};

/// Arguments of `expllm cot merge`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Outputs of `cot build`, one per shard, or any data set to turn into another format.
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// The file to write; .json, .jsonl or .parquet.
    #[arg(long)]
    out: PathBuf,
    /// Kind of file, when the ending does not say it (.json is official).
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Also write NAME_label.json and the list file NAME.txt for the official trainer, with this
    /// image root.
    #[arg(long, value_name = "IMAGE_ROOT")]
    list: Option<PathBuf>,
    /// Share of label-only records in the list file.
    #[arg(long, default_value_t = 0.75)]
    label_ratio: f64,
}

/// Runs the command.
#[allow(clippy::print_stdout)] // The program speaks to its user here.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let format = args.format.map_or_else(|| Format::of(&args.out), Ok)?;
    if args.inputs.contains(&args.out) {
        return Err(CliError::Usage("--out is one of the inputs".into()));
    }
    let mut left_out = 0u64;
    let written = write(args, &args.out, format.into(), &mut left_out)?;
    println!("{written} records in {}", args.out.display());
    if let Some(root) = &args.list {
        let (labels, list) = (beside(&args.out, "_label.json"), beside(&args.out, ".txt"));
        write(args, &labels, DatasetFormat::LabelOnly, &mut 0)?;
        write_list(&list, &labels, &args.out, root, args.label_ratio).map_err(cli_error)?;
        println!("list file {}", list.display());
    }
    if left_out > 0 {
        println!("{left_out} records were rejected or set aside and stay in the inputs");
    }
    Ok(if left_out > 0 {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

fn write(
    args: &Args,
    path: &std::path::Path,
    format: DatasetFormat,
    left_out: &mut u64,
) -> Result<u64, CliError> {
    let mut shards = Vec::new();
    for input in &args.inputs {
        let name = input.clone();
        let rows = (0..)
            .zip(read(input)?)
            .map(move |(index, row)| built(index, row, &name));
        shards.push(rows.peekable());
    }
    let keeps_all = format == DatasetFormat::Jsonl;
    let mut merged = Merged { shards, last: None }.filter(|record| match record {
        Ok(record)
            if !keeps_all && matches!(record.status, Status::SetAside | Status::Rejected) =>
        {
            *left_out += 1;
            false
        }
        _ => true,
    });
    write_dataset(path, format, &mut merged).map_err(cli_error)
}

/// Joins shards by their index, each of which is in order.
struct Merged<I: Iterator> {
    shards: Vec<Peekable<I>>,
    last: Option<u64>,
}

impl<I: Iterator<Item = Result<BuiltRecord, CotError>>> Iterator for Merged<I> {
    type Item = Result<BuiltRecord, CotError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self
            .shards
            .iter_mut()
            .filter_map(|shard| {
                let index = shard.peek()?.as_ref().map_or(0, |record| record.index);
                Some((index, shard))
            })
            .min_by_key(|(index, _)| *index)
            .and_then(|(_, shard)| shard.next())?;
        if let Ok(record) = &next {
            if self.last == Some(record.index) && self.shards.len() > 1 {
                return Some(Err(CotError::Disagrees {
                    path: PathBuf::from(&record.file_name),
                    line: record.index,
                    reason: "is in two of the inputs".into(),
                }));
            }
            self.last = Some(record.index);
        }
        Some(next)
    }
}
