//! `expllm convert`: checkpoints from one layout to another.

use std::path::PathBuf;

use expllm_model::ModelError;
use expllm_model::checkpoint::{
    Checkpoint, LanguageModel, SaveOptions, Saved, WeightFormat, apply_adapter, open,
    open_on_detector, open_parts, save, save_adapter,
};

use super::{BlockFormat, NumberFormat};
use crate::{CliError, Outcome};

/// Arguments of `expllm convert`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Checkpoint to read: a native, official (`pytorch_model*.bin`) or LLaMA folder, or a `.gguf`
    /// file of the LLaMA family. Without a vision encoder the result is a LLaMA folder.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Folder to write; must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Number format of the weights [default: each tensor keeps its own].
    #[arg(long, value_enum)]
    dtype: Option<NumberFormat>,
    /// Quantize matrices to blocks of 8 or 4 bits, with adapters merged; --dtype then applies to
    /// all other weights.
    #[arg(long, value_enum, conflicts_with = "adapter_only")]
    quantize: Option<BlockFormat>,
    /// Merge the adapters into the weights.
    #[arg(long, conflicts_with = "adapter_only")]
    merge_lora: bool,
    /// DINOv2 `.pth` file to combine with the LLaMA folder or file, or `detector`: the language model
    /// is then shown what the action unit detector reads. The projector is initialised at random.
    #[arg(long, value_name = "FILE|detector")]
    vision: Option<PathBuf>,
    /// Random seed for a new projector.
    #[arg(long, default_value_t = 0, requires = "vision")]
    seed: u64,
    /// PEFT folder with adapters to apply to the checkpoint.
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Write only the adapters, as a PEFT folder.
    #[arg(long, conflicts_with = "dtype")]
    adapter_only: bool,
}

/// Converts and says what was written.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    convert(args).map_err(CliError::library)
}

fn convert(args: &Args) -> Result<Outcome, ModelError> {
    if args.is_language_alone() {
        return convert_language(args);
    }
    let mut checkpoint = args.open()?;
    if let Some(adapter) = &args.adapter {
        checkpoint = apply_adapter(checkpoint, adapter)?;
    }
    if args.adapter_only {
        save_adapter(&args.to, &checkpoint)?;
        println!("{}: adapters written", args.to.display());
        return Ok(Outcome::Complete);
    }
    let saved = save(&args.to, &checkpoint, &args.options())?;
    report(args, &saved, checkpoint.tokenizer.is_some());
    Ok(Outcome::Complete)
}

/// A GGUF file without anything to put before it.
fn convert_language(args: &Args) -> Result<Outcome, ModelError> {
    if args.quantize.is_some() {
        return Err(ModelError::Input {
            what: "--quantize",
            reason: "a LLaMA folder holds no blocks; put a vision encoder before the file with \
                     --vision"
                .to_owned(),
        });
    }
    let language = LanguageModel::open(&args.from)?;
    let saved = language.save(&args.to, &args.options())?;
    report(args, &saved, language.tokenizer.is_some());
    println!("a language model alone; put a vision encoder before it with --vision");
    Ok(Outcome::Complete)
}

impl Args {
    fn is_language_alone(&self) -> bool {
        WeightFormat::of(&self.from) == Some(WeightFormat::Gguf)
            && self.vision.is_none()
            && self.adapter.is_none()
            && !self.adapter_only
    }

    fn open(&self) -> Result<Checkpoint, ModelError> {
        match &self.vision {
            Some(vision) if vision.as_os_str() == "detector" => {
                open_on_detector(&self.from, self.seed)
            }
            Some(vision) => open_parts(&self.from, vision, self.seed),
            None => open(&self.from),
        }
    }

    fn options(&self) -> SaveOptions {
        SaveOptions {
            dtype: self.dtype.map(NumberFormat::dtype),
            merge_lora: self.merge_lora,
            quantize: self.quantize.map(BlockFormat::format),
            ..SaveOptions::default()
        }
    }
}

fn report(args: &Args, saved: &Saved, has_tokenizer: bool) {
    let (to, megabytes) = (args.to.display(), saved.bytes as f64 / 1e6);
    println!("{to}: {} tensors, {megabytes:.1} MB", saved.tensors);
    if !has_tokenizer {
        let from = args.from.display();
        println!("no tokenizer in {from}; add one to answer in words");
    }
}
