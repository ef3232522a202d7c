//! What a run will need, before it is started: parameters, memory, time.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::{DType, Device, Distribution, Tensor};
use expllm_model::checkpoint;
use expllm_model::{ExpLlm, LlmConfig, ModelConfig, TensorSpec, VisionConfig};

use super::config::{Start, TrainConfig, TrainStage};
use super::start::{add_adapters, new_config};
use crate::TrainError;

/// Tokens of a conversation with a chain where no tokenizer is there to count them.
const TOKENS_PER_CHAIN: usize = 130;

/// Tokens of a conversation about the label alone, beside those of the image.
const TOKENS_PER_LABEL: usize = 40;

/// Side of the matrices whose product measures a device.
const PROBE: usize = 768;

/// What a run will need.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// Parameters by part, and how many of them are trained.
    pub parts: BTreeMap<&'static str, [u64; 2]>,
    /// Bytes of all weights.
    pub weight_bytes: u64,
    /// Bytes of gradients, of both moments of AdamW and of the average of the weights.
    pub optimiser_bytes: u64,
    /// Bytes of what the backward pass keeps of one part of a step, at most.
    pub activation_bytes: u64,
    /// Matrix operations of one record, forwards and backwards.
    pub operations: f64,
    /// Matrix operations per second that the device reached in a trial.
    pub speed: f64,
    /// Records in the run.
    pub records: u64,
}

impl RunPlan {
    /// Plans a run without loading weights or reading faces.
    ///
    /// Time and activations are estimates: conversations are taken to have 130 tokens with a
    /// chain and 40 without, beside those of the image, and everything but matrix products to
    /// cost nothing.
    ///
    /// # Errors
    ///
    /// As opening the checkpoint of the run, and [`TrainConfig::check_device`].
    pub fn new(config: &TrainConfig, device: &Device) -> Result<Self, TrainError> {
        config.check_device(device)?;
        let model_config = match &config.start {
            Start::New(new) => new_config(new, new.vocabulary),
            Start::Checkpoint(folder) => {
                let mut found = checkpoint::open(folder)?.config;
                if config.stage == TrainStage::Instruction {
                    add_adapters(&mut found);
                }
                found
            }
        };
        Self::of_model(config, &model_config, device)
    }

    /// Plans a run of a model whose sizes are known.
    ///
    /// # Errors
    ///
    /// [`TrainError::Model`] for sizes that cannot be.
    pub fn of_model(
        config: &TrainConfig,
        model: &ModelConfig,
        device: &Device,
    ) -> Result<Self, TrainError> {
        // Parameters are lazy, so this takes no memory for weights.
        let layout = ExpLlm::init(model, device)?.layout();
        let mut parts: BTreeMap<&'static str, [u64; 2]> = BTreeMap::new();
        let (mut all, mut trained) = (0, 0);
        for spec in &layout {
            let counted = parts.entry(part_of(spec)).or_default();
            let count = spec.count();
            counted[0] += count;
            all += count;
            if is_trained(spec, config.stage) {
                counted[1] += count;
                trained += count;
            }
        }
        let weight = bytes_of(config.run.precision.dtype());
        let average = u64::from(config.optimiser.ema > 0.0);
        let tokens = tokens_per_record(config, model);
        Ok(Self {
            parts,
            weight_bytes: all * weight,
            optimiser_bytes: trained * (3 + average) * weight,
            activation_bytes: activations(config, model, tokens.longest) * weight,
            // Forwards and backwards through everything, and once more for trained weights.
            operations: (4.0 * all as f64 + 2.0 * trained as f64) * tokens.mean,
            speed: measure(device),
            records: (config.run.steps * config.run.batch) as u64,
        })
    }

    /// Seconds of the whole run, by matrix products alone.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.operations * self.records as f64 / self.speed
    }
}

fn part_of(spec: &TensorSpec) -> &'static str {
    let name = spec.name.as_str();
    match name {
        _ if name.contains(".lora_") => "adapters",
        _ if name.starts_with("vision_model.") => "vision encoder",
        _ if name.starts_with("mm_projector.") => "projector",
        _ => "language model",
    }
}

fn is_trained(spec: &TensorSpec, stage: TrainStage) -> bool {
    match part_of(spec) {
        "projector" => true,
        "adapters" => stage == TrainStage::Instruction,
        "language model" => stage == TrainStage::Full,
        _ => false,
    }
}

const fn bytes_of(dtype: DType) -> u64 {
    match dtype {
        DType::F16 | DType::BF16 => 2,
        _ => 4,
    }
}

struct Tokens {
    longest: usize,
    mean: f64,
}

fn tokens_per_record(config: &TrainConfig, model: &ModelConfig) -> Tokens {
    let image = model.vision.num_patches();
    let longest = (image + TOKENS_PER_LABEL + TOKENS_PER_CHAIN).min(model.llm.max_positions);
    let chains = 1.0 - config.records.label_only;
    let text = TOKENS_PER_LABEL as f64 + chains * TOKENS_PER_CHAIN as f64;
    Tokens {
        longest,
        mean: image as f64 + text,
    }
}

/// Numbers kept for the backward pass of one part: per token and layer the inputs of all
/// products, per pair of tokens the scores; with checkpointing a quarter of it.
fn activations(config: &TrainConfig, model: &ModelConfig, length: usize) -> u64 {
    let LlmConfig {
        hidden_size,
        intermediate_size,
        num_layers,
        num_heads,
        vocab_size,
        ..
    } = model.llm;
    let layer =
        length * (12 * hidden_size + 4 * intermediate_size) + 3 * num_heads * length * length;
    let mut numbers = num_layers * layer + 2 * length * vocab_size;
    if let VisionConfig::Dinov2(vision) = &model.vision {
        let patches = vision.num_patches() + 1;
        let block = patches * (10 * vision.embed_dim + 3 * vision.mlp_dim())
            + 2 * vision.num_heads * patches * patches;
        numbers += vision.depth * block;
    }
    let share = if config.run.gradient_checkpointing {
        4
    } else {
        1
    };
    (numbers * config.run.micro_batch * config.run.devices / share) as u64
}

/// Matrix operations per second of a device.
fn measure(device: &Device) -> f64 {
    let draw = || Tensor::<2>::random([PROBE, PROBE], Distribution::Default, device);
    let (a, b) = (draw(), draw());
    // The first product sets things up.
    let _ = a.clone().matmul(b.clone()).into_data();
    let begun = Instant::now();
    let rounds = 4;
    for _ in 0..rounds {
        let _ = a.clone().matmul(b.clone()).into_data();
    }
    f64::from(rounds) * 2.0 * (PROBE as f64).powi(3) / begun.elapsed().as_secs_f64().max(1e-9)
}
