//! What `expllm train model --config FILE` reads: one TOML file per run.

mod data;
mod validate;

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use expllm_face::device::Backend;
use expllm_model::{LlmConfig, RopeScaling};
use serde::{Deserialize, Serialize};

use crate::{RunConfig, TrainError};
pub use data::{AnnotationsConfig, Data, FacesConfig, ReadingsConfig, SetViews};

/// A training run of the language model. Unknown fields are refused, so that a misspelt one
/// never passes for a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Folder of the run: checkpoints, logs, the finished model.
    pub output: PathBuf,
    /// What is trained.
    pub stage: TrainStage,
    /// The model to start from.
    pub start: Start,
    /// The faces and what is said of them.
    pub data: Data,
    /// Which questions the records ask.
    #[serde(default)]
    pub records: RecordMix,
    /// The optimiser.
    pub optimiser: OptimiserConfig,
    /// Length of the run and size of its steps.
    pub run: StepsConfig,
    /// What is measured on the way.
    #[serde(default)]
    pub validation: ValidationConfig,
}

/// What a run trains; everything else is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainStage {
    /// Stage 1 of the paper: the projector alone, on images and their descriptions.
    Alignment,
    /// Stage 2 of the paper: the projector, and low-rank adapters on the query and value
    /// projections of vision encoder and language model.
    Instruction,
    /// The projector and the whole language model, for small models.
    Full,
}

/// The model to start from; one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// A checkpoint folder of any layout that `expllm model info` reads. Adapters or a projector
    /// that it lacks and the stage needs are made anew.
    Checkpoint(PathBuf),
    /// A new language model on the convolutional network of the action unit detector, with a
    /// tokenizer learnt from the chains of the run.
    New(NewModel),
}

/// Sizes of a new language model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    /// Pieces of the tokenizer, 300 to 65536.
    pub vocabulary: usize,
    /// Width of a token; a multiple of `heads`.
    pub hidden_size: usize,
    /// Width of the hidden layer of the MLP.
    pub intermediate_size: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; a divisor of `heads`.
    pub kv_heads: usize,
    /// Tokens of the longest conversation.
    pub max_positions: usize,
}

/// Shares of the conversations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordMix {
    /// Share of records that ask for the label alone, 0 to 1 (0.75 in the paper: three repeats
    /// beside one with a chain). The others ask for label and chain.
    pub label_only: f64,
    /// Share of the records with a chain that ask for the chain before the label, 0 to 1.
    pub chain_first: f64,
    /// Share of labels that are drawn from the classifier's probabilities instead of taken from
    /// the data set, 0 to 1; for faces that the action unit detector reads.
    pub distilled: f64,
    /// Whether every record weighs the same (as in the reference, whose batches hold one record)
    /// instead of every token.
    pub by_record: bool,
}

impl Default for RecordMix {
    fn default() -> Self {
        Self {
            label_only: 0.75,
            chain_first: 0.0,
            distilled: 0.0,
            by_record: true,
        }
    }
}

/// AdamW with a warm-up and a cosine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimiserConfig {
    /// Highest learning rate (5e-4 in the paper).
    pub rate: f64,
    /// Share of the steps that warm up, 0 to 1.
    #[serde(default = "default_warmup")]
    pub warmup: f64,
    /// Decoupled weight decay.
    #[serde(default = "default_weight_decay")]
    pub weight_decay: f32,
    /// Longest gradient, all tensors together; longer ones are scaled down. 0 leaves them.
    #[serde(default = "default_clip")]
    pub clip_norm: f32,
    /// Decay of the running average of the weights, which is what is validated and saved, 0 to
    /// below 1; 0 keeps none.
    #[serde(default)]
    pub ema: f64,
}

fn default_warmup() -> f64 {
    0.03
}

fn default_weight_decay() -> f32 {
    0.05
}

fn default_clip() -> f32 {
    1.0
}

/// Length of a run and size of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepsConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Records per step (128 in the paper).
    pub batch: usize,
    /// Records run at once; the gradients of the parts of a step are added up.
    pub micro_batch: usize,
    /// Devices that share the parts of a step. On the processor each is a thread.
    #[serde(default = "default_one")]
    pub devices: usize,
    /// Whether activations are computed again in the backward pass instead of kept.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Number format of frozen and trained weights.
    #[serde(default)]
    pub precision: Precision,
    /// Steps between checkpoints.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: usize,
    /// Seed of everything random.
    #[serde(default = "default_seed")]
    pub seed: u64,
}

fn default_one() -> usize {
    1
}

fn default_checkpoint_every() -> usize {
    500
}

fn default_seed() -> u64 {
    1
}

/// Number format of the weights while they are trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of 32; needs a backend that computes in it.
    Bf16,
}

impl Precision {
    /// The format of tensors.
    #[must_use]
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// What is measured on the way, on records that are not trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationConfig {
    /// Steps between validations.
    pub every: usize,
    /// Records kept back from training.
    pub records: usize,
    /// Chains that are written and held against the action units.
    pub chains: usize,
    /// Chains that are printed.
    pub shown: usize,
    /// Validations without a lower loss after which the run stops; 0 never stops early.
    pub patience: usize,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            every: 500,
            records: 256,
            chains: 16,
            shown: 1,
            patience: 0,
        }
    }
}

impl TrainConfig {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] with the line of a field that is unknown, missing or impossible.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|e| TrainError::file(path, e))?;
        Self::from_toml(&text).map_err(|reason| TrainError::Config {
            path: path.to_path_buf(),
            reason,
        })
    }

    /// Whether a device can compute what the configuration asks for.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] for a precision that the processor lacks.
    pub fn check_device(&self, device: &Device) -> Result<(), TrainError> {
        let processor = Backend::Cpu.device().is_ok_and(|cpu| cpu == *device);
        if processor && self.run.precision == Precision::Bf16 {
            return Err(TrainError::Config {
                path: self.output.clone(),
                reason: "`run.precision` is bf16, in which the processor does not train; set it \
                         to f32, or choose another device"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Reads the text of a file, or says what is wrong with it.
    ///
    /// # Errors
    ///
    /// The reason, for a person.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        config.validate()?;
        Ok(config)
    }

    /// The schedule of the run.
    #[must_use]
    pub fn schedule(&self) -> RunConfig {
        RunConfig::new(self.run.steps, self.run.batch, self.optimiser.rate)
            .with_warmup(self.optimiser.warmup)
            .with_weight_decay(self.optimiser.weight_decay)
            .with_checkpoint_every(self.run.checkpoint_every)
            .with_seed(self.run.seed)
    }
}

impl NewModel {
    /// The language model for a vocabulary.
    #[must_use]
    pub fn llm(&self, vocab_size: usize) -> LlmConfig {
        LlmConfig {
            vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_layers: self.layers,
            num_heads: self.heads,
            num_kv_heads: self.kv_heads,
            head_dim: self.hidden_size / self.heads,
            rope_theta: 10_000.0,
            rope_scaling: RopeScaling::None,
            rms_norm_eps: 1e-5,
            tie_word_embeddings: true,
            max_positions: self.max_positions,
            lora: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = include_str!("../../presets/tiny.toml");

    #[test]
    fn presets_are_read_and_hold_the_values_of_the_paper() {
        assert_eq!(
            TrainConfig::from_toml(TINY).unwrap().stage,
            TrainStage::Full
        );
        let smollm2 = include_str!("../../presets/smollm2.toml");
        let smollm2 = TrainConfig::from_toml(smollm2).unwrap();
        assert_eq!(smollm2.stage, TrainStage::Instruction);
        let alignment = include_str!("../../presets/paper-alignment.toml");
        assert_eq!(
            TrainConfig::from_toml(alignment).unwrap().stage,
            TrainStage::Alignment
        );
        for (text, records, epochs) in [
            (
                include_str!("../../presets/paper-instruction.toml"),
                49_084,
                20,
            ),
            (
                include_str!("../../presets/paper-affectnet.toml"),
                150_212,
                30,
            ),
        ] {
            let config = TrainConfig::from_toml(text).unwrap();
            assert_eq!(
                (config.optimiser.rate, config.optimiser.warmup),
                (5e-4, 0.03)
            );
            assert_eq!(config.optimiser.weight_decay, 0.05);
            assert_eq!(config.run.batch, 128);
            // Whole batches of every epoch.
            let steps = records * epochs / 128;
            assert!(config.run.steps.abs_diff(steps) <= epochs, "{steps}");
            assert_eq!(config.records.label_only, 0.75);
        }
    }

    #[test]
    fn impossible_values_are_named() {
        for (from, to, word) in [
            ("layers = ", "layer = ", "layer"),
            ("rate = 3e-3", "rate = -1.0", "optimiser.rate"),
            ("ema = 0.99", "ema = 1.0", "optimiser.ema"),
            ("label_only = 0.1", "label_only = 1.5", "records.label_only"),
            ("micro_batch = 48", "micro_batch = 0", "run.micro_batch"),
            ("devices = 1", "devices = 1000", "run.devices"),
            (
                "vocabulary = 3000",
                "vocabulary = 2",
                "start.new.vocabulary",
            ),
            ("heads = 6", "heads = 7", "start.new.hidden_size"),
            ("imagined = 0.3", "imagined = -1.0", "data.faces.imagined"),
            ("stage = \"full\"", "stage = \"alignment\"", "full"),
            ("stage = \"full\"", "stage = \"all\"", "all"),
        ] {
            assert!(TINY.contains(from), "{from}");
            let error = TrainConfig::from_toml(&TINY.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn configurations_are_noted_as_they_were() {
        let config = TrainConfig::from_toml(TINY).unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
    }
}
