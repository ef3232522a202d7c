//! Files of llama.cpp (`.gguf`) with a language model of the LLaMA family.
//!
//! A file holds metadata, a directory of tensors and their numbers, plain or in blocks that share
//! scales. Names, the order of query and key rows, the configuration and the tokenizer are
//! translated to those of transformers folders, after which nothing needs to know where a model
//! came from.

mod blocks;
mod byte_level;
mod config;
mod header;
mod metadata;
mod names;
mod reader;
mod tokenizer;

use std::path::Path;

use serde_json::{Map, Value};

pub(super) use blocks::decode;

use super::files;
use super::sources::BoxedSource;
use super::weight_file::{Directory, WeightFile};
use crate::weights::Storage;
use crate::{ModelError, Tokenizer};
use header::Header;
use names::LlamaWeights;

/// Lists the tensors of a file under the names that it gives them.
pub(super) fn list(file: &[u8]) -> Result<Directory, String> {
    Header::read(file).map(|header| header.directory)
}

/// A language model as a folder of transformers would hold it.
pub(super) struct GgufModel {
    /// The fields of `config.json`.
    pub(super) config: Map<String, Value>,
    /// The weights under their official names, rows in the official order.
    pub(super) weights: BoxedSource,
    /// The tokenizer, where the file has one that can be read.
    pub(super) tokenizer: Option<Tokenizer>,
    /// The template of conversations, where the file has one.
    pub(super) chat: Option<String>,
}

impl GgufModel {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        Self::read(Storage::open(path)?)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        Self::read(Storage::memory(bytes))
    }

    fn read(storage: Storage) -> Result<Self, ModelError> {
        let (config, tokenizer, chat, directory) = storage.with_all(|file| {
            if files::is_pointer(file) {
                return Err(storage.fault(files::POINTER));
            }
            let header = Header::read(file).map_err(|reason| storage.fault(reason))?;
            let config = config::read(&header, file).map_err(|reason| storage.fault(reason))?;
            let tokenizer = tokenizer::read(&header.metadata)
                .map_err(|reason| storage.fault(format!("tokenizer: {reason}")))?;
            let chat = header.metadata.text("tokenizer.chat_template");
            let chat = chat.map_err(|reason| storage.fault(reason))?;
            let chat = chat.map(str::to_owned);
            Ok((config, tokenizer, chat, header.directory))
        })?;
        let heads = config::heads(&config);
        let file = WeightFile::new(storage.clone(), directory);
        let weights = LlamaWeights::new(file, heads).map_err(|reason| storage.fault(reason))?;
        Ok(Self {
            config,
            weights: Box::new(weights),
            tokenizer,
            chat,
        })
    }
}
