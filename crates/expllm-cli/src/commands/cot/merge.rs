//! `expllm cot merge`.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use expllm_cot::{BuiltRecord, CotError, DatasetFormat, Row, Status, write_dataset, write_list};

use super::{Format, beside, cli_error, print, read, tell};
use crate::outputs::{Inputs, Kind};
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
    /// Format to write, if the file's ending does not say it (.json means official).
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Also write NAME_label.json and the list file NAME.txt for the official trainer, using this
    /// image root.
    #[arg(long, value_name = "IMAGE_ROOT")]
    list: Option<PathBuf>,
    /// Share of label-only records in the list file.
    #[arg(long, default_value_t = 0.75, value_parser = parse_share)]
    label_ratio: f64,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().map_err(|e| e.to_string())?;
    match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err("a share is from 0 to 1".to_owned()),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let format = args.format.map_or_else(|| Format::of(&args.out), Ok)?;
    let outputs = Outputs::of(args);
    outputs.check(&args.inputs, format)?;
    if args.list.is_some() && format != Format::Official {
        let reason = "--list needs the official format; let --out end in .json";
        return Err(CliError::Usage(reason.into()));
    }
    let mut left_out = LeftOut::default();
    let written = write(args, (&args.out, format.into()), &mut left_out)?;
    let mut said = format!("{written} records in {}\n", args.out.display());
    if let (Some(root), Some((labels, list))) = (&args.list, &outputs.list) {
        let again = &mut LeftOut::silent();
        write(args, (labels, DatasetFormat::LabelOnly), again)?;
        write_list(list, labels, &args.out, root, args.label_ratio).map_err(cli_error)?;
        said.push_str(&format!("list file {}\n", list.display()));
    }
    said.push_str(&left_out.text());
    // All files are written before anything is said, since the reader may have gone.
    print(&said)?;
    Ok(match left_out.count {
        0 => Outcome::Complete,
        _ => Outcome::WithErrors,
    })
}

/// The files that are written.
struct Outputs<'a> {
    out: &'a Path,
    /// The annotations of labels alone and the list file, where they are wanted.
    list: Option<(PathBuf, PathBuf)>,
}

impl<'a> Outputs<'a> {
    fn of(args: &'a Args) -> Self {
        let out = args.out.as_path();
        let list = || (beside(out, "_label.json"), beside(out, ".txt"));
        Self {
            out,
            list: args.list.is_some().then(list),
        }
    }

    /// Refuses to write over an input or a file of another kind.
    fn check(&self, inputs: &[PathBuf], format: Format) -> Result<(), CliError> {
        let inputs = Inputs::new(inputs);
        let kind = match format {
            Format::Parquet => Kind::Parquet,
            _ => Kind::Json,
        };
        inputs.check_output(self.out, kind)?;
        if let Some((labels, list)) = &self.list {
            inputs.check_output(labels, Kind::Json)?;
            inputs.check_output(list, Kind::Text)?;
        }
        Ok(())
    }
}

/// Records that have no place in the output.
#[derive(Debug, Default)]
struct LeftOut {
    count: u64,
    silent: bool,
}

impl LeftOut {
    /// More than this is not read by anybody.
    const SHOWN: u64 = 20;

    fn silent() -> Self {
        Self {
            count: 0,
            silent: true,
        }
    }

    fn add(&mut self, path: &Path, record: &BuiltRecord) {
        self.count += 1;
        if self.count <= Self::SHOWN && !self.silent {
            let status = record.status.name().replace('_', " ");
            let reason = record.error.as_deref().unwrap_or("the checks failed");
            let (path, name) = (path.display(), &record.file_name);
            tell(&format!("{path}: {name:?} was {status}: {reason}"));
        }
    }

    fn text(&self) -> String {
        match self.count {
            0 => String::new(),
            count => format!("{count} records have no usable text and stay in the inputs\n"),
        }
    }
}

fn write(
    args: &Args,
    (path, format): (&Path, DatasetFormat),
    left_out: &mut LeftOut,
) -> Result<u64, CliError> {
    let inputs: Result<Vec<Input>, CliError> = (args.inputs.iter())
        .map(|input| Ok(Input::new(read(input)?, input)))
        .collect();
    // These keep what has no text, with its status.
    let keeps_all = matches!(format, DatasetFormat::Jsonl | DatasetFormat::Parquet);
    let mut merged = Merged::new(inputs?).filter_map(|next| match next {
        Ok((_, record)) if keeps_all || usable(&record) => Some(Ok(record)),
        Ok((path, record)) => {
            left_out.add(&path, &record);
            None
        }
        Err(error) => Some(Err(error)),
    });
    write_dataset(path, format, &mut merged).map_err(cli_error)
}

fn usable(record: &BuiltRecord) -> bool {
    let failed = matches!(record.status, Status::SetAside | Status::Rejected);
    !failed && record.description.is_some()
}

type Rows = Box<dyn Iterator<Item = Row> + Send>;

/// One file.
struct Input {
    path: PathBuf,
    rows: Peekable<Rows>,
    /// Rows taken so far.
    taken: u64,
}

impl Input {
    fn new(rows: Rows, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            rows: rows.peekable(),
            taken: 0,
        }
    }

    /// Place of the next record in the input of its run; the rows of files without places come
    /// first, one file after the other.
    fn next_place(&mut self) -> Option<u64> {
        let row = self.rows.peek()?;
        Some(row.raw["index"].as_u64().unwrap_or(0))
    }

    fn next(&mut self) -> Option<BuiltRecord> {
        let row = self.rows.next()?;
        self.taken += 1;
        Some(BuiltRecord::of_row(self.taken - 1, row))
    }
}

/// Joins files by the places of their records, which are in order in each.
struct Merged {
    inputs: Vec<Input>,
    names: HashSet<u64>,
    count: u64,
}

impl Merged {
    fn new(inputs: Vec<Input>) -> Self {
        Self {
            inputs,
            names: HashSet::new(),
            count: 0,
        }
    }

    /// Whether another of the inputs held the same record; 8 bytes per record.
    fn is_twice(&mut self, record: &BuiltRecord) -> bool {
        let mut hasher = DefaultHasher::new();
        record.file_name.hash(&mut hasher);
        // Within one file, twins have been named when it was read or built.
        let named = self.inputs.len() > 1 && record.status != Status::Rejected;
        named && !self.names.insert(hasher.finish())
    }
}

impl Iterator for Merged {
    type Item = Result<(PathBuf, BuiltRecord), CotError>;

    fn next(&mut self) -> Option<Self::Item> {
        let places = self.inputs.iter_mut().enumerate();
        let (_, at) = places
            .filter_map(|(at, input)| Some((input.next_place()?, at)))
            .min()?;
        let input = &mut self.inputs[at];
        let has_place = input.rows.peek()?.raw["index"].is_u64();
        let (mut record, path) = (input.next()?, input.path.clone());
        if !has_place {
            record.index = self.count;
        }
        self.count += 1;
        if self.is_twice(&record) {
            let BuiltRecord {
                index, file_name, ..
            } = record;
            return Some(Err(CotError::Twice { index, file_name }));
        }
        Some(Ok((path, record)))
    }
}
