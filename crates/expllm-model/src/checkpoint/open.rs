//! Recognising and opening the layouts of checkpoint folders.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::files;
use super::fresh::FreshProjector;
use super::hf_config::{CONFIG_FILE, Fields, MAX_CONFIG_BYTES, vision_shape};
use super::sources::{BoxedSource, Joined, open_file, open_weights};
use crate::conversation::PromptTemplate;
use crate::generation::GenerationSettings;
use crate::loading::check;
use crate::{AddedToken, ExpLlm, LoadOptions, ModelConfig, ModelError, Tokenizer, default_device};

pub(super) const GENERATION_FILE: &str = "generation_config.json";

/// Everything that a checkpoint folder holds; weights are read when they are asked for.
pub struct Checkpoint {
    /// Sizes and options.
    pub config: ModelConfig,
    /// The weights under their official names.
    pub source: BoxedSource,
    /// The tokenizer with the image token added; `None` when the folder has none.
    pub tokenizer: Option<Tokenizer>,
    /// The conversation template: the folder's own or the default.
    pub prompt: PromptTemplate,
    /// How answers are chosen: the folder's own or the default.
    pub generation: GenerationSettings,
}

impl Checkpoint {
    /// Checks names and shapes of all weights against the configuration, without reading them.
    ///
    /// # Errors
    ///
    /// [`ModelError::Weights`] names every tensor that is missing, unexpected or misshapen.
    pub fn verify(&self) -> Result<(), ModelError> {
        // Parameters are lazy, so this takes no memory for weights.
        let model = ExpLlm::init(&self.config, &default_device()?)?;
        check(&model, self.source.as_ref(), &LoadOptions::default()).map(drop)
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("config", &self.config)
            .field("tensors", &self.source.names().len())
            .field("tokenizer", &self.tokenizer.is_some())
            .finish_non_exhaustive()
    }
}

/// Opens a checkpoint folder of any layout:
///
/// - native: what [`save`](super::save) writes
/// - official: `config.json` of the `model_type` `locllm` with `pytorch_model*.bin` or safetensors
/// - parts: a LLaMA folder with one `dinov2*.pth` in it, as [`open_parts`] with seed 0
///
/// Tensors are listed and checked against their files; none is read.
///
/// # Errors
///
/// [`ModelError::Io`] and [`ModelError::Format`] with the file that cannot be used.
pub fn open(dir: &Path) -> Result<Checkpoint, ModelError> {
    let path = dir.join(CONFIG_FILE);
    let object = files::read_json_object(&path, MAX_CONFIG_BYTES)?;
    if object.contains_key("vision") && object.contains_key("llm") {
        return open_native(dir, &path, object);
    }
    if let Some(vision) = dino_file(dir)? {
        return open_parts(dir, &vision, 0);
    }
    let source = needed_weights(dir)?;
    let source: BoxedSource = Box::new(Joined::default().with(source, official_name)?);
    let fields = Fields {
        path: &path,
        object: &object,
    };
    let config = fields.official(source.as_ref())?;
    finish(dir, config, source)
}

/// Opens a vision encoder (`dinov2_*.pth`) and a folder with a language model of the LLaMA family
/// as one model; the projector between them is drawn from `seed`, and there are no adapters yet.
///
/// # Errors
///
/// As [`open`].
pub fn open_parts(llama: &Path, vision: &Path, seed: u64) -> Result<Checkpoint, ModelError> {
    let path = llama.join(CONFIG_FILE);
    let object = files::read_json_object(&path, MAX_CONFIG_BYTES)?;
    let fields = Fields {
        path: &path,
        object: &object,
    };
    let joined = Joined::default()
        .with(needed_weights(llama)?, official_name)?
        .with(open_file(vision)?, |name| {
            official_name(&format!("vision_model.{name}"))
        })?;
    let vision_config =
        vision_shape(&joined, None).map_err(|reason| ModelError::format(vision, reason))?;
    let llm = fields.llm()?;
    let projector = FreshProjector::new(vision_config.embed_dim, llm.hidden_size, seed);
    let joined = joined.with(Box::new(projector), official_name)?;
    let mut config = fields.finish(vision_config, llm, &joined)?;
    if let Some(tokenizer) = Tokenizer::open(llama)? {
        let prompt = PromptTemplate::open(llama)?.unwrap_or_default();
        let next = u32::try_from(tokenizer.vocab_size()).unwrap_or(u32::MAX);
        config.image_token_id = tokenizer.token_id(&prompt.image_token).unwrap_or(next);
    }
    finish(llama, config, Box::new(joined))
}

fn open_native(
    dir: &Path,
    path: &Path,
    object: Map<String, Value>,
) -> Result<Checkpoint, ModelError> {
    let fault = |reason: String| ModelError::format(path, reason);
    let config = native_config(object).map_err(|error| fault(error.to_string()))?;
    config
        .validate()
        .map_err(|error| fault(error.to_string()))?;
    finish(dir, config, needed_weights(dir)?)
}

/// Reads the sizes of a native folder; a vision encoder without a kind is a DINOv2.
fn native_config(mut object: Map<String, Value>) -> Result<ModelConfig, serde_json::Error> {
    if let Some(Value::Object(vision)) = object.get_mut("vision")
        && !vision.contains_key("kind")
    {
        vision.insert("kind".to_owned(), "dinov2".into());
    }
    serde_json::from_value(Value::Object(object))
}

fn needed_weights(dir: &Path) -> Result<BoxedSource, ModelError> {
    open_weights(dir)?.ok_or_else(|| {
        let reason = "no model.safetensors and no pytorch_model.bin, whole or with an index";
        ModelError::format(dir, reason)
    })
}

fn finish(dir: &Path, config: ModelConfig, source: BoxedSource) -> Result<Checkpoint, ModelError> {
    let prompt = PromptTemplate::open(dir)?.unwrap_or_default();
    let tokenizer = match Tokenizer::open(dir)? {
        Some(tokenizer) => Some(with_image_token(tokenizer, &config, &prompt)?),
        None => None,
    };
    Ok(Checkpoint {
        tokenizer,
        generation: generation_settings(dir)?,
        prompt,
        config,
        source,
    })
}

/// Adds the image token as the reference does at run time, and checks that the tokenizer is the
/// model's.
fn with_image_token(
    tokenizer: Tokenizer,
    config: &ModelConfig,
    prompt: &PromptTemplate,
) -> Result<Tokenizer, ModelError> {
    let image = AddedToken::stripping(&prompt.image_token, config.image_token_id);
    let tokenizer = tokenizer.with_token(image)?;
    let known = config
        .llm
        .vocab_size
        .max(config.image_token_id as usize + 1);
    if tokenizer.vocab_size() > known {
        return Err(ModelError::Tokenizer(format!(
            "{} tokens for a model with {known}; is it another model's?",
            tokenizer.vocab_size()
        )));
    }
    Ok(tokenizer)
}

/// Reads `generation_config.json`. A file of transformers has other fields too; sampling is off
/// there unless `do_sample` says otherwise, whatever the temperature.
fn generation_settings(dir: &Path) -> Result<GenerationSettings, ModelError> {
    let path = dir.join(GENERATION_FILE);
    if !path.is_file() {
        return Ok(GenerationSettings::default());
    }
    let mut object = files::read_json_object(&path, MAX_CONFIG_BYTES)?;
    object.retain(|_, value| !value.is_null());
    let foreign = object.contains_key("transformers_version") || object.contains_key("do_sample");
    let samples = object.get("do_sample").and_then(Value::as_bool);
    if foreign && samples != Some(true) {
        object.remove("temperature");
        object.remove("top_p");
    }
    let fault = |error: String| ModelError::format(&path, error);
    let settings: GenerationSettings =
        serde_json::from_value(Value::Object(object)).map_err(|error| fault(error.to_string()))?;
    settings
        .validate()
        .map_err(|error| fault(error.to_string()))?;
    Ok(settings)
}

/// Official names are kept; buffers that the model computes itself are left out.
fn official_name(name: &str) -> Option<String> {
    let unused = name.ends_with(".rotary_emb.inv_freq") || name == "vision_model.mask_token";
    (!unused).then(|| name.to_owned())
}

/// The one `dinov2*.pth` of a folder.
fn dino_file(dir: &Path) -> Result<Option<PathBuf>, ModelError> {
    let io = |error| ModelError::io(dir, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if name.is_some_and(|name| name.starts_with("dinov2") && name.ends_with(".pth")) {
            found.push(path);
        }
    }
    if found.len() > 1 {
        return Err(ModelError::format(
            dir,
            "more than one dinov2*.pth; keep one",
        ));
    }
    Ok(found.pop())
}
