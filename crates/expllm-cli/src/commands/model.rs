//! `expllm model`: what a checkpoint folder holds, and whether it computes what it should.

mod generate;
mod info;

use std::path::{Path, PathBuf};

use expllm_model::checkpoint::{self, WeightFile};
use expllm_model::parity::{self, ParityReport};
use expllm_model::{Backend, ExpLlm, LoadOptions, ModelError, default_device};

use crate::{CliError, Outcome};

/// Arguments of `expllm model`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print sizes, parameters of each part, adapters and memory.
    Info {
        /// Checkpoint folder, or a language model alone: a `.gguf` file or a LLaMA folder.
        dir: PathBuf,
    },
    /// Answer a prompt with a language model alone, greedily and while it is written.
    Generate(generate::Args),
    /// Compare the model with `expected.safetensors` in its folder; exit status 1 when a tensor
    /// is beyond its tolerance or greedy tokens differ.
    Parity {
        /// Checkpoint folder.
        dir: PathBuf,
        /// Backend: cpu, wgpu or cuda [default: the first of cuda, wgpu and cpu in this build].
        #[arg(long)]
        device: Option<Backend>,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    match &args.action {
        Action::Info { dir } => {
            info::print(dir)?;
            Ok(Outcome::Complete)
        }
        Action::Generate(args) => generate::run(args),
        Action::Parity { dir, device } => {
            let report = compare(dir, *device).map_err(CliError::library)?;
            print_report(&report);
            Ok(match report.holds() {
                true => Outcome::Complete,
                false => Outcome::WithErrors,
            })
        }
    }
}

fn compare(dir: &Path, device: Option<Backend>) -> Result<ParityReport, ModelError> {
    let device = device.map_or_else(|| Ok(default_device()), Backend::device)?;
    let checkpoint = checkpoint::open(dir)?;
    let expected = WeightFile::open(&dir.join("expected.safetensors"))?;
    let options = LoadOptions::default();
    let model = ExpLlm::load(
        &checkpoint.config,
        checkpoint.source.as_ref(),
        &options,
        &device,
    )?;
    parity::compare(&model, &expected)
}

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn print_report(report: &ParityReport) {
    println!("{:<22}{:>14}{:>12}", "tensor", "largest error", "tolerance");
    for row in &report.tensors {
        let verdict = if row.holds() { "" } else { "  BEYOND" };
        println!(
            "{:<22}{:>14.2e}{:>12.0e}{verdict}",
            row.name, row.largest_error, row.tolerance
        );
    }
    if let Some((agree, rows)) = report.greedy {
        println!("greedy tokens agree in {agree} of {rows} rows");
    }
    println!("{}", if report.holds() { "equal" } else { "NOT EQUAL" });
}
