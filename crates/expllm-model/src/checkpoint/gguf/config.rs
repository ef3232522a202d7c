//! The metadata as `config.json` of a transformers folder, which is checked like one.

use serde_json::{Map, Value, json};

use super::header::Header;
use super::metadata::Metadata;
use super::names::ROPE_FACTORS;

/// More channels than any head has.
const MAX_FACTORS: usize = 4096;

/// The constants of every Llama 3 model with stretched positions (transformers `config.json`):
/// factors of the lowest and highest frequencies, and positions of pre-training.
const LLAMA3: (f64, f64, usize) = (1.0, 4.0, 8192);

/// Translates the metadata.
pub(super) fn read(header: &Header<'_>, file: &[u8]) -> Result<Map<String, Value>, String> {
    let metadata = &header.metadata;
    check_architecture(metadata)?;
    let shape = Shape::read(header)?;
    let theta = metadata.number("llama.rope.freq_base")?.unwrap_or(1e4);
    let eps_key = "llama.attention.layer_norm_rms_epsilon";
    let eps = needed(eps_key, metadata.number(eps_key)?)?;
    let scaling = match rope_factors(header, file)? {
        Some(factors) => llama3(&factors, theta, &shape)?,
        None => scaling(metadata, &shape)?,
    };
    let mut config = fields(json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "attention_bias": false,
        "mlp_bias": false,
        "rms_norm_eps": shorter(eps),
        "rope_theta": shorter(theta),
        "rope_scaling": scaling,
        "tie_word_embeddings": !header.directory.contains_key("output.weight"),
    }));
    config.extend(shape.fields());
    config.extend(token_ids(metadata)?);
    Ok(config)
}

fn check_architecture(metadata: &Metadata<'_>) -> Result<(), String> {
    let key = "general.architecture";
    let architecture = needed(key, metadata.text(key)?)?;
    if architecture != "llama" {
        return Err(format!(
            "a model of the architecture {architecture:?}; only \"llama\" can be read"
        ));
    }
    match metadata.unsigned("llama.expert_count")? {
        None | Some(0) => Ok(()),
        Some(experts) => Err(format!(
            "a mixture of {experts} experts, which is not read here"
        )),
    }
}

/// The tokens that begin, end and fill, as far as the file names them.
fn token_ids(metadata: &Metadata<'_>) -> Result<Map<String, Value>, String> {
    let id = |name: &str| metadata.unsigned(&format!("tokenizer.ggml.{name}_token_id"));
    // The end of a turn is another token than the end of a text in some models.
    let ends: Vec<u64> = [id("eos")?, id("eot")?].into_iter().flatten().collect();
    let ends = match ends[..] {
        [] => None,
        [one] => Some(json!(one)),
        [one, other] if one == other => Some(json!(one)),
        _ => Some(json!(ends)),
    };
    let mut ids = fields(json!({
        "bos_token_id": id("bos")?,
        "eos_token_id": ends,
        // LLaMA has no padding token; the reference pads with the unknown one.
        "pad_token_id": id("padding")?.or(id("unknown")?),
    }));
    ids.retain(|_, id| !id.is_null());
    Ok(ids)
}

/// The members of an object.
fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Query heads and key heads of a configuration that [`read`] made.
pub(super) fn heads(config: &Map<String, Value>) -> [usize; 2] {
    ["num_attention_heads", "num_key_value_heads"]
        .map(|key| config.get(key).and_then(Value::as_u64).unwrap_or(1) as usize)
}

/// The sizes of the model.
struct Shape {
    vocabulary: u64,
    width: u64,
    hidden: u64,
    layers: u64,
    heads: u64,
    key_heads: u64,
    head_width: u64,
    positions: u64,
}

impl Shape {
    fn read(header: &Header<'_>) -> Result<Self, String> {
        let metadata = &header.metadata;
        let size = |key: &str| needed(key, metadata.unsigned(key)?);
        let (width, heads) = (
            size("llama.embedding_length")?,
            size("llama.attention.head_count")?,
        );
        let key_heads = metadata.unsigned("llama.attention.head_count_kv")?;
        let key_heads = key_heads.unwrap_or(heads);
        if heads == 0 || key_heads == 0 || heads > width {
            return Err(format!(
                "{heads} heads with {key_heads} for keys in a width of {width}"
            ));
        }
        let head_width = metadata.unsigned("llama.attention.key_length")?;
        let head_width = head_width.unwrap_or(width / heads);
        for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
            if let Some(other) = metadata.unsigned(key)?
                && other != head_width
            {
                return Err(format!("{key:?} is {other}, heads are {head_width} wide"));
            }
        }
        let table = header.directory.get("token_embd.weight");
        let rows = table.and_then(|entry| entry.info.shape.first());
        let vocabulary = match metadata.unsigned("llama.vocab_size")? {
            Some(size) => size,
            None => *rows.ok_or("tensor \"token_embd.weight\" is missing")? as u64,
        };
        Ok(Self {
            vocabulary,
            width,
            hidden: size("llama.feed_forward_length")?,
            layers: size("llama.block_count")?,
            heads,
            key_heads,
            head_width,
            positions: size("llama.context_length")?,
        })
    }

    fn fields(&self) -> Map<String, Value> {
        fields(json!({
            "vocab_size": self.vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_heads,
            "head_dim": self.head_width,
            "max_position_embeddings": self.positions,
        }))
    }
}

fn needed<T>(key: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("the key {key:?} is missing"))
}

/// An f32 number in the fewest digits that give it, such as 1e-5 rather than 9.99999974e-6.
fn shorter(number: f64) -> f64 {
    let short = number as f32;
    match f64::from(short) == number {
        true => short.to_string().parse().unwrap_or(number),
        false => number,
    }
}

/// Stretching of the rotary positions as the metadata says it.
fn scaling(metadata: &Metadata<'_>, shape: &Shape) -> Result<Option<Value>, String> {
    let number = |key: &str| metadata.number(&format!("llama.rope.{key}"));
    let kind = metadata.text("llama.rope.scaling.type")?;
    // Files of 2023 have the factor alone.
    let old = number("scale_linear")?;
    let factor = number("scaling.factor")?.or(old);
    match (kind, factor) {
        (Some("none"), _) | (None, None) => Ok(None),
        (Some("linear") | None, Some(factor)) => Ok(Some(json!({
            "rope_type": "linear", "factor": shorter(factor),
        }))),
        (Some("yarn"), Some(factor)) => {
            let original = metadata.unsigned("llama.rope.scaling.original_context_length")?;
            Ok(Some(json!({
                "rope_type": "yarn",
                "factor": shorter(factor),
                "original_max_position_embeddings": original.unwrap_or(shape.positions),
                "beta_fast": number("scaling.yarn_beta_fast")?.map_or(32.0, shorter),
                "beta_slow": number("scaling.yarn_beta_slow")?.map_or(1.0, shorter),
            })))
        }
        (Some("linear" | "yarn"), None) => {
            Err("the key \"llama.rope.scaling.factor\" is missing".into())
        }
        (Some(other), _) => Err(format!("rotary positions of the type {other:?}")),
    }
}

/// The divisors of the rotary frequencies, where the file has them.
fn rope_factors(header: &Header<'_>, file: &[u8]) -> Result<Option<Vec<f32>>, String> {
    let Some(entry) = header.directory.get(ROPE_FACTORS) else {
        return Ok(None);
    };
    let fault = || format!("tensor {ROPE_FACTORS:?} is no list of f32 numbers");
    let bytes = entry
        .info
        .bytes()
        .filter(|_| entry.info.dtype == burn::tensor::DType::F32);
    let plain = bytes == Some(entry.bytes) && entry.bytes <= 4 * MAX_FACTORS;
    let bytes = file.get(entry.start..entry.start + entry.bytes);
    let bytes = bytes
        .filter(|_| plain && entry.blocks.is_none())
        .ok_or_else(fault)?;
    let factors = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
    Ok(Some(factors.collect()))
}

/// The configuration of Llama 3 whose frequencies are divided by these numbers. Files hold the
/// divisors alone, so the constants of the published models are tried.
fn llama3(factors: &[f32], theta: f64, shape: &Shape) -> Result<Option<Value>, String> {
    let factor = f64::from(factors.iter().copied().fold(0.0, f32::max));
    if factors.iter().all(|&divisor| divisor == 1.0) {
        return Ok(None);
    }
    let (low, high, original) = LLAMA3;
    let expected = |pair: usize| {
        let frequency = theta.powf(-((2 * pair) as f64) / shape.head_width as f64);
        let turns = original as f64 * frequency / std::f64::consts::TAU;
        let keep = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        1.0 / (keep + (1.0 - keep) / factor)
    };
    let fits = factors.len() as u64 == shape.head_width / 2
        && factors
            .iter()
            .enumerate()
            .all(|(pair, &divisor)| (f64::from(divisor) / expected(pair) - 1.0).abs() < 1e-3);
    if !fits {
        return Err(format!(
            "tensor {ROPE_FACTORS:?} does not divide frequencies as Llama 3.1 does"
        ));
    }
    Ok(Some(json!({
        "rope_type": "llama3",
        "factor": shorter(factor),
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    })))
}
