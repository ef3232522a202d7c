//! Sizes of the language model.

use serde::{Deserialize, Serialize};

use super::LoraConfig;
use super::checks::{check_divides, check_lora, check_positive, check_size};
use crate::ModelError;

/// How rotary frequencies are stretched beyond the context of pre-training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RopeScaling {
    /// Not at all.
    #[default]
    None,
    /// All positions are divided by a factor.
    Linear {
        /// The divisor, at least 1.
        factor: f64,
    },
    /// Llama 3.1: low frequencies are divided by a factor, high ones kept.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Frequencies with fewer turns than this over the original context are divided.
        low_freq_factor: f64,
        /// Frequencies with more turns than this over the original context are kept.
        high_freq_factor: f64,
        /// Positions of pre-training.
        original_max_positions: usize,
    },
    /// YaRN ([Peng et al. 2023](https://arxiv.org/abs/2309.00071)).
    Yarn {
        /// The divisor of low frequencies.
        factor: f64,
        /// Positions of pre-training.
        original_max_positions: usize,
        /// Turns over the original context above which a frequency is kept (32 in the paper).
        beta_fast: f64,
        /// Turns below which a frequency is divided (1 in the paper).
        beta_slow: f64,
    },
}

/// A language model of the LLaMA family ([Touvron et al. 2023](https://arxiv.org/abs/2302.13971)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LlmConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of a token.
    pub hidden_size: usize,
    /// Width of the hidden layer of the MLP.
    pub intermediate_size: usize,
    /// Transformer layers.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; a divisor of `num_heads`.
    pub num_kv_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Base of the rotary frequencies.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// Stretching of the rotary frequencies.
    #[serde(default)]
    pub rope_scaling: RopeScaling,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// Whether the head is the transposed embedding table.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Positions that the model knows.
    pub max_positions: usize,
    /// Adapters on projections of every layer.
    #[serde(default)]
    pub lora: Option<LoraConfig>,
}

fn default_rope_theta() -> f64 {
    10_000.0
}

impl LlmConfig {
    /// The projections of a layer that may carry adapters.
    pub const PROJECTIONS: [&'static str; 7] = [
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    ];

    /// The shape of LLaMA-2 7B and Vicuna 7B v1.5 (6.7 billion parameters).
    #[must_use]
    pub fn llama_7b() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_layers: 32,
            num_heads: 32,
            num_kv_heads: 32,
            head_dim: 128,
            rope_theta: default_rope_theta(),
            rope_scaling: RopeScaling::None,
            rms_norm_eps: 1e-5,
            tie_word_embeddings: false,
            max_positions: 4096,
            lora: None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ModelError> {
        for (field, size) in [
            ("llm.vocab_size", self.vocab_size),
            ("llm.hidden_size", self.hidden_size),
            ("llm.intermediate_size", self.intermediate_size),
            ("llm.num_layers", self.num_layers),
            ("llm.num_heads", self.num_heads),
            ("llm.head_dim", self.head_dim),
            ("llm.max_positions", self.max_positions),
        ] {
            check_size(field, size)?;
        }
        check_divides("llm.num_kv_heads", self.num_kv_heads, self.num_heads)?;
        check_size("llm.head_dim", self.num_heads * self.head_dim)?;
        if !self.head_dim.is_multiple_of(2) {
            let reason = format!("{} is odd; rotary positions need pairs", self.head_dim);
            return Err(ModelError::config("llm.head_dim", reason));
        }
        check_positive("llm.rope_theta", self.rope_theta)?;
        check_positive("llm.rms_norm_eps", self.rms_norm_eps)?;
        self.rope_scaling.validate()?;
        check_lora("llm.lora", self.lora.as_ref(), &Self::PROJECTIONS)
    }
}

impl RopeScaling {
    fn validate(&self) -> Result<(), ModelError> {
        const FIELD: &str = "llm.rope_scaling";
        let numbers = match *self {
            Self::None => vec![],
            Self::Linear { factor } => vec![factor],
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_positions,
            } => {
                check_size(FIELD, original_max_positions)?;
                vec![factor, low_freq_factor, high_freq_factor - low_freq_factor]
            }
            Self::Yarn {
                factor,
                original_max_positions,
                beta_fast,
                beta_slow,
            } => {
                check_size(FIELD, original_max_positions)?;
                vec![factor, beta_slow, beta_fast - beta_slow]
            }
        };
        numbers
            .into_iter()
            .try_for_each(|n| check_positive(FIELD, n))
    }
}
