//! Adapter folders as the PEFT library writes them: `adapter_config.json` and
//! `adapter_model.safetensors` (or `.bin`).
//!
//! PEFT knows the language model only. Projector and adapters of the vision encoder lie beside
//! it in `non_lora_trainables.safetensors`, a file that LLaVA's training made known.

use std::path::Path;

use serde_json::{Value, json};

use super::files;
use super::hf_config::MAX_CONFIG_BYTES;
use super::open::{Checkpoint, GENERATION_FILE};
use super::save::{to_json, whole_folder};
use super::sources::{BoxedSource, Joined};
use super::weight_file::WeightFile;
use super::write::WeightsWriter;
use crate::{LlmConfig, LoraConfig, ModelError, TensorSource};

const CONFIG_FILE: &str = "adapter_config.json";
const WEIGHTS_FILE: &str = "adapter_model.safetensors";
const OTHER_FILE: &str = "non_lora_trainables.safetensors";
const VISION_FIELD: &str = "expllm_vision_lora";

/// PEFT's name of an adapter of the language model.
fn peft_name(official: &str) -> Option<String> {
    let adapter = official.starts_with("model.") && official.contains(".lora_");
    adapter.then(|| format!("base_model.model.{official}.weight"))
}

/// The official name of a tensor of an adapter folder. Training wrappers add one more `model.`
/// or `base_model.model.` in front of the rest.
fn official_name(peft: &str) -> Option<String> {
    let mut name = peft;
    while let Some(inner) = name.strip_prefix("base_model.model.") {
        name = inner;
    }
    let name = name.replace(".lora_A.default", ".lora_A");
    let name = name.replace(".lora_B.default", ".lora_B");
    let adapter = name.contains(".lora_");
    Some(match name.strip_suffix(".weight") {
        Some(stem) if adapter => stem.to_owned(),
        _ => name,
    })
}

/// What training changes beside the adapters of the language model.
fn is_other_trainable(name: &str) -> bool {
    name.starts_with("mm_projector.")
        || (name.starts_with("vision_model.") && name.contains(".lora_"))
}

/// Whether a folder holds adapters.
pub(super) fn holds_adapter(dir: &Path) -> bool {
    dir.join(CONFIG_FILE).is_file()
}

/// Puts an adapter folder on a checkpoint. Its projector and vision adapters, if it has them,
/// take the place of the checkpoint's.
///
/// # Errors
///
/// [`ModelError::Format`] for variants other than plain LoRA (DoRA, rank-stabilised, per-layer
/// ranks, trained biases), for weights of another rank, and when the checkpoint has adapters of
/// its own.
pub fn apply_adapter(checkpoint: Checkpoint, dir: &Path) -> Result<Checkpoint, ModelError> {
    let path = dir.join(CONFIG_FILE);
    let fault = |reason: String| ModelError::format(&path, reason);
    let object = Value::Object(files::read_json_object(&path, MAX_CONFIG_BYTES)?);
    let lora = read_config(&object).map_err(fault)?;
    if checkpoint.config.llm.lora.is_some() {
        return Err(fault(
            "the checkpoint has adapters already; merge them first".into(),
        ));
    }
    let mut config = checkpoint.config;
    config.llm.lora = Some(lora.clone());
    if let Some(vision) = object.get(VISION_FIELD) {
        let vision = serde_json::from_value(vision.clone()).map_err(|e| fault(e.to_string()))?;
        let Some(encoder) = config.vision.dinov2_mut() else {
            return Err(fault(
                "has adapters for a vision transformer, which the checkpoint lacks".into(),
            ));
        };
        encoder.lora = Some(vision);
    }
    config
        .validate()
        .map_err(|error| fault(error.to_string()))?;

    let weights = dir.join(WEIGHTS_FILE);
    let weights = if weights.is_file() {
        weights
    } else {
        dir.join("adapter_model.bin")
    };
    let adapter = WeightFile::open(&weights)?;
    for name in adapter
        .names()
        .iter()
        .filter(|name| name.contains("lora_A"))
    {
        let rank = adapter
            .info(name)
            .and_then(|info| info.shape.first().copied())
            .unwrap_or(0);
        if rank != lora.rank {
            return Err(fault(format!(
                "`r` is {}, but {name} has {rank} rows; one of the two files is of another adapter",
                lora.rank
            )));
        }
    }
    let other = dir.join(OTHER_FILE);
    let other: Option<BoxedSource> = match other.is_file() {
        true => Some(Box::new(WeightFile::open(&other)?)),
        false => None,
    };
    let replaced: Vec<String> = other.iter().flat_map(|source| source.names()).collect();
    let mut joined = Joined::default()
        .with(checkpoint.source, |name| {
            (!replaced.iter().any(|other| other == name)).then(|| name.to_owned())
        })?
        .with(Box::new(adapter), official_name)?;
    if let Some(other) = other {
        joined = joined.with(other, |name| Some(name.to_owned()))?;
    }
    Ok(Checkpoint {
        config,
        source: Box::new(joined),
        ..checkpoint
    })
}

fn read_config(object: &Value) -> Result<LoraConfig, String> {
    let flag = |name: &str| object.get(name).and_then(Value::as_bool).unwrap_or(false);
    for variant in ["use_dora", "use_rslora", "fan_in_fan_out"] {
        if flag(variant) {
            return Err(format!("`{variant}` is not supported"));
        }
    }
    for pattern in ["rank_pattern", "alpha_pattern"] {
        let pattern_object = object.get(pattern).and_then(Value::as_object);
        if pattern_object.is_some_and(|object| !object.is_empty()) {
            return Err(format!("`{pattern}` is not supported"));
        }
    }
    let bias = object.get("bias").and_then(Value::as_str).unwrap_or("none");
    if bias != "none" {
        return Err(format!("`bias` is {bias:?}; only \"none\" is supported"));
    }
    let rank = object
        .get("r")
        .and_then(Value::as_u64)
        .ok_or("`r` is missing")?;
    let alpha = object.get("lora_alpha").and_then(Value::as_f64);
    let targets = object.get("target_modules").and_then(Value::as_array);
    let targets = targets.ok_or("`target_modules` is not a list of projections")?;
    let text = |target: &Value| target.as_str().map(str::to_owned);
    Ok(LoraConfig {
        rank: usize::try_from(rank).map_err(|_| "`r` is too large")?,
        alpha: alpha.ok_or("`lora_alpha` is missing")?,
        dropout: object
            .get("lora_dropout")
            .and_then(Value::as_f64)
            .unwrap_or(0.0),
        targets: targets
            .iter()
            .map(|target| text(target).ok_or("`target_modules` holds no texts"))
            .collect::<Result<_, _>>()?,
    })
}

/// Writes the adapters of a checkpoint as a PEFT folder. Beside them come projector and vision
/// adapters, the conversation template and the settings of generation: with the language model
/// that they were trained on, the folder is a whole model.
///
/// # Errors
///
/// [`ModelError::Config`] when the language model has no adapters, else as
/// [`save`](super::save).
pub fn save_adapter(dir: &Path, checkpoint: &Checkpoint) -> Result<(), ModelError> {
    let config = &checkpoint.config;
    let Some(lora) = &config.llm.lora else {
        return Err(ModelError::config(
            "llm.lora",
            "there are no adapters to write",
        ));
    };
    let known: Vec<&String> = lora
        .targets
        .iter()
        .filter(|target| LlmConfig::PROJECTIONS.contains(&target.as_str()))
        .collect();
    let mut object = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": known,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
    });
    if let Some(vision) = config.vision.lora() {
        object[VISION_FIELD] = json!(vision);
    }
    let writer = WeightsWriter {
        dtype: None,
        shard_bytes: u64::MAX,
        check_finite: true,
    };
    let source = checkpoint.source.as_ref();
    let generation = to_json(&checkpoint.generation)?;
    whole_folder(dir, |folder| {
        files::write_json(&folder.join(CONFIG_FILE), &object)?;
        files::write_json(&folder.join(GENERATION_FILE), &generation)?;
        checkpoint.prompt.save(folder)?;
        let adapters = Chosen::new(source, peft_name);
        writer.write_single(&folder.join(WEIGHTS_FILE), &adapters)?;
        let other = Chosen::new(source, |name| {
            is_other_trainable(name).then(|| name.to_owned())
        });
        writer.write_single(&folder.join(OTHER_FILE), &other)
    })
}

/// Some tensors of a source under other names.
struct Chosen<'a> {
    source: &'a dyn TensorSource,
    /// New and old names.
    names: Vec<(String, String)>,
}

impl<'a> Chosen<'a> {
    fn new(source: &'a dyn TensorSource, rename: impl Fn(&str) -> Option<String>) -> Self {
        let names = source.names().into_iter();
        let names = names.filter_map(|old| Some((rename(&old)?, old))).collect();
        Self { source, names }
    }

    fn old(&self, name: &str) -> Option<&str> {
        let (_, old) = self.names.iter().find(|(new, _)| new == name)?;
        Some(old)
    }
}

impl TensorSource for Chosen<'_> {
    fn names(&self) -> Vec<String> {
        self.names.iter().map(|(new, _)| new.clone()).collect()
    }

    fn info(&self, name: &str) -> Option<crate::TensorInfo> {
        self.source.info(self.old(name)?)
    }

    fn read(&self, name: &str) -> Result<burn::tensor::TensorData, ModelError> {
        let old = self.old(name);
        let old = old.ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))?;
        self.source.read(old)
    }
}
