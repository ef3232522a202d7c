//! The byte-level tokenizer of Llama 3 as the `tokenizer.json` that it came from.

use serde_json::{Map, Value as Json, json};

use super::metadata::{List, Metadata, Value};
use super::tokenizer::list;
use crate::Tokenizer;

/// How Llama 3 cuts text before merging (`tokenizer.json` of the published models).
const CUTS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Names of this way of cutting in GGUF files.
const NAMES: [&str; 3] = ["llama-bpe", "llama3", "llama-v3"];

/// Reads the tokenizer; `None` when text is cut in a way that is not known here.
pub(super) fn read(metadata: &Metadata<'_>) -> Result<Option<Tokenizer>, String> {
    let cuts = metadata.text("tokenizer.ggml.pre")?;
    if !cuts.is_some_and(|name| NAMES.contains(&name)) {
        return Ok(None);
    }
    let tokens = texts(metadata, "tokens")?;
    let merges = texts(metadata, "merges")?;
    let kinds = list(metadata, "token_type")?;
    if kinds.len() != tokens.len() {
        let (tokens, kinds) = (tokens.len(), kinds.len());
        return Err(format!("{tokens} tokens with {kinds} types"));
    }
    let bos = metadata.unsigned("tokenizer.ggml.bos_token_id")?;
    let bos = bos.and_then(|id| tokens.get(usize::try_from(id).ok()?));
    let adds = metadata.flag("tokenizer.ggml.add_bos_token")?;
    let description = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added(&tokens, kinds),
        "normalizer": null,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            {
                "type": "Split",
                "pattern": { "Regex": CUTS },
                "behavior": "Isolated",
                "invert": false,
            },
            bytes(false),
        ] },
        "post_processor": bos.filter(|_| adds.unwrap_or(true)).map(|bos| beginning(&tokens, bos)),
        "decoder": bytes(true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": true,
            "vocab": vocabulary(&tokens),
            "merges": merges,
        },
    });
    let tokenizer = Tokenizer::from_json(description.to_string().as_bytes());
    tokenizer.map(Some).map_err(|error| error.to_string())
}

fn texts<'a>(metadata: &Metadata<'a>, name: &str) -> Result<Vec<&'a str>, String> {
    let values = list(metadata, name)?.values().enumerate();
    values
        .map(|(index, value)| {
            match value {
                Value::Text(text) => std::str::from_utf8(text).ok(),
                _ => None,
            }
            .ok_or_else(|| format!("number {index} of the {name} is no text"))
        })
        .collect()
}

fn vocabulary(tokens: &[&str]) -> Map<String, Json> {
    let ids = tokens.iter().enumerate();
    ids.map(|(id, token)| ((*token).to_owned(), json!(id)))
        .collect()
}

/// Tokens that no merge forms: control tokens, which decoding leaves out, and the user's own.
fn added(tokens: &[&str], kinds: &List<'_>) -> Vec<Json> {
    let kinds = kinds
        .values()
        .map(|kind| kind.number().unwrap_or(1.0) as u8);
    let tokens = tokens.iter().zip(kinds).enumerate();
    tokens
        .filter(|(_, (_, kind))| matches!(kind, 3 | 4))
        .map(|(id, (token, kind))| {
            json!({
                "id": id, "content": token, "special": kind == 3, "normalized": false,
                "single_word": false, "lstrip": false, "rstrip": false,
            })
        })
        .collect()
}

/// Bytes as characters that can be printed, and back.
fn bytes(decodes: bool) -> Json {
    json!({
        "type": "ByteLevel",
        "add_prefix_space": decodes,
        "trim_offsets": true,
        "use_regex": decodes,
    })
}

fn beginning(tokens: &[&str], bos: &str) -> Json {
    let id = tokens.iter().position(|token| *token == bos);
    let text = |name: &str| json!({ "Sequence": { "id": name, "type_id": 0 } });
    let begin = json!({ "SpecialToken": { "id": bos, "type_id": 0 } });
    json!({
        "type": "TemplateProcessing",
        "single": [begin, text("A")],
        "pair": [begin, text("A"), text("B")],
        "special_tokens": { bos: { "id": bos, "ids": [id], "tokens": [bos] } },
    })
}
