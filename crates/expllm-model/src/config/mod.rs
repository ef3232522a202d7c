//! Sizes and options of a model; everything else follows from them.

mod checks;
mod dinov2;
mod llm;
mod vision;

use serde::{Deserialize, Serialize};

pub use dinov2::Dinov2Config;
pub use llm::{LlmConfig, RopeScaling};
pub use vision::{ConvolutionalConfig, VisionConfig};

use crate::ModelError;

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
            vision: VisionConfig::Dinov2(Dinov2Config {
                lora: Some(lora(["q", "v"])),
                ..Dinov2Config::large()
            }),
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
        config.vision = VisionConfig::Dinov2(Dinov2Config {
            embed_dim: 48,
            depth: 2,
            num_heads: 4,
            image_size: 56,
            pretrain_image_size: 98,
            lora: config.vision.lora().cloned(),
            ..Dinov2Config::large()
        });
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

#[cfg(test)]
mod tests {
    use expllm_face::au::AuNetworkConfig;
    use expllm_face::backbone::BackboneConfig;

    use super::*;

    #[test]
    fn presets_are_valid_and_round_trip() {
        for config in [ModelConfig::expllm_7b(), ModelConfig::tiny()] {
            config.validate().unwrap();
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<ModelConfig>(&json).unwrap(), config);
        }
        assert_eq!(ModelConfig::expllm_7b().vision.num_patches(), 256);
        assert_eq!(Dinov2Config::small().pretrain_grid(), 37);
    }

    #[test]
    fn impossible_sizes_name_their_field() {
        type Spoil = fn(&mut ModelConfig);
        fn vision(config: &mut ModelConfig) -> &mut Dinov2Config {
            config.vision.dinov2_mut().unwrap()
        }
        let spoils: [(&str, Spoil); 9] = [
            ("vision.embed_dim", |c| vision(c).embed_dim = 0),
            ("vision.num_heads", |c| vision(c).num_heads = 5),
            ("vision.patch_size", |c| vision(c).patch_size = 13),
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
    fn convolutional_encoders_are_checked_and_round_trip() {
        let mut config = ModelConfig::tiny();
        let backbone = BackboneConfig::new(vec![8], vec![16, 32], vec![1, 1]).with_grid(2);
        let encoder = ConvolutionalConfig {
            network: AuNetworkConfig::new().with_side(32).with_backbone(backbone),
        };
        config.vision = VisionConfig::Convolutional(encoder.clone());
        config.validate().unwrap();
        assert_eq!(config.vision.num_patches(), crate::SCORE_TOKENS);
        let json = serde_json::to_string(&config).unwrap();
        assert!(json.contains("convolutional"));
        assert_eq!(serde_json::from_str::<ModelConfig>(&json).unwrap(), config);
        let with = |change: fn(&mut ConvolutionalConfig)| {
            let mut encoder = encoder.clone();
            change(&mut encoder);
            encoder
        };
        for spoilt in [
            with(|c| c.network.side = 0),
            with(|c| c.network.backbone.grid = 0),
            with(|c| c.network.backbone.stem = vec![0]),
            with(|c| c.network.backbone.widths = vec![usize::MAX, 16]),
            with(|c| c.network.backbone.blocks = vec![0, 1]),
            with(|c| c.network.backbone.blocks = vec![1]),
        ] {
            config.vision = VisionConfig::Convolutional(spoilt);
            assert!(config.validate().is_err(), "{config:?}");
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
