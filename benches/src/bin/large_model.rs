//! Writes the published 7B shape with random weights as a checkpoint folder, loads it and answers
//! once: `cargo run --release -p expllm-benches --bin large_model -- DIR [LAYERS [FORMAT]]`.
//!
//! Prints times and memory. Without a format, weights are f16 on burn's tensors, which needs
//! 13.5 GB of memory and of disk; fewer language layers than 32 need less. With f16, bf16, q8_0,
//! q4_0 or q4a they are packed for the processor, and the folder holds blocks in the last three. A
//! folder that exists is loaded as it is.

#![allow(clippy::print_stdout)] // It reports to the person who started it.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::{DType, Tensor};
use expllm_model::checkpoint::{self, Checkpoint, SaveOptions};
use expllm_model::conversation::PromptTemplate;
use expllm_model::generation::{AnswerTrie, CancelToken, GenerationSettings, Prefix, TokenStream};
use expllm_model::{
    Format, LoadOptions, ModelConfig, ModelError, Network, RandomWeights, TensorSource,
    default_device,
};

/// Tokens of the answer.
const ANSWER: usize = 8;

fn main() -> Result<(), ModelError> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments
        .next()
        .map_or_else(|| PathBuf::from("large_model"), PathBuf::from);
    let layers = arguments.next().and_then(|text| text.parse().ok());
    let format = arguments.next().and_then(|name| Format::from_name(&name));
    if !dir.exists() {
        let mut config = ModelConfig::expllm_7b();
        if let Some(layers) = layers {
            config.llm.num_layers = layers;
        }
        let start = Instant::now();
        let checkpoint = Checkpoint {
            source: Box::new(RandomWeights::new(&config, DType::F16, 1)?),
            config,
            tokenizer: None,
            prompt: PromptTemplate::default(),
            generation: GenerationSettings::default(),
        };
        let options = SaveOptions {
            quantize: format.filter(|format| format.is_quantised()),
            ..SaveOptions::default()
        };
        checkpoint::save(&dir, &checkpoint, &options)?;
        report("write", start);
    }
    let device = default_device();
    let options = LoadOptions {
        dtype: DType::F16,
        kernels: format.map(Into::into),
        ..LoadOptions::default()
    };
    let start = Instant::now();
    let checkpoint = checkpoint::open(&dir)?;
    let source = checkpoint.source.as_ref();
    let model = Network::load(&checkpoint.config, source, &options, &device)?;
    let weights = 2 * count(source);
    drop(checkpoint);
    let config = model.config();
    match model.decoder.packed_bytes() {
        Some(bytes) => println!("language model, packed  {:8.2} GB", bytes as f64 / 1e9),
        None => println!("weights in f16          {:8.2} GB", weights as f64 / 1e9),
    }
    report("load", start);
    println!("peak while loading      {:8.2} GB", peak_memory());

    let start = Instant::now();
    let image = model.encode_images(Tensor::ones([1, 3, 224, 224], &device))?;
    report("image", start);
    // An image and a question: 300 tokens.
    let patches = vec![config.image_token_id; config.vision.num_patches()];
    let words = |range: std::ops::Range<u32>| range.collect::<Vec<_>>();
    let prompt = [words(100..120), patches, words(200..224)].concat();
    let start = Instant::now();
    let mut prefix = Prefix::new(&model, &prompt, Some(image))?;
    report(&format!("prompt of {} tokens", prompt.len()), start);
    // Eight labels of two tokens.
    let labels: Vec<_> = (0..8).map(|label| vec![300 + label, 400 + label]).collect();
    let start = Instant::now();
    let shares = AnswerTrie::new(&labels, config.eos_token_id)?.probabilities(&mut prefix)?;
    report("label among eight", start);
    println!("sum of probabilities    {:8.4}", shares.iter().sum::<f64>());
    let settings = GenerationSettings {
        max_new_tokens: ANSWER + 1,
        ..GenerationSettings::default()
    };
    prefix.reserve(ANSWER + 1)?;
    let mut stream = TokenStream::new(prefix, &settings, CancelToken::default())?;
    // The first token needs nothing to be run.
    let mut tokens: Vec<_> = stream.next().into_iter().collect::<Result<_, _>>()?;
    let start = Instant::now();
    for token in stream {
        tokens.push(token?);
    }
    report(
        &format!("{} more tokens", tokens.len().saturating_sub(1)),
        start,
    );
    println!("answer                  {tokens:?}");
    println!("peak                    {:8.2} GB", peak_memory());
    Ok(())
}

/// How many numbers a source holds.
fn count(source: &dyn TensorSource) -> usize {
    let names = source.names().into_iter();
    let counts = names.filter_map(|name| source.info(&name)?.count());
    counts.sum()
}

fn report(what: &str, start: Instant) {
    println!("{what:<24}{:8.2} s", start.elapsed().as_secs_f64());
}

/// The most memory that the process has had, in GB; 0 where the system does not say.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) * 1024.0 / 1e9
}
