//! `expllm cot build`.

use std::path::PathBuf;

use expllm_cot::{BuiltRecord, CotRecord, Journal, Row, Status, Summary};
use expllm_data::{Dataset, Layout, ReadOptions};
use indicatif::{ProgressBar, ProgressStyle};

use super::options::{ServerOptions, TextOptions, Writer, engine};
use super::{cli_error, read};
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
    /// Folder that the images lie in; images that are missing there are bad rows.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
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
    let (engine, settings) = engine(&args.text, &args.server)?;
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
    let each = |record: &BuiltRecord| {
        spent.add(record.usage);
        bar.inc(1);
        if spent.prompt_tokens > 0 {
            bar.set_message(spending(spent, prices));
        }
    };
    let summary = match args.text.writer {
        Writer::Composer => engine.run_local(rows(args)?, &mut journal, each),
        Writer::Openai => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(CliError::library)?;
            runtime.block_on(engine.run(rows(args)?, &mut journal, each))
        }
    };
    bar.finish_and_clear();
    let summary = summary.map_err(cli_error)?;
    report(&summary, journal.done(), prices);
    let bad = [Status::Rejected, Status::SetAside];
    let errors = bad.iter().any(|s| summary.by_status.contains_key(s.name()));
    Ok(if errors {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
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

/// Rejects rows whose image is not below the root.
fn with_image(mut row: Row, root: Option<&std::path::Path>) -> Row {
    if let (Some(root), Ok(record)) = (root, &row.record)
        && !root.join(&record.file_name).is_file()
    {
        let reason = format!("no image {:?} below {}", record.file_name, root.display());
        row.record = Err(reason);
    }
    row
}

fn dataset_rows(
    name: &str,
    root: &std::path::Path,
) -> Result<impl Iterator<Item = Row> + use<>, CliError> {
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

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn report(summary: &Summary, done: u64, prices: (f64, f64)) {
    println!("{} records written, {done} in the file", summary.records);
    for (status, count) in &summary.by_status {
        println!("  {status}: {count}");
    }
    for (check, count) in &summary.findings {
        println!("  finding {check}: {count}");
    }
    if summary.usage.prompt_tokens > 0 {
        println!("  {}", spending(summary.usage, prices));
    }
}

/// Tokens per word of English text, roughly, for the estimate.
const TOKENS_PER_WORD: f64 = 1.35;

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn dry_run(args: &Args, engine: &expllm_cot::Engine) -> Result<Outcome, CliError> {
    let (mut records, mut words, mut bad) = (0u64, 0usize, 0u64);
    for (_, row) in rows(args)? {
        let Ok(record) = &row.record else {
            bad += 1;
            continue;
        };
        let messages = engine.messages(record).map_err(cli_error)?;
        if records < 3 {
            println!("--- {} ({})", record.file_name, record.label);
            for message in &messages {
                println!("[{}]\n{}\n", message.role, message.content);
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
    println!(
        "{records} records, {bad} bad rows, about {} without repairs",
        spending(usage, (args.price_in, args.price_out))
    );
    Ok(if bad > 0 {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}
