//! `expllm cot build`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use expllm_cot::{BuiltRecord, CotRecord, Journal, Row, Status, Summary};
use expllm_data::{Dataset, Layout, ReadOptions};
use indicatif::{ProgressBar, ProgressStyle};

use super::images::Images;
use super::options::{ServerOptions, TextOptions, Writer, engine};
use super::{cli_error, print, read};
use crate::{CliError, Outcome};

/// Arguments of `expllm cot build`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Labelled faces with AU values: .json, .jsonl or .parquet.
    #[arg(long, value_name = "FILE", required_unless_present = "dataset")]
    annotations: Option<PathBuf>,
    /// Layout of a data set below --root, such as official; its records must carry AU values.
    #[arg(long, requires = "root", conflicts_with = "annotations")]
    dataset: Option<String>,
    /// Folder that the images lie in; images that are missing there are bad rows, and action
    /// units that a record lacks are read from its image.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Each image is the crop of one face.
    #[arg(long, requires = "root")]
    cropped: bool,
    /// Output, one JSON record per line; the same command goes on where it was stopped.
    #[arg(long, value_name = "FILE.jsonl")]
    out: Option<PathBuf>,
    /// Stop after this many records of the shard.
    #[arg(long)]
    limit: Option<u64>,
    /// Do only every n-th record: 0/4, 1/4, 2/4 or 3/4.
    #[arg(long, value_name = "I/N", value_parser = parse_shard, default_value = "0/1")]
    shard: Shard,
    /// Print the prompts of the first records and an estimate of tokens and cost; send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Price of a million prompt tokens, for the estimate.
    #[arg(long, default_value_t = 0.0)]
    price_in: f64,
    /// Price of a million answer tokens.
    #[arg(long, default_value_t = 0.0)]
    price_out: f64,
    #[command(flatten)]
    text: TextOptions,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    index: u64,
    count: u64,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let parsed = text.split_once('/').and_then(|(index, count)| {
        Some(Shard {
            index: index.parse().ok()?,
            count: count.parse().ok()?,
        })
    });
    parsed
        .filter(|s| s.index < s.count)
        .ok_or_else(|| "a shard is I/N with I below N, such as 0/4".to_owned())
}

type Rows = Box<dyn Iterator<Item = (u64, Row)>>;

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let images = match &args.root {
        Some(root) => Some(Arc::new(Images::new(root, args.cropped, args.text.set())?)),
        None => None,
    };
    let (engine, settings) = engine(&args.text, &args.server, images)?;
    if args.dry_run {
        return dry_run(args, &engine);
    }
    let Some(out) = &args.out else {
        return Err(CliError::Usage(
            "--out FILE.jsonl is needed (or --dry-run)".into(),
        ));
    };
    let source = args.annotations.as_ref().or(args.root.as_ref());
    let settings = format!(
        "expllm cot 1\nsource {:?} {:?}\nshard {}/{}\n{settings}",
        source, args.dataset, args.shard.index, args.shard.count
    );
    let mut journal = Journal::open(out, &settings).map_err(cli_error)?;
    let bar = progress(args, journal.done())?;
    let prices = (args.price_in, args.price_out);
    let mut spent = expllm_cot::Usage::default();
    let mut bad = BadRows::new(args);
    let each = |record: &BuiltRecord| {
        spent.add(record.usage);
        bar.inc(1);
        bad.tell(record, &bar);
        if spent.prompt_tokens > 0 {
            bar.set_message(spending(spent, prices));
        }
    };
    let summary = match args.text.writer {
        Writer::Composer | Writer::Model => engine.run_local(rows(args)?, &mut journal, each),
        Writer::Openai => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(CliError::library)?;
            runtime.block_on(engine.run(rows(args)?, &mut journal, each))
        }
    };
    bar.finish_and_clear();
    bad.finish(out);
    let summary = summary.map_err(cli_error)?;
    print(&report(&summary, journal.done(), prices))?;
    let bad = [Status::Rejected, Status::SetAside];
    let errors = bad.iter().any(|s| summary.by_status.contains_key(s.name()));
    Ok(if errors {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

/// Names bad rows with their file as they come, the first of them.
struct BadRows {
    source: String,
    count: u64,
}

impl BadRows {
    /// More than this is not read by anybody; all of them stand in the output.
    const SHOWN: u64 = 20;

    fn new(args: &Args) -> Self {
        let source = args.annotations.as_ref().or(args.root.as_ref());
        Self {
            source: source.map_or_else(String::new, |path| path.display().to_string()),
            count: 0,
        }
    }

    #[allow(clippy::print_stderr)] // The program speaks to its user here.
    fn tell(&mut self, record: &BuiltRecord, bar: &ProgressBar) {
        let Some(reason) = record.error.as_ref() else {
            return;
        };
        self.count += 1;
        if self.count <= Self::SHOWN {
            bar.suspend(|| match record.status {
                Status::Rejected => eprintln!("{}: {reason}", self.source),
                _ => eprintln!("record {} ({}): {reason}", record.index, record.file_name),
            });
        }
    }

    #[allow(clippy::print_stderr)] // The program speaks to its user here.
    fn finish(&self, out: &Path) {
        if self.count > Self::SHOWN {
            let more = self.count - Self::SHOWN;
            eprintln!("{more} more such records are in {}", out.display());
        }
    }
}

/// The rows of this shard, each with its place in the input.
fn rows(args: &Args) -> Result<Rows, CliError> {
    let all: Box<dyn Iterator<Item = Row>> = match (&args.annotations, &args.dataset, &args.root) {
        (Some(path), _, _) => read(path)?,
        (None, Some(name), Some(root)) => Box::new(dataset_rows(name, root)?),
        _ => {
            return Err(CliError::Usage(
                "give --annotations, or --dataset and --root".into(),
            ));
        }
    };
    let (shard, root) = (
        args.shard,
        args.root.clone().filter(|_| args.annotations.is_some()),
    );
    let rows = (0..)
        .zip(all)
        .filter(move |(index, _)| index % shard.count == shard.index)
        .map(move |(index, row)| (index, with_image(row, root.as_deref())));
    let limit = usize::try_from(args.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    Ok(Box::new(rows.take(limit)))
}

/// Rejects rows whose image is not below the root, also where a link leads out of it.
fn with_image(mut row: Row, root: Option<&Path>) -> Row {
    if let (Some(root), Ok(record)) = (root, &row.record) {
        let (name, shown) = (&record.file_name, root.display());
        let image = root.join(name);
        let real = image.canonicalize().ok().zip(root.canonicalize().ok());
        let reason = match real {
            Some((path, base)) if !path.starts_with(&base) => {
                Some(format!("file_name {name:?} leaves the image root {shown}"))
            }
            Some((path, _)) if path.is_file() => None,
            _ => Some(format!("no image {name:?} below {shown}")),
        };
        if let Some(reason) = reason {
            row.record = Err(reason);
        }
    }
    row
}

fn dataset_rows(name: &str, root: &Path) -> Result<impl Iterator<Item = Row> + use<>, CliError> {
    let layout = Layout::ALL.iter().find(|layout| layout.name() == name);
    let Some(layout) = layout else {
        let names: Vec<_> = Layout::ALL.iter().map(|l| l.name()).collect();
        let known = names.join(", ");
        return Err(CliError::Usage(format!(
            "unknown data set {name:?}; there are {known}"
        )));
    };
    let Dataset { records, .. } = layout
        .read(root, &ReadOptions::default())
        .map_err(CliError::library)?;
    Ok((1..).zip(records).map(|(line, record)| {
        let raw = serde_json::json!({ "file_name": record.id });
        let record = match record.expression {
            None => Err("no expression label".to_owned()),
            Some(label) => Ok(CotRecord {
                file_name: record.id,
                label,
                units: record.action_units,
                description: record.description,
            }),
        };
        Row { line, record, raw }
    }))
}

fn progress(args: &Args, done: u64) -> Result<ProgressBar, CliError> {
    let total = match args.limit {
        Some(limit) => Some(limit),
        // Counting costs one pass over a local file; a server takes far longer for the rest.
        None if args.text.writer == Writer::Openai => Some(rows(args)?.count() as u64),
        None => None,
    };
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    let style = "{pos}/{len} records  {per_sec}  {elapsed} gone, {eta} left  {msg}";
    bar.set_style(ProgressStyle::with_template(style).map_err(CliError::library)?);
    bar.set_position(done);
    bar.reset_eta();
    Ok(bar)
}

fn spending(usage: expllm_cot::Usage, (price_in, price_out): (f64, f64)) -> String {
    let (input, output) = (usage.prompt_tokens, usage.completion_tokens);
    let cost = (input as f64 * price_in + output as f64 * price_out) / 1e6;
    format!("{input} + {output} tokens, cost {cost:.2}")
}

fn report(summary: &Summary, done: u64, prices: (f64, f64)) -> String {
    let mut lines = vec![format!(
        "{} records written, {done} in the file",
        summary.records
    )];
    let statuses = summary.by_status.iter();
    lines.extend(statuses.map(|(status, count)| format!("  {status}: {count}")));
    let findings = summary.findings.iter();
    lines.extend(findings.map(|(check, count)| format!("  finding {check}: {count}")));
    if summary.usage.prompt_tokens > 0 {
        lines.push(format!("  {}", spending(summary.usage, prices)));
    }
    lines.join("\n") + "\n"
}

/// Tokens per word of English text, roughly, for the estimate.
const TOKENS_PER_WORD: f64 = 1.35;

fn dry_run(args: &Args, engine: &expllm_cot::Engine) -> Result<Outcome, CliError> {
    let (mut records, mut words, mut bad) = (0u64, 0usize, 0u64);
    for (_, row) in rows(args)? {
        let Ok(record) = &row.record else {
            bad += 1;
            continue;
        };
        let messages = engine.messages(record).map_err(cli_error)?;
        if records < 3 {
            print(&format!("--- {} ({})\n", record.file_name, record.label))?;
            for message in &messages {
                print(&format!("[{}]\n{}\n\n", message.role, message.content))?;
            }
        }
        words += messages
            .iter()
            .map(|m| m.content.split_whitespace().count())
            .sum::<usize>();
        records += 1;
    }
    let usage = expllm_cot::Usage {
        prompt_tokens: (words as f64 * TOKENS_PER_WORD) as u64,
        completion_tokens: (records as f64 * args.text.word_limit as f64 * TOKENS_PER_WORD) as u64,
    };
    print(&format!(
        "{records} records, {bad} bad rows, about {} without repairs\n",
        spending(usage, (args.price_in, args.price_out))
    ))?;
    Ok(if bad > 0 {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}
