//! Sizes and options of a model; everything else follows from them.

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// The largest size that any single field may have; keeps products inside 64 bits.
const LARGEST_SIZE: usize = 1 << 22;

/// Low-rank adapters beside frozen projections: `y = W x + (alpha / rank) B (A x)`
/// ([Hu et al. 2021](https://arxiv.org/abs/2106.09685)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Inner size of the adapters.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Share of inputs dropped before `A` while training, 0 to 1.
    #[serde(default)]
    pub dropout: f64,
    /// Names of the adapted projections: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`,
    /// `up_proj`, `down_proj` in the language model; `q`, `k`, `v` in the vision encoder.
    pub targets: Vec<String>,
}

impl LoraConfig {
    /// `alpha / rank`.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Whether the named projection carries an adapter.
    #[must_use]
    pub fn adapts(&self, projection: &str) -> bool {
        self.targets.iter().any(|target| target == projection)
    }
}

/// A DINOv2 vision transformer ([Oquab et al. 2023](https://arxiv.org/abs/2304.07193)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisionConfig {
    /// Width of a token.
    pub embed_dim: usize,
    /// Transformer blocks.
    pub depth: usize,
    /// Attention heads; a divisor of `embed_dim`.
    pub num_heads: usize,
    /// Width of the hidden layer of the MLP over `embed_dim`.
    pub mlp_ratio: f64,
    /// Side of a square patch in pixels.
    pub patch_size: usize,
    /// Side of the square input image in pixels; a multiple of `patch_size`.
    pub image_size: usize,
    /// Side of the images of pre-training in pixels, which sets the grid of the stored
    /// position embedding; a multiple of `patch_size`.
    pub pretrain_image_size: usize,
    /// Epsilon of the layer norms.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Adapters on slices of the fused `qkv` projection.
    #[serde(default)]
    pub lora: Option<LoraConfig>,
}

fn default_layer_norm_eps() -> f64 {
    1e-6
}

impl VisionConfig {
    /// ViT-S/14 (21 million parameters) on 224 x 224 images.
    #[must_use]
    pub fn dinov2_small() -> Self {
        Self::dinov2(384, 12, 6)
    }

    /// ViT-B/14 (86 million parameters) on 224 x 224 images.
    #[must_use]
    pub fn dinov2_base() -> Self {
        Self::dinov2(768, 12, 12)
    }

    /// ViT-L/14 (304 million parameters) on 224 x 224 images, as in the paper.
    #[must_use]
    pub fn dinov2_large() -> Self {
        Self::dinov2(1024, 24, 16)
    }

    fn dinov2(embed_dim: usize, depth: usize, num_heads: usize) -> Self {
        Self {
            embed_dim,
            depth,
            num_heads,
            mlp_ratio: 4.0,
            patch_size: 14,
            image_size: 224,
            pretrain_image_size: 518,
            layer_norm_eps: default_layer_norm_eps(),
            lora: None,
        }
    }

    /// Patches along one side of the input image.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches along one side of a pre-training image.
    #[must_use]
    pub fn pretrain_grid(&self) -> usize {
        self.pretrain_image_size / self.patch_size
    }

    /// Patches of one image, which is also its number of tokens in the prompt.
    #[must_use]
    pub fn num_patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Width of the hidden layer of the MLP.
    #[must_use]
    pub fn mlp_dim(&self) -> usize {
        (self.embed_dim as f64 * self.mlp_ratio) as usize
    }

    fn validate(&self) -> Result<(), ModelError> {
        check_size("vision.embed_dim", self.embed_dim)?;
        check_size("vision.depth", self.depth)?;
        check_size("vision.patch_size", self.patch_size)?;
        check_divides("vision.num_heads", self.num_heads, self.embed_dim)?;
        check_size("vision.image_size", self.image_size)?;
        check_size("vision.pretrain_image_size", self.pretrain_image_size)?;
        check_divides("vision.patch_size", self.patch_size, self.image_size)?;
        check_divides(
            "vision.patch_size",
            self.patch_size,
            self.pretrain_image_size,
        )?;
        // Grids are squared and multiplied by widths.
        if self.grid().max(self.pretrain_grid()) > 1024 {
            let reason = "more than 1024 patches along one side".to_owned();
            return Err(ModelError::config("vision.image_size", reason));
        }
        check_positive("vision.mlp_ratio", self.mlp_ratio)?;
        check_size("vision.mlp_ratio", self.mlp_dim())?;
        check_positive("vision.layer_norm_eps", self.layer_norm_eps)?;
        check_lora("vision.lora", self.lora.as_ref(), &["q", "k", "v"])
    }
}

/// What stands between vision encoder and language model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectorKind {
    /// Linear, exact GELU, linear (ExpLLM).
    #[default]
    Mlp,
    /// One linear layer (its ancestor LocLLM).
    Linear,
}

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

    fn validate(&self) -> Result<(), ModelError> {
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

/// Sizes and options of a whole model, as in `config.json` of a native folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// The vision encoder.
    pub vision: VisionConfig,
    /// The projector.
    #[serde(default)]
    pub projector: ProjectorKind,
    /// The language model.
    pub llm: LlmConfig,
    /// The token that stands for one patch in the prompt; it is never looked up in the embedding
    /// table, so it may lie outside the vocabulary.
    pub image_token_id: u32,
    /// The token that begins a sequence.
    pub bos_token_id: u32,
    /// The token that ends an answer.
    pub eos_token_id: u32,
    /// The token that fills short rows of a batch.
    pub pad_token_id: u32,
}

impl ModelConfig {
    /// The published model: ViT-L/14, a two-layer projector and Vicuna 7B v1.5, rank 8 adapters
    /// on query and value projections of both.
    #[must_use]
    pub fn expllm_7b() -> Self {
        let lora = |targets: [&str; 2]| LoraConfig {
            rank: 8,
            alpha: 16.0,
            dropout: 0.05,
            targets: targets.map(str::to_owned).to_vec(),
        };
        Self {
            vision: VisionConfig {
                lora: Some(lora(["q", "v"])),
                ..VisionConfig::dinov2_large()
            },
            projector: ProjectorKind::Mlp,
            llm: LlmConfig {
                lora: Some(lora(["q_proj", "v_proj"])),
                ..LlmConfig::llama_7b()
            },
            image_token_id: 32_000,
            bos_token_id: 1,
            eos_token_id: 2,
            pad_token_id: 0,
        }
    }

    /// A model of about half a million parameters with every part of the large one, for tests
    /// and trials: 4 x 4 patches, grouped-query attention, adapters.
    #[must_use]
    pub fn tiny() -> Self {
        let mut config = Self::expllm_7b();
        config.vision.embed_dim = 48;
        config.vision.depth = 2;
        config.vision.num_heads = 4;
        config.vision.image_size = 56;
        config.vision.pretrain_image_size = 98;
        config.llm = LlmConfig {
            vocab_size: 640,
            hidden_size: 64,
            intermediate_size: 176,
            num_layers: 2,
            num_heads: 4,
            num_kv_heads: 2,
            head_dim: 16,
            max_positions: 1024,
            ..config.llm
        };
        config.image_token_id = 640;
        config
    }

    /// Checks that the sizes can belong to one model, before memory is taken for it.
    ///
    /// # Errors
    ///
    /// [`ModelError::Config`] with the first field that cannot be.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.vision.validate()?;
        self.llm.validate()?;
        if self.vision.num_patches() >= self.llm.max_positions {
            let reason = format!(
                "{} patches do not fit the {} positions of the language model",
                self.vision.num_patches(),
                self.llm.max_positions
            );
            return Err(ModelError::config("vision.image_size", reason));
        }
        for (field, id) in [
            ("bos_token_id", self.bos_token_id),
            ("eos_token_id", self.eos_token_id),
            ("pad_token_id", self.pad_token_id),
        ] {
            if id as usize >= self.llm.vocab_size {
                let reason = format!("{id} is outside the vocabulary");
                return Err(ModelError::config(field, reason));
            }
        }
        Ok(())
    }
}

fn check_size(field: &'static str, size: usize) -> Result<(), ModelError> {
    if (1..=LARGEST_SIZE).contains(&size) {
        return Ok(());
    }
    let reason = format!("{size} is not between 1 and {LARGEST_SIZE}");
    Err(ModelError::config(field, reason))
}

fn check_divides(field: &'static str, part: usize, whole: usize) -> Result<(), ModelError> {
    check_size(field, part)?;
    if whole.is_multiple_of(part) {
        return Ok(());
    }
    Err(ModelError::config(
        field,
        format!("{part} does not divide {whole}"),
    ))
}

fn check_positive(field: &'static str, number: f64) -> Result<(), ModelError> {
    if number.is_finite() && number > 0.0 {
        return Ok(());
    }
    Err(ModelError::config(
        field,
        format!("{number} is not positive"),
    ))
}

fn check_lora(
    field: &'static str,
    lora: Option<&LoraConfig>,
    known: &[&str],
) -> Result<(), ModelError> {
    let Some(lora) = lora else { return Ok(()) };
    check_size(field, lora.rank)?;
    check_positive(field, lora.alpha)?;
    if !(0.0..1.0).contains(&lora.dropout) {
        let reason = format!("dropout {} is not in [0, 1)", lora.dropout);
        return Err(ModelError::config(field, reason));
    }
    match lora.targets.iter().find(|t| !known.contains(&t.as_str())) {
        Some(target) => {
            let reason = format!("unknown target {target:?}; known are {}", known.join(", "));
            Err(ModelError::config(field, reason))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_round_trip() {
        for config in [ModelConfig::expllm_7b(), ModelConfig::tiny()] {
            config.validate().unwrap();
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<ModelConfig>(&json).unwrap(), config);
        }
        assert_eq!(ModelConfig::expllm_7b().vision.num_patches(), 256);
        assert_eq!(VisionConfig::dinov2_small().pretrain_grid(), 37);
    }

    #[test]
    fn impossible_sizes_name_their_field() {
        type Spoil = fn(&mut ModelConfig);
        let spoils: [(&str, Spoil); 9] = [
            ("vision.embed_dim", |c| c.vision.embed_dim = 0),
            ("vision.num_heads", |c| c.vision.num_heads = 5),
            ("vision.patch_size", |c| c.vision.patch_size = 13),
            ("llm.vocab_size", |c| c.llm.vocab_size = usize::MAX),
            ("llm.num_kv_heads", |c| c.llm.num_kv_heads = 3),
            ("llm.head_dim", |c| c.llm.head_dim = 7),
            ("llm.rms_norm_eps", |c| c.llm.rms_norm_eps = f64::NAN),
            ("llm.rope_scaling", |c| {
                c.llm.rope_scaling = RopeScaling::Linear { factor: -1.0 };
            }),
            ("eos_token_id", |c| c.eos_token_id = 70_000),
        ];
        for (expected, spoil) in spoils {
            let mut config = ModelConfig::tiny();
            spoil(&mut config);
            match config.validate() {
                Err(ModelError::Config { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn unknown_adapter_targets_are_refused() {
        let mut config = ModelConfig::tiny();
        if let Some(lora) = &mut config.llm.lora {
            lora.targets.push("qkv".into());
        }
        let message = config.validate().unwrap_err().to_string();
        assert!(
            message.contains("qkv") && message.contains("q_proj"),
            "{message}"
        );
    }
}
