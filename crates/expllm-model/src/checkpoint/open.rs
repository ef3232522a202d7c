//! Recognising and opening the layouts of checkpoint folders.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::blocks::FromBlocks;
use super::files;
use super::fresh::FreshProjector;
use super::hf_config::{CONFIG_FILE, Fields, MAX_CONFIG_BYTES, vision_shape};
use super::language::LanguageModel;
use super::on_detector::open_on_detector;
use super::peft::{apply_adapter, holds_adapter};
use super::sources::{BoxedSource, Joined, open_weights};
use super::weight_file::{WeightFile, WeightFormat};
use crate::conversation::PromptTemplate;
use crate::generation::GenerationSettings;
use crate::loading::check;
use crate::{
    AddedToken, ExpLlm, LoadOptions, ModelConfig, ModelError, Tokenizer, VisionConfig,
    default_device,
};

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
        let model = ExpLlm::init(&self.config, &default_device())?;
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
/// - parts: a LLaMA folder or one `.gguf` file with one `dinov2*.pth` beside it, as
///   [`open_parts`] with seed 0; the path of the `.gguf` file does as well as that of its folder
/// - tuned: an adapter folder with one `.gguf` file beside the adapters, as [`open_on_detector`]
///   with the adapters put on
///
/// Tensors are listed and checked against their files; none is read.
///
/// # Errors
///
/// [`ModelError::Io`] and [`ModelError::Format`] with the file that cannot be used.
pub fn open(dir: &Path) -> Result<Checkpoint, ModelError> {
    if let Some(file) = gguf_file(dir)? {
        return open_file(&file);
    }
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
    finish(dir, config, source, Tokenizer::open(dir)?)
}

/// A `.gguf` file with what lies beside it: a vision encoder, adapters.
fn open_file(file: &Path) -> Result<Checkpoint, ModelError> {
    let beside = file.parent().unwrap_or(Path::new(""));
    let tuned = holds_adapter(beside);
    let checkpoint = match dino_file(beside)? {
        Some(vision) => open_parts(file, &vision, 0)?,
        None if tuned => open_on_detector(file, 0)?,
        None => {
            let reason = "a language model alone; name a dinov2*.pth with it or put one beside it, \
                          or the adapters of a model that was trained behind the detector";
            return Err(ModelError::format(file, reason));
        }
    };
    match tuned {
        true => apply_adapter(checkpoint, beside),
        false => Ok(checkpoint),
    }
}

/// Whether a path holds a language model alone, for [`LanguageModel`], and nothing that [`open`]
/// could make a whole model of.
///
/// # Errors
///
/// As [`open`].
pub fn is_language_alone(path: &Path) -> Result<bool, ModelError> {
    if let Some(file) = gguf_file(path)? {
        let beside = file.parent().unwrap_or(Path::new(""));
        return Ok(dino_file(beside)?.is_none() && !holds_adapter(beside));
    }
    let object = files::read_json_object(&path.join(CONFIG_FILE), MAX_CONFIG_BYTES)?;
    if object.contains_key("vision") || dino_file(path)?.is_some() {
        return Ok(false);
    }
    let names = needed_weights(path)?.names();
    Ok(!names.iter().any(|name| name.starts_with("vision_model.")))
}

/// Opens a vision encoder (`dinov2_*.pth`) and a language model of the LLaMA family, a folder or
/// a `.gguf` file, as one model; the projector between them is drawn from `seed`, and there are
/// no adapters yet.
///
/// # Errors
///
/// As [`open`].
pub fn open_parts(llama: &Path, vision: &Path, seed: u64) -> Result<Checkpoint, ModelError> {
    let language = LanguageModel::open(llama)?;
    let encoder = Box::new(WeightFile::open(vision)?);
    let joined = Joined::default()
        .with(language.source, |name| Some(name.to_owned()))?
        .with(encoder, |name| {
            official_name(&format!("vision_model.{name}"))
        })?;
    let vision_config =
        vision_shape(&joined, None).map_err(|reason| ModelError::format(vision, reason))?;
    let projector = FreshProjector::new(vision_config.embed_dim, language.config.hidden_size, seed);
    let joined = joined.with(Box::new(projector), official_name)?;
    let fields = Fields {
        path: &language.path,
        object: &language.fields,
    };
    let vision_config = VisionConfig::Dinov2(vision_config);
    let mut config = fields.finish(vision_config, language.config, &joined)?;
    if let Some(tokenizer) = &language.tokenizer {
        let prompt = PromptTemplate::open(&language.dir)?.unwrap_or_default();
        config.image_token_id = image_token(tokenizer, &prompt);
    }
    finish(&language.dir, config, Box::new(joined), language.tokenizer)
}

/// The image token of a tokenizer, or the one that is added after all others.
pub(super) fn image_token(tokenizer: &Tokenizer, prompt: &PromptTemplate) -> u32 {
    let next = u32::try_from(tokenizer.vocab_size()).unwrap_or(u32::MAX);
    tokenizer.token_id(&prompt.image_token).unwrap_or(next)
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
    let source = FromBlocks::open(needed_weights(dir)?, &config)?;
    finish(dir, config, source, Tokenizer::open(dir)?)
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

pub(super) fn needed_weights(dir: &Path) -> Result<BoxedSource, ModelError> {
    open_weights(dir)?.ok_or_else(|| {
        let reason = "no model.safetensors and no pytorch_model.bin, whole or with an index";
        ModelError::format(dir, reason)
    })
}

fn finish(
    dir: &Path,
    config: ModelConfig,
    source: BoxedSource,
    tokenizer: Option<Tokenizer>,
) -> Result<Checkpoint, ModelError> {
    let prompt = PromptTemplate::open(dir)?.unwrap_or_default();
    finish_with(dir, prompt, (config, source), tokenizer)
}

/// As [`finish`], in the words of a template.
pub(super) fn finish_with(
    dir: &Path,
    prompt: PromptTemplate,
    (config, source): (ModelConfig, BoxedSource),
    tokenizer: Option<Tokenizer>,
) -> Result<Checkpoint, ModelError> {
    let tokenizer = tokenizer
        .map(|tokenizer| with_image_token(tokenizer, &config, &prompt))
        .transpose()?;
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
pub(super) fn with_image_token(
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
pub(super) fn official_name(name: &str) -> Option<String> {
    let unused = name.ends_with(".rotary_emb.inv_freq") || name == "vision_model.mask_token";
    (!unused).then(|| name.to_owned())
}

/// The one `dinov2*.pth` of a folder.
fn dino_file(dir: &Path) -> Result<Option<PathBuf>, ModelError> {
    only_file(dir, "dinov2*.pth", |name| {
        name.starts_with("dinov2") && name.ends_with(".pth")
    })
}

/// The `.gguf` file that a path names, or the one of a folder without `config.json`.
pub(super) fn gguf_file(path: &Path) -> Result<Option<PathBuf>, ModelError> {
    if path.is_file() {
        let is_gguf = WeightFormat::of(path) == Some(WeightFormat::Gguf);
        return Ok(is_gguf.then(|| path.to_owned()));
    }
    if !path.is_dir() || path.join(CONFIG_FILE).is_file() {
        return Ok(None);
    }
    only_file(path, "*.gguf", |name| name.ends_with(".gguf"))
}

/// The one file of a folder with such a name.
fn only_file(
    dir: &Path,
    what: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Option<PathBuf>, ModelError> {
    let dir = match dir.as_os_str().is_empty() {
        true => Path::new("."),
        false => dir,
    };
    let io = |error| ModelError::io(dir, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| fits(&name)) {
            found.push(path);
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(ModelError::format(
            dir,
            format!("more than one {what}; keep one"),
        )),
    }
}
