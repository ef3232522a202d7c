//! A language model without a vision encoder: a LLaMA folder of transformers or a GGUF file.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::files;
use super::gguf::GgufModel;
use super::hf_config::{CONFIG_FILE, Fields, MAX_CONFIG_BYTES};
use super::open::{needed_weights, official_name};
use super::save::{SaveOptions, Saved, whole_folder};
use super::sources::{BoxedSource, Joined};
use super::weight_file::WeightFormat;
use super::write::WeightsWriter;
use crate::loading::check;
use crate::{ExpLlm, LlmConfig, LoadOptions, ModelConfig, ModelError, Tokenizer, default_device};

/// A language model of the LLaMA family on its own; weights are read when they are asked for.
pub struct LanguageModel {
    /// Sizes and options.
    pub config: LlmConfig,
    /// The weights under their official names: `model.*` and `lm_head.weight`.
    pub source: BoxedSource,
    /// The tokenizer; `None` when there is none.
    pub tokenizer: Option<Tokenizer>,
    /// What `config.json` says, also of what [`LlmConfig`] has no field for.
    pub(super) fields: Map<String, Value>,
    /// The file that errors about the configuration name.
    pub(super) path: PathBuf,
    /// Where other files of the model may lie.
    pub(super) dir: PathBuf,
}

impl LanguageModel {
    /// Opens a folder of transformers (`config.json` with safetensors or `.bin`) or a `.gguf`
    /// file. Of the file, the architecture `llama` with plain numbers or blocks of 4 to 8 bits
    /// is read; blocks become f32.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`] and [`ModelError::Format`] with the file that cannot be used.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        match WeightFormat::of(path) {
            Some(WeightFormat::Gguf) if !path.is_dir() => {
                let dir = path.parent().unwrap_or(Path::new(""));
                Self::of_gguf(GgufModel::open(path)?, path, dir)
            }
            _ => Self::open_folder(path),
        }
    }

    /// Reads a GGUF file in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_gguf(bytes: &[u8]) -> Result<Self, ModelError> {
        let model = GgufModel::from_bytes(bytes)?;
        Self::of_gguf(model, Path::new("(memory)"), Path::new(""))
    }

    fn of_gguf(model: GgufModel, path: &Path, dir: &Path) -> Result<Self, ModelError> {
        Self::new(model.config, path, dir, model.weights, model.tokenizer)
    }

    fn open_folder(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join(CONFIG_FILE);
        let fields = files::read_json_object(&path, MAX_CONFIG_BYTES)?;
        let source = Joined::default().with(needed_weights(dir)?, official_name)?;
        Self::new(fields, &path, dir, Box::new(source), Tokenizer::open(dir)?)
    }

    fn new(
        fields: Map<String, Value>,
        path: &Path,
        dir: &Path,
        source: BoxedSource,
        tokenizer: Option<Tokenizer>,
    ) -> Result<Self, ModelError> {
        let object = &fields;
        Ok(Self {
            config: Fields { path, object }.llm()?,
            source,
            tokenizer,
            fields,
            path: path.into(),
            dir: dir.into(),
        })
    }

    /// Checks names and shapes of all weights against the configuration, without reading them.
    ///
    /// # Errors
    ///
    /// [`ModelError::Config`] for sizes that no model has; [`ModelError::Weights`] names every
    /// tensor that is missing, unexpected or misshapen.
    pub fn verify(&self) -> Result<(), ModelError> {
        // The small vision encoder is there for its place in the model alone.
        let config = ModelConfig {
            llm: self.config.clone(),
            ..ModelConfig::tiny()
        };
        let model = ExpLlm::init(&config, &default_device())?;
        match check(&model, self.source.as_ref(), &LoadOptions::default()) {
            Err(ModelError::Weights(mut mismatch)) => {
                let own =
                    |name: &String| name.starts_with("model.") || name.starts_with("lm_head.");
                mismatch.missing.retain(own);
                match mismatch.is_empty() {
                    true => Ok(()),
                    false => Err(ModelError::Weights(mismatch)),
                }
            }
            other => other.map(drop),
        }
    }

    /// Writes a LLaMA folder of transformers: `config.json`, `model.safetensors` (with an index
    /// when large) and the tokenizer. [`open_parts`](super::open_parts) puts a vision encoder
    /// before it.
    ///
    /// # Errors
    ///
    /// As [`save`](super::save); [`ModelError::Config`] when adapters are to be merged, of which
    /// there are none.
    pub fn save(&self, dir: &Path, options: &SaveOptions) -> Result<Saved, ModelError> {
        options.validate()?;
        if options.merge_lora {
            let reason = "a language model on its own has no adapters to merge";
            return Err(ModelError::config("llm.lora", reason));
        }
        self.verify()?;
        whole_folder(dir, |folder| {
            let mut fields = Value::Object(self.fields.clone());
            if let Some(dtype) = options.dtype {
                fields["torch_dtype"] = json!(torch_name(dtype));
            }
            files::write_json(&folder.join(CONFIG_FILE), &fields)?;
            if let Some(tokenizer) = &self.tokenizer {
                tokenizer.save(folder)?;
            }
            let source = self.source.as_ref();
            Ok(Saved {
                bytes: WeightsWriter::new(options).write(folder, source)?,
                tensors: source.names().len(),
            })
        })
    }
}

fn torch_name(dtype: crate::DType) -> &'static str {
    match dtype {
        crate::DType::F16 => "float16",
        crate::DType::BF16 => "bfloat16",
        _ => "float32",
    }
}

impl std::fmt::Debug for LanguageModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LanguageModel")
            .field("path", &self.path)
            .field("config", &self.config)
            .field("tensors", &self.source.names().len())
            .field("tokenizer", &self.tokenizer.is_some())
            .finish_non_exhaustive()
    }
}
