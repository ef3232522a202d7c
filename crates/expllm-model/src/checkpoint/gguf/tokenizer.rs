//! The tokenizer of a file: the pieces of a sentencepiece model, the tokens and merges of a
//! byte-level one, or a whole `tokenizer.json`.

use super::byte_level;
use super::metadata::{List, Metadata, Value};
use crate::tokenizer::{PieceEntry, SentencePieceParts};
use crate::{LlamaOptions, Tokenizer};

/// Reads the tokenizer; `None` when the file has none, or one that cuts text in a way that is not
/// known here.
pub(super) fn read(metadata: &Metadata<'_>) -> Result<Option<Tokenizer>, String> {
    if let Some(json) = metadata.text("tokenizer.huggingface.json")? {
        let tokenizer = Tokenizer::from_json(json.as_bytes());
        return tokenizer.map(Some).map_err(|error| error.to_string());
    }
    match metadata.text("tokenizer.ggml.model")? {
        Some("llama") => sentencepiece(metadata).map(Some),
        Some("gpt2") => byte_level::read(metadata),
        _ => Ok(None),
    }
}

fn sentencepiece(metadata: &Metadata<'_>) -> Result<Tokenizer, String> {
    let id = |name: &str| {
        let id = metadata.unsigned(&format!("tokenizer.ggml.{name}_token_id"))?;
        Ok::<_, String>(id.and_then(|id| u32::try_from(id).ok()))
    };
    let flag = |name: &str| metadata.flag(&format!("tokenizer.ggml.{name}"));
    let parts = SentencePieceParts {
        pieces: pieces(metadata)?,
        bos: id("bos")?,
        eos: id("eos")?,
        add_dummy_prefix: flag("add_space_prefix")?.unwrap_or(true),
    };
    let default = LlamaOptions::default();
    let options = LlamaOptions {
        add_bos: flag("add_bos_token")?.unwrap_or(default.add_bos),
        add_eos: flag("add_eos_token")?.unwrap_or(default.add_eos),
        ..default
    };
    let tokenizer = Tokenizer::from_sentencepiece(&parts.to_bytes(), options, Vec::new());
    tokenizer.map_err(|error| error.to_string())
}

/// A list of the tokenizer, which must be there.
pub(super) fn list<'m, 'a>(metadata: &'m Metadata<'a>, name: &str) -> Result<&'m List<'a>, String> {
    let key = format!("tokenizer.ggml.{name}");
    let list = metadata.list(&key)?;
    list.ok_or_else(|| format!("the key {key:?} is missing"))
}

/// Texts, scores and types stand in lists of their own.
fn pieces<'a>(metadata: &Metadata<'a>) -> Result<Vec<PieceEntry<'a>>, String> {
    let (texts, scores, kinds) = (
        list(metadata, "tokens")?,
        list(metadata, "scores")?,
        list(metadata, "token_type")?,
    );
    if texts.len() != scores.len() || texts.len() != kinds.len() {
        return Err(format!(
            "{} pieces with {} scores and {} types",
            texts.len(),
            scores.len(),
            kinds.len()
        ));
    }
    let lists = texts.values().zip(scores.values()).zip(kinds.values());
    lists
        .enumerate()
        .map(|(index, ((text, score), kind))| {
            let Value::Text(text) = text else {
                return Err(format!("piece {index} is no text"));
            };
            Ok(PieceEntry {
                text: std::str::from_utf8(text)
                    .map_err(|_| format!("piece {index} is not UTF-8"))?,
                score: score
                    .number()
                    .ok_or_else(|| format!("piece {index} has no score"))?
                    as f32,
                kind: kind
                    .number()
                    .ok_or_else(|| format!("piece {index} has no type"))?
                    as u8,
            })
        })
        .collect()
}
