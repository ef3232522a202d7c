//! `expllm model info`: what a checkpoint holds.

use std::collections::BTreeMap;
use std::path::Path;

use expllm_model::checkpoint::{self, LanguageModel};
use expllm_model::{
    ExpLlm, LlmConfig, LoraConfig, ModelConfig, ModelError, TensorSource, TensorSpec, VisionConfig,
    default_device,
};

use crate::CliError;

/// Prints one line per size and per part.
pub(super) fn print(path: &Path) -> Result<(), CliError> {
    let alone = checkpoint::is_language_alone(path).map_err(CliError::library)?;
    match alone {
        true => language(path),
        false => whole(path),
    }
    .map_err(CliError::library)
}

/// Numbers of each part of a model.
#[derive(Default)]
struct Counts {
    parts: BTreeMap<&'static str, u64>,
    trained: u64,
}

/// A vision encoder, a projector and a language model.
fn whole(path: &Path) -> Result<(), ModelError> {
    let checkpoint = checkpoint::open(path)?;
    checkpoint.verify()?;
    let config = checkpoint.config;
    print_vision(&config);
    print_sizes(&config.llm);
    print_lora("vision", config.vision.lora());
    print_lora("language", config.llm.lora.as_ref());
    // Parameters are lazy, so this takes no memory for weights.
    let mut counts = Counts::default();
    for spec in ExpLlm::init(&config, &default_device())?.layout() {
        *counts.parts.entry(part_of(&spec)).or_default() += spec.count();
        counts.trained += if spec.trainable { spec.count() } else { 0 };
    }
    print_counts(&counts, &config.llm);
    Ok(())
}

/// A language model alone.
#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn language(path: &Path) -> Result<(), ModelError> {
    let model = LanguageModel::open(path)?;
    model.verify()?;
    println!("a language model alone; it reads no faces");
    print_sizes(&model.config);
    println!("tokenizer        {}", yes(model.tokenizer.is_some()));
    println!("conversations    {}", yes(model.chat.is_some()));
    let mut formats: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut counts = Counts::default();
    let source = model.source.as_ref();
    for name in source.names() {
        let count = source.info(&name).and_then(|info| info.count());
        let count = count.unwrap_or(0) as u64;
        let sum = formats.entry(stored_as(source, &name)).or_default();
        *sum = (sum.0 + 1, sum.1 + count);
        *counts.parts.entry("language model").or_default() += count;
    }
    println!("\n{:<8}{:>14}{:>24}", "stored", "tensors", "parameters");
    for (format, (tensors, count)) in formats {
        println!("{format:<8}{tensors:>14}{count:>24}");
    }
    print_counts(&counts, &model.config);
    Ok(())
}

fn yes(there: bool) -> &'static str {
    if there { "yes" } else { "none" }
}

/// The format of a tensor in its file, as far as it is not unpacked when it is read.
fn stored_as(source: &dyn TensorSource, name: &str) -> String {
    match source.block_format(name) {
        Some(format) => format.name().to_owned(),
        None => source.info(name).map_or_else(String::new, |info| {
            format!("{:?}", info.dtype).to_ascii_lowercase()
        }),
    }
}

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn print_vision(config: &ModelConfig) {
    let vision = &config.vision;
    let encoder = match vision {
        VisionConfig::Dinov2(config) => format!(
            "{} blocks of {}, {} heads, {} px patches",
            config.depth, config.embed_dim, config.num_heads, config.patch_size
        ),
        VisionConfig::Convolutional(config) => format!(
            "convolutional, {} stages, tokens of {}",
            config.network.backbone.widths.len(),
            vision.width()
        ),
    };
    println!(
        "vision encoder   {encoder}, {} px images, {} tokens",
        vision.image_size(),
        vision.num_patches(),
    );
    println!("projector        {:?}", config.projector);
}

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn print_sizes(llm: &LlmConfig) {
    println!(
        "language model   {} layers of {}, {} heads ({} for keys), {} tokens, {} positions",
        llm.num_layers,
        llm.hidden_size,
        llm.num_heads,
        llm.num_kv_heads,
        llm.vocab_size,
        llm.max_positions,
    );
}

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn print_lora(part: &str, lora: Option<&LoraConfig>) {
    let part = format!("{part} LoRA");
    match lora {
        Some(lora) => println!(
            "{part:<17}rank {}, alpha {}, on {}",
            lora.rank,
            lora.alpha,
            lora.targets.join(", ")
        ),
        None => println!("{part:<17}none"),
    }
}

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn print_counts(counts: &Counts, llm: &LlmConfig) {
    println!("\n{:<24}{:>16}", "part", "parameters");
    for (part, count) in &counts.parts {
        println!("{part:<24}{count:>16}");
    }
    let total: u64 = counts.parts.values().sum();
    println!("{:<24}{total:>16}", "all");
    println!("{:<24}{:>16}", "trained", counts.trained);
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
