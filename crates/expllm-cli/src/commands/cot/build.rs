//! `expllm cot build`.

use std::path::PathBuf;
use std::sync::Arc;

use expllm_cot::{Engine, Journal, Status, Summary};

use super::image_reader::Images;
use super::options::{ServerOptions, TextOptions, Writer, engine};
use super::progress::{Prices, Progress};
use super::source::{Source, SourceOptions};
use super::{cli_error, dry_run, print, tell};
use crate::outputs::{Inputs, Kind};
use crate::{CliError, Outcome};

/// Arguments of `expllm cot build`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceOptions,
    /// Output file, one JSON record per line; run the same command again to resume.
    #[arg(long, value_name = "FILE.jsonl", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Print the first prompts and an estimate of tokens and cost, without sending anything.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    prices: Prices,
    #[command(flatten)]
    text: TextOptions,
    #[command(flatten)]
    server: ServerOptions,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let set = args.text.set();
    let source = Source::open(&args.source, set)?;
    let images = match source.root() {
        Some(_) => Some(Arc::new(Images::new(&source)?)),
        None => None,
    };
    let (engine, settings) = engine(&args.text, &args.server, images.clone())?;
    let out = match &args.out {
        Some(out) if !args.dry_run => out,
        _ => {
            let numbers = (args.prices, args.text.word_limit);
            return dry_run::run(&source, &engine, images.as_deref(), numbers);
        }
    };
    Inputs::new([source.name()]).check_output(out, Kind::Json)?;
    let settings = format!("expllm cot 2\n{}{settings}", source.settings());
    let mut journal = Journal::open(out, &settings).map_err(cli_error)?;
    if source.is_done(journal.done()) {
        let done = journal.done();
        print(&format!("nothing to do: {done} records are in the file\n"))?;
        return Ok(Outcome::Complete);
    }
    let total = match args.text.writer {
        // The composer is nearly done in the time that counting takes.
        Writer::Composer => None,
        Writer::Openai | Writer::Model => Some(source.count()?),
    };
    let mut progress = Progress::new(source.name(), args.prices, (journal.done(), total))?;
    let summary = write(args, (&source, &engine), &mut journal, &mut progress);
    progress.finish(out);
    let summary = summary?;
    print(&progress.report(&summary, journal.done()))?;
    if summary.unanswered > 0 {
        let count = summary.unanswered;
        tell(&format!(
            "{count} records got no answer; their reasons stand under `error`"
        ));
    }
    let bad = [Status::Rejected, Status::SetAside];
    let errors = bad.iter().any(|s| summary.by_status.contains_key(s.name()));
    Ok(if errors || summary.unanswered > 0 {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

fn write(
    args: &Args,
    (source, engine): (&Source, &Engine),
    journal: &mut Journal,
    progress: &mut Progress,
) -> Result<Summary, CliError> {
    let rows = source.rows()?;
    let each = |record: &_| progress.record(record);
    let summary = match args.text.writer {
        Writer::Composer | Writer::Model => engine.run_local(rows, journal, each),
        Writer::Openai => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(CliError::library)?;
            runtime.block_on(engine.run(rows, journal, each))
        }
    };
    summary.map_err(cli_error)
}
