//! `expllm convert`: checkpoints from one layout to another.

use std::path::PathBuf;

use expllm_model::checkpoint::{SaveOptions, apply_adapter, open, open_parts, save, save_adapter};

use super::NumberFormat;
use crate::{CliError, Outcome};

/// Arguments of `expllm convert`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The checkpoint folder: native, official (`pytorch_model*.bin`), or a LLaMA folder.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The folder to write; it must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The number format of the weights; by default each tensor keeps its own.
    #[arg(long, value_enum)]
    dtype: Option<NumberFormat>,
    /// Add the adapters into the weights.
    #[arg(long, conflicts_with = "adapter_only")]
    merge_lora: bool,
    /// A DINOv2 `.pth` to put before the LLaMA folder; the projector is drawn anew.
    #[arg(long, value_name = "FILE")]
    vision: Option<PathBuf>,
    /// The start of the random numbers of a new projector.
    #[arg(long, default_value_t = 0, requires = "vision")]
    seed: u64,
    /// A PEFT folder whose adapters are put on the checkpoint.
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Write the adapters alone, as a PEFT folder.
    #[arg(long, conflicts_with = "dtype")]
    adapter_only: bool,
}

/// Converts and says what was written.
#[allow(clippy::print_stdout)] // The program speaks to its user here.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let mut checkpoint = match &args.vision {
        Some(vision) => open_parts(&args.from, vision, args.seed),
        None => open(&args.from),
    }
    .map_err(CliError::library)?;
    if let Some(adapter) = &args.adapter {
        checkpoint = apply_adapter(checkpoint, adapter).map_err(CliError::library)?;
    }
    if args.adapter_only {
        save_adapter(&args.to, &checkpoint).map_err(CliError::library)?;
        println!("{}: adapters written", args.to.display());
        return Ok(Outcome::Complete);
    }
    let options = SaveOptions {
        dtype: args.dtype.map(NumberFormat::dtype),
        merge_lora: args.merge_lora,
        ..SaveOptions::default()
    };
    let saved = save(&args.to, &checkpoint, &options).map_err(CliError::library)?;
    println!(
        "{}: {} tensors, {:.1} MB",
        args.to.display(),
        saved.tensors,
        saved.bytes as f64 / 1e6
    );
    if checkpoint.tokenizer.is_none() {
        println!(
            "no tokenizer in {}; add one to answer in words",
            args.from.display()
        );
    }
    Ok(Outcome::Complete)
}
