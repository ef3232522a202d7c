//! A language model without a vision encoder: a LLaMA folder of transformers or a GGUF file.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::files;
use super::gguf::GgufModel;
use super::hf_config::{CONFIG_FILE, Fields, MAX_CONFIG_BYTES};
use super::open::{gguf_file, needed_weights, official_name};
use super::save::{SaveOptions, Saved, whole_folder};
use super::sources::{BoxedSource, Joined};
use super::weight_file::WeightFormat;
use super::write::WeightsWriter;
use crate::conversation::{CHAT_FILE, ChatTemplate, MAX_TEMPLATE_BYTES};
use crate::loading::check_language;
use crate::{LlmConfig, ModelError, Tokenizer};

/// A language model of the LLaMA family on its own; weights are read when they are asked for.
pub struct LanguageModel {
    /// Sizes and options.
    pub config: LlmConfig,
    /// The weights under their official names: `model.*` and `lm_head.weight`.
    pub source: BoxedSource,
    /// The tokenizer; `None` when there is none.
    pub tokenizer: Option<Tokenizer>,
    /// The template of its conversations; `None` when there is none.
    pub chat: Option<ChatTemplate>,
    /// Tokens that end an answer.
    pub ends: Vec<u32>,
    /// What `config.json` says, also of what [`LlmConfig`] has no field for.
    pub(super) fields: Map<String, Value>,
    /// The file that errors about the configuration name.
    pub(crate) path: PathBuf,
    /// Where other files of the model may lie.
    pub(super) dir: PathBuf,
}

impl LanguageModel {
    /// Opens a folder of transformers (`config.json` with safetensors or `.bin`), a `.gguf` file,
    /// or a folder with one such file and no `config.json`. Of the file, the architecture `llama` with plain numbers or blocks of 4 to 8 bits
    /// is read; blocks become f32.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`] and [`ModelError::Format`] with the file that cannot be used.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = match WeightFormat::of(path) {
            Some(WeightFormat::Gguf) if !path.is_dir() => Some(path.to_owned()),
            _ => gguf_file(path)?,
        };
        match file {
            Some(file) => {
                let dir = file.parent().unwrap_or(Path::new(""));
                Self::of_gguf(GgufModel::open(&file)?, &file, dir)
            }
            None => Self::open_folder(path),
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
        let parts = (model.tokenizer, model.chat);
        Self::new(model.config, path, dir, model.weights, parts)
    }

    fn open_folder(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join(CONFIG_FILE);
        let fields = files::read_json_object(&path, MAX_CONFIG_BYTES)?;
        let source = Joined::default().with(needed_weights(dir)?, official_name)?;
        let parts = (Tokenizer::open(dir)?, folder_template(dir)?);
        Self::new(fields, &path, dir, Box::new(source), parts)
    }

    fn new(
        fields: Map<String, Value>,
        path: &Path,
        dir: &Path,
        source: BoxedSource,
        (tokenizer, chat): (Option<Tokenizer>, Option<String>),
    ) -> Result<Self, ModelError> {
        let object = &fields;
        let fields_of = Fields { path, object };
        let chat = chat.map(|source| chat_template(source, tokenizer.as_ref()));
        let chat = chat
            .transpose()
            .map_err(|error| ModelError::format(path, error.to_string()))?;
        let mut ends = fields_of.ids("eos_token_id")?;
        let end = tokenizer.as_ref().and_then(Tokenizer::eos_id);
        ends.extend(end.filter(|id| !ends.contains(id)));
        Ok(Self {
            config: fields_of.llm()?,
            source,
            tokenizer,
            chat,
            ends,
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
    /// tensor that is missing, unexpected or misshapen; [`ModelError::Tokenizer`] when there are
    /// more tokens than embeddings.
    pub fn verify(&self) -> Result<(), ModelError> {
        check_language(&self.config, self.source.as_ref())?;
        let Some(tokenizer) = &self.tokenizer else {
            return Ok(());
        };
        let (tokens, rows) = (tokenizer.vocab_size(), self.config.vocab_size);
        match tokens > rows {
            true => Err(ModelError::Tokenizer(format!(
                "{tokens} tokens for a model with {rows}; is it another model's?"
            ))),
            false => Ok(()),
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
            if let Some(chat) = &self.chat {
                files::write(&folder.join(CHAT_FILE), chat.source().as_bytes())?;
            }
            let source = self.source.as_ref();
            Ok(Saved {
                bytes: WeightsWriter::new(options).write(folder, source)?,
                tensors: source.names().len(),
            })
        })
    }
}

/// The template of a folder: a file of its own, or a text in `tokenizer_config.json`.
fn folder_template(dir: &Path) -> Result<Option<String>, ModelError> {
    let path = dir.join(CHAT_FILE);
    if path.is_file() {
        let bytes = files::read_limited(&path, MAX_TEMPLATE_BYTES)?;
        let text = String::from_utf8(bytes);
        return text
            .map(Some)
            .map_err(|_| ModelError::format(&path, "not UTF-8"));
    }
    let path = dir.join("tokenizer_config.json");
    if !path.is_file() {
        return Ok(None);
    }
    let object = files::read_json_object(&path, MAX_CONFIG_BYTES)?;
    let template = object.get("chat_template").and_then(Value::as_str);
    Ok(template.map(str::to_owned))
}

fn chat_template(
    source: String,
    tokenizer: Option<&Tokenizer>,
) -> Result<ChatTemplate, ModelError> {
    let text = |id: fn(&Tokenizer) -> Option<u32>| {
        let text = tokenizer.and_then(|tokenizer| tokenizer.token_text(id(tokenizer)?));
        text.unwrap_or_default()
    };
    ChatTemplate::new(source, text(Tokenizer::bos_id), text(Tokenizer::eos_id))
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
