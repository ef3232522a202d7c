//! `tokenizer_config.json` and `added_tokens.json`, as far as they change tokens.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::llama::LlamaTokenizer;
use super::{AddedToken, LlamaOptions};
use crate::ModelError;
use crate::checkpoint::files;

const CONFIG_FILE: &str = "tokenizer_config.json";
const ADDED_FILE: &str = "added_tokens.json";
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The settings found; what no file says is `None`.
#[derive(Debug, Clone, Default)]
pub(super) struct TokenizerConfig {
    legacy: Option<bool>,
    add_bos: Option<bool>,
    add_eos: Option<bool>,
    split_special: Option<bool>,
    pub(super) bos_token: Option<String>,
    pub(super) eos_token: Option<String>,
    pub(super) pad_token: Option<String>,
    pub(super) added: Vec<AddedToken>,
}

impl TokenizerConfig {
    /// Reads the files of a folder; both may be absent.
    pub(super) fn open(dir: &Path) -> Result<Self, ModelError> {
        let mut config = Self::default();
        let path = dir.join(CONFIG_FILE);
        if path.is_file() {
            let object = files::read_json_object(&path, MAX_FILE_BYTES)?;
            config
                .read(&object)
                .map_err(|r| ModelError::format(&path, r))?;
        }
        let path = dir.join(ADDED_FILE);
        if path.is_file() {
            for (text, id) in files::read_json_object(&path, MAX_FILE_BYTES)? {
                let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) else {
                    let reason = format!("the id of {text:?} is not a 32-bit number");
                    return Err(ModelError::format(path, reason));
                };
                if !config.added.iter().any(|token| token.text == text) {
                    config.added.push(AddedToken::stripping(text, id));
                }
            }
        }
        config.added.sort_by_key(|token| token.id);
        Ok(config)
    }

    fn read(&mut self, object: &Map<String, Value>) -> Result<(), String> {
        let flag = |name: &str| object.get(name).and_then(Value::as_bool);
        self.legacy = flag("legacy");
        self.add_bos = flag("add_bos_token");
        self.add_eos = flag("add_eos_token");
        self.split_special = flag("split_special_tokens");
        self.bos_token = token_text(object.get("bos_token"));
        self.eos_token = token_text(object.get("eos_token"));
        self.pad_token = token_text(object.get("pad_token"));
        let Some(added) = object.get("added_tokens_decoder") else {
            return Ok(());
        };
        let added = added
            .as_object()
            .ok_or("added_tokens_decoder is not an object")?;
        for (id, entry) in added {
            let id: u32 = id
                .parse()
                .map_err(|_| format!("added_tokens_decoder: {id:?} is no id"))?;
            let text = token_text(Some(entry))
                .ok_or_else(|| format!("added_tokens_decoder: {id} has no content"))?;
            let flag = |name| entry.get(name).and_then(Value::as_bool).unwrap_or(false);
            self.added.push(AddedToken {
                text,
                id,
                strip_left: flag("lstrip"),
                strip_right: flag("rstrip"),
            });
        }
        Ok(())
    }

    /// The settings of a LLaMA tokenizer.
    pub(super) fn options(&self) -> LlamaOptions {
        let default = LlamaOptions::default();
        LlamaOptions {
            legacy: self.legacy.unwrap_or(default.legacy),
            add_bos: self.add_bos.unwrap_or(default.add_bos),
            add_eos: self.add_eos.unwrap_or(default.add_eos),
            control_in_text: !self.split_special.unwrap_or(!default.control_in_text),
        }
    }

    /// What has to be written for a LLaMA tokenizer.
    pub(super) fn of(tokenizer: &LlamaTokenizer, named: [Option<String>; 3]) -> Self {
        let options = &tokenizer.options;
        Self {
            legacy: Some(options.legacy),
            add_bos: Some(options.add_bos),
            add_eos: Some(options.add_eos),
            split_special: Some(!options.control_in_text),
            added: tokenizer.added().to_vec(),
            ..Self::named(named)
        }
    }

    /// What has to be written for a `tokenizer.json`: the names of the tokens that begin, end
    /// and fill.
    pub(super) fn named([bos_token, eos_token, pad_token]: [Option<String>; 3]) -> Self {
        Self {
            bos_token,
            eos_token,
            pad_token,
            ..Self::default()
        }
    }

    /// Writes `tokenizer_config.json`.
    pub(super) fn save(&self, dir: &Path) -> Result<(), ModelError> {
        let added: Map<String, Value> = self
            .added
            .iter()
            .map(|token| {
                let entry = json!({
                    "content": token.text,
                    "lstrip": token.strip_left,
                    "rstrip": token.strip_right,
                    "normalized": false,
                    "single_word": false,
                    "special": true,
                });
                (token.id.to_string(), entry)
            })
            .collect();
        let mut object = json!({
            "legacy": self.legacy,
            "add_bos_token": self.add_bos,
            "add_eos_token": self.add_eos,
            "split_special_tokens": self.split_special,
            "bos_token": self.bos_token,
            "eos_token": self.eos_token,
            "pad_token": self.pad_token,
            "added_tokens_decoder": added,
        });
        if let Some(object) = object.as_object_mut() {
            object.retain(|_, value| !value.is_null());
        }
        files::write_json(&dir.join(CONFIG_FILE), &object)
    }
}

/// The text of a token that is written as a string or as an object with `content`.
fn token_text(value: Option<&Value>) -> Option<String> {
    let value = value?;
    let text = value.as_str().or_else(|| value.get("content")?.as_str());
    text.map(str::to_owned)
}
