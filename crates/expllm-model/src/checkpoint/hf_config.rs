//! `config.json` of the official layout and of LLaMA folders, as a [`ModelConfig`].

use std::path::Path;

use serde_json::{Map, Value};

use super::{files, foreign};
use crate::{
    Dinov2Config, LlmConfig, LoraConfig, ModelConfig, ModelError, ProjectorKind, RopeScaling,
    TensorSource, VisionConfig,
};

pub(super) const CONFIG_FILE: &str = "config.json";
pub(super) const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// The fields of a `config.json` with the file that they come from.
pub(super) struct Fields<'a> {
    pub(super) path: &'a Path,
    pub(super) object: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn fault(&self, reason: impl Into<String>) -> ModelError {
        ModelError::format(self.path, reason)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn size(&self, name: &str) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(|| self.fault(format!("`{name}` is {value}, not a count")))?;
        Ok(Some(size))
    }

    fn needed(&self, name: &str) -> Result<usize, ModelError> {
        self.size(name)?
            .ok_or_else(|| self.fault(format!("`{name}` is missing")))
    }

    fn number(&self, name: &str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let number = value.as_f64();
        number
            .map(Some)
            .ok_or_else(|| self.fault(format!("`{name}` is {value}, not a number")))
    }

    fn flag(&self, name: &str) -> bool {
        self.value(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn id(&self, name: &str, default: u32) -> Result<u32, ModelError> {
        // Some LLaMA folders list several end tokens; the first one ends a turn.
        let value = self.value(name).map(|value| value.get(0).unwrap_or(value));
        // Old LLaMA folders write -1 for a token that they have not.
        let Some(value) = value.filter(|value| value.as_i64() != Some(-1)) else {
            return Ok(default);
        };
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| self.fault(format!("`{name}` is {value}, not a token id")))
    }

    /// One token or several.
    pub(super) fn ids(&self, name: &str) -> Result<Vec<u32>, ModelError> {
        let Some(value) = self.value(name) else {
            return Ok(Vec::new());
        };
        let single = std::slice::from_ref(value);
        let values = value.as_array().map_or(single, Vec::as_slice);
        let values = values.iter().filter(|value| value.as_i64() != Some(-1));
        values
            .map(|value| {
                let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
                id.ok_or_else(|| self.fault(format!("`{name}` has {value}, not a token id")))
            })
            .collect()
    }

    /// The language model, without adapters.
    pub(super) fn llm(&self) -> Result<LlmConfig, ModelError> {
        let hidden_size = self.needed("hidden_size")?;
        let num_heads = self.needed("num_attention_heads")?;
        let head_dim = match self.size("head_dim")? {
            Some(head_dim) => head_dim,
            None if num_heads > 0 => hidden_size / num_heads,
            None => return Err(self.fault("`num_attention_heads` is 0")),
        };
        foreign::check(self.object, head_dim).map_err(|reason| self.fault(reason))?;
        let max_positions = self.positions()?;
        Ok(LlmConfig {
            vocab_size: self.needed("vocab_size")?,
            hidden_size,
            intermediate_size: self.needed("intermediate_size")?,
            num_layers: self.needed("num_hidden_layers")?,
            num_heads,
            num_kv_heads: self.size("num_key_value_heads")?.unwrap_or(num_heads),
            head_dim,
            rope_theta: self.rope_theta()?,
            rope_scaling: self.rope_scaling(max_positions)?,
            rms_norm_eps: self.number("rms_norm_eps")?.unwrap_or(1e-6),
            tie_word_embeddings: self.flag("tie_word_embeddings"),
            max_positions,
            lora: None,
        })
    }

    /// Positions that the model knows. One that looks back over a window alone computes as LLaMA
    /// does as far as the window goes.
    fn positions(&self) -> Result<usize, ModelError> {
        let positions = self.needed("max_position_embeddings")?;
        let windowed = self.value("use_sliding_window") != Some(&Value::Bool(false));
        let window = self.size("sliding_window")?.filter(|_| windowed);
        Ok(window.unwrap_or(positions).min(positions))
    }

    /// The base of the rotary frequencies, which transformers from version 5 on writes beside
    /// their scaling.
    fn rope_theta(&self) -> Result<f64, ModelError> {
        let inner = self.value("rope_parameters").and_then(Value::as_object);
        let inner = inner.map(|object| {
            Fields {
                path: self.path,
                object,
            }
            .number("rope_theta")
        });
        let inner = inner.transpose()?.flatten();
        Ok(self.number("rope_theta")?.or(inner).unwrap_or(10_000.0))
    }

    fn rope_scaling(&self, max_positions: usize) -> Result<RopeScaling, ModelError> {
        let scaling = (self.value("rope_scaling")).or_else(|| self.value("rope_parameters"));
        let Some(object) = scaling.and_then(Value::as_object) else {
            return Ok(RopeScaling::None);
        };
        let inner = Fields {
            path: self.path,
            object,
        };
        let needed = |name: &str| {
            inner
                .number(name)?
                .ok_or_else(|| self.fault(format!("`rope_scaling` lacks `{name}`")))
        };
        let original = inner.size("original_max_position_embeddings")?;
        let original_max_positions = original.unwrap_or(max_positions);
        let kind = inner.value("rope_type").or_else(|| inner.value("type"));
        match kind.and_then(Value::as_str) {
            Some("default") | None => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear {
                factor: needed("factor")?,
            }),
            Some("llama3") => Ok(RopeScaling::Llama3 {
                factor: needed("factor")?,
                low_freq_factor: needed("low_freq_factor")?,
                high_freq_factor: needed("high_freq_factor")?,
                original_max_positions,
            }),
            Some("yarn") => Ok(RopeScaling::Yarn {
                factor: needed("factor")?,
                original_max_positions,
                beta_fast: inner.number("beta_fast")?.unwrap_or(32.0),
                beta_slow: inner.number("beta_slow")?.unwrap_or(1.0),
            }),
            Some(other) => Err(self.fault(format!("`rope_scaling` of the type {other:?}"))),
        }
    }

    /// Rank and scale of adapters; the projections are those that the weights adapt.
    fn lora(
        &self,
        part: &str,
        adapted: &[(&str, String)],
        source: &dyn TensorSource,
    ) -> Result<Option<LoraConfig>, ModelError> {
        let found: Vec<_> = adapted
            .iter()
            .filter_map(|(target, name)| Some((*target, source.info(name)?)))
            .collect();
        let Some((_, first)) = found.first() else {
            return Ok(None);
        };
        let rank = first.shape.first().copied().unwrap_or(0);
        let stated = self.size(&format!("lora_{part}_r"))?.unwrap_or(rank);
        if rank != stated {
            return Err(self.fault(format!(
                "`lora_{part}_r` is {stated}, but the adapters have rank {rank}"
            )));
        }
        let alpha = self.number(&format!("lora_{part}_alpha"))?;
        Ok(Some(LoraConfig {
            rank,
            alpha: alpha.ok_or_else(|| self.fault(format!("`lora_{part}_alpha` is missing")))?,
            dropout: self.number(&format!("lora_{part}_dropout"))?.unwrap_or(0.0),
            targets: found
                .iter()
                .map(|(target, _)| (*target).to_owned())
                .collect(),
        }))
    }

    /// The whole model of an official folder: what `config.json` does not say is read from the
    /// shapes of the weights.
    pub(super) fn official(&self, source: &dyn TensorSource) -> Result<ModelConfig, ModelError> {
        let mut llm = self.llm()?;
        let adapted = LlmConfig::PROJECTIONS.map(|target| {
            let block = match target {
                "gate_proj" | "up_proj" | "down_proj" => "mlp",
                _ => "self_attn",
            };
            (target, format!("model.layers.0.{block}.{target}.lora_A"))
        });
        llm.lora = self.lora("llm", &adapted, source)?;
        let mut vision = vision_shape(source, self.vision_heads()?).map_err(|r| self.fault(r))?;
        vision.image_size = self.size("crop_size")?.unwrap_or(224);
        let adapted =
            ["q", "k", "v"].map(|t| (t, format!("vision_model.blocks.0.attn.lora_A_{t}")));
        vision.lora = self.lora("vision", &adapted, source)?;
        self.finish(VisionConfig::Dinov2(vision), llm, source)
    }

    /// A model of a vision encoder and a language model of their own.
    pub(super) fn finish(
        &self,
        vision: VisionConfig,
        llm: LlmConfig,
        source: &dyn TensorSource,
    ) -> Result<ModelConfig, ModelError> {
        let projector = if source.info("mm_projector.weight").is_some() {
            ProjectorKind::Linear
        } else {
            ProjectorKind::Mlp
        };
        let image_token = u32::try_from(llm.vocab_size).unwrap_or(u32::MAX);
        let config = ModelConfig {
            vision,
            projector,
            image_token_id: self.id("im_patch_token", image_token)?,
            bos_token_id: self.id("bos_token_id", 1)?,
            eos_token_id: self.id("eos_token_id", 2)?,
            pad_token_id: self.id("pad_token_id", 0)?,
            llm,
        };
        config
            .validate()
            .map_err(|error| self.fault(error.to_string()))?;
        if let Some(patches) = self.size("num_patches")?
            && patches != config.vision.num_patches()
        {
            let found = config.vision.num_patches();
            return Err(self.fault(format!("`num_patches` is {patches}, the image has {found}")));
        }
        Ok(config)
    }

    /// Heads of the vision encoder by a `vision_config.json` beside, which the published folder
    /// has not.
    fn vision_heads(&self) -> Result<Option<usize>, ModelError> {
        let path = self.path.with_file_name("vision_config.json");
        if !path.is_file() {
            return Ok(None);
        }
        let object = files::read_json_object(&path, MAX_CONFIG_BYTES)?;
        let fields = Fields {
            path: &path,
            object: &object,
        };
        fields.size("num_heads")
    }
}

/// Sizes of a DINOv2 encoder by the shapes of its weights. Heads are 64 wide, as in every
/// published size, unless their number is given.
pub(super) fn vision_shape(
    source: &dyn TensorSource,
    heads: Option<usize>,
) -> Result<Dinov2Config, String> {
    let shape = |name: &str| {
        let name = format!("vision_model.{name}");
        let info = source.info(&name);
        info.map(|info| info.shape)
            .ok_or(format!("the weights lack {name:?}"))
    };
    let [embed_dim, 3, patch_size, _] = shape("patch_embed.proj.weight")?[..] else {
        return Err("the patch embedding is not [width, 3, side, side]".into());
    };
    let [_, positions, _] = shape("pos_embed")?[..] else {
        return Err("the position embedding is not [1, positions, width]".into());
    };
    let hidden = shape("blocks.0.mlp.fc1.weight")?
        .first()
        .copied()
        .unwrap_or(0);
    let grid = positions.saturating_sub(1).isqrt();
    if grid * grid + 1 != positions || embed_dim == 0 {
        return Err(format!(
            "{positions} positions are not those of a square image and a token"
        ));
    }
    let depth = (0..)
        .take_while(|block| {
            let name = format!("vision_model.blocks.{block}.norm1.weight");
            source.info(&name).is_some()
        })
        .count();
    Ok(Dinov2Config {
        embed_dim,
        depth,
        num_heads: heads.unwrap_or(embed_dim / 64),
        mlp_ratio: hidden as f64 / embed_dim as f64,
        patch_size,
        pretrain_image_size: grid.saturating_mul(patch_size),
        ..Dinov2Config::large()
    })
}
