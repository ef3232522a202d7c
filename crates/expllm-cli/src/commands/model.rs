//! `expllm model`: what a checkpoint folder holds, and whether it computes what it should.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use expllm_model::checkpoint::{self, WeightFile};
use expllm_model::parity::{self, ParityReport};
use expllm_model::{
    Backend, ExpLlm, LoadOptions, ModelConfig, ModelError, TensorSpec, VisionConfig, default_device,
};

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
        /// Checkpoint folder.
        dir: PathBuf,
    },
    /// Compare the model with `expected.safetensors` in its folder; exit status 1 when a tensor
    /// is beyond its tolerance or greedy tokens differ.
    Parity {
        /// Checkpoint folder.
        dir: PathBuf,
        /// Backend to run on: cpu, wgpu or cuda; the first in the build without it.
        #[arg(long)]
        device: Option<Backend>,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    match &args.action {
        Action::Info { dir } => {
            let checkpoint = checkpoint::open(dir).map_err(CliError::library)?;
            info(&checkpoint.config).map_err(CliError::library)?;
            Ok(Outcome::Complete)
        }
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

/// Prints one line per size and per part.
#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn info(config: &ModelConfig) -> Result<(), ModelError> {
    let (vision, llm) = (&config.vision, &config.llm);
    let encoder = match vision {
        VisionConfig::Dinov2(config) => format!(
            "{} blocks of {}, {} heads, {} px patches",
            config.depth, config.embed_dim, config.num_heads, config.patch_size
        ),
        VisionConfig::Convolutional(config) => format!(
            "convolutional, {} stages, {} scores",
            config.encoder.fine.widths.len(),
            vision.width()
        ),
    };
    println!(
        "vision encoder   {encoder}, {} px images, {} tokens",
        vision.image_size(),
        vision.num_patches(),
    );
    println!("projector        {:?}", config.projector);
    println!(
        "language model   {} layers of {}, {} heads ({} for keys), {} tokens, {} positions",
        llm.num_layers,
        llm.hidden_size,
        llm.num_heads,
        llm.num_kv_heads,
        llm.vocab_size,
        llm.max_positions,
    );
    for (part, lora) in [("vision", vision.lora()), ("language", llm.lora.as_ref())] {
        match lora {
            Some(lora) => println!(
                "{:<17}rank {}, alpha {}, on {}",
                format!("{part} LoRA"),
                lora.rank,
                lora.alpha,
                lora.targets.join(", ")
            ),
            None => println!("{:<17}none", format!("{part} LoRA")),
        }
    }
    // Parameters are lazy, so this takes no memory for weights.
    let layout = ExpLlm::init(config, &default_device())?.layout();
    let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
    for spec in &layout {
        *parts.entry(part_of(spec)).or_default() += spec.count();
    }
    println!("\n{:<24}{:>16}", "part", "parameters");
    for (part, count) in &parts {
        println!("{part:<24}{count:>16}");
    }
    let total: u64 = parts.values().sum();
    let trainable = layout.iter().filter(|spec| spec.trainable);
    let trainable: u64 = trainable.map(TensorSpec::count).sum();
    println!("{:<24}{total:>16}", "all");
    println!("{:<24}{trainable:>16}", "trained");
    println!(
        "\n{:<8}{:>14}{:>24}",
        "format", "weights", "per cached token"
    );
    let token = 2 * llm.num_layers * llm.num_kv_heads * llm.head_dim;
    for (format, bytes) in [("f32", 4), ("f16", 2), ("bf16", 2)] {
        let mebibytes = (total * bytes) as f64 / f64::from(1 << 20);
        let kibibytes = (token as u64 * bytes) as f64 / 1024.0;
        println!("{format:<8}{mebibytes:>10.1} MiB{kibibytes:>20.1} KiB");
    }
    Ok(())
}

/// The part of the model that a tensor belongs to.
fn part_of(spec: &TensorSpec) -> &'static str {
    let adapter = spec.name.contains(".lora_");
    match spec.name.as_str() {
        name if name.starts_with("vision_model.") && adapter => "vision encoder, LoRA",
        name if name.starts_with("vision_model.") => "vision encoder",
        name if name.starts_with("mm_projector.") => "projector",
        _ if adapter => "language model, LoRA",
        _ => "language model",
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
