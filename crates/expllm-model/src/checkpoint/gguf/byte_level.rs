//! Byte-level tokenizers as the `tokenizer.json` that they came from.

use serde_json::{Map, Value as Json, json};

use super::metadata::{List, Metadata, Value};
use super::tokenizer::list;
use crate::Tokenizer;

/// How a text is cut before merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cuts {
    /// As GPT-2: words with the space before them, runs of digits, runs of marks.
    Gpt2,
    /// As SmolLM: every digit on its own, then as GPT-2.
    SmolLm,
    /// As Llama 3.
    Llama3,
}

/// The cuts of Llama 3 (`tokenizer.json` of the published models).
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

impl Cuts {
    /// The cuts with a name in GGUF files (`llama-vocab.cpp` of llama.cpp, MIT).
    fn named(name: &str) -> Option<Self> {
        match name {
            "gpt-2" => Some(Self::Gpt2),
            "smollm" => Some(Self::SmolLm),
            "llama-bpe" | "llama3" | "llama-v3" => Some(Self::Llama3),
            _ => None,
        }
    }

    /// The steps of the library that cut so.
    fn steps(self) -> Json {
        match self {
            Self::Gpt2 => json!([bytes(false, true)]),
            Self::SmolLm => json!([
                { "type": "Digits", "individual_digits": true },
                bytes(false, true),
            ]),
            Self::Llama3 => json!([
                {
                    "type": "Split",
                    "pattern": { "Regex": LLAMA3 },
                    "behavior": "Isolated",
                    "invert": false,
                },
                bytes(false, false),
            ]),
        }
    }
}

/// Reads the tokenizer; `None` when text is cut in a way that is not known here.
pub(super) fn read(metadata: &Metadata<'_>) -> Result<Option<Tokenizer>, String> {
    let cuts = metadata.text("tokenizer.ggml.pre")?.and_then(Cuts::named);
    let Some(cuts) = cuts else {
        return Ok(None);
    };
    let tokens = texts(metadata, "tokens")?;
    let merges = texts(metadata, "merges")?;
    let kinds = list(metadata, "token_type")?;
    if kinds.len() != tokens.len() {
        let (tokens, kinds) = (tokens.len(), kinds.len());
        return Err(format!("{tokens} tokens with {kinds} types"));
    }
    let id = |name: &str| {
        let id = metadata.unsigned(&format!("tokenizer.ggml.{name}_token_id"))?;
        let id = id.filter(|&id| id < tokens.len() as u64);
        Ok::<_, String>(id.and_then(|id| u32::try_from(id).ok()))
    };
    let ids = [id("bos")?, id("eos")?, id("padding")?];
    let bos = ids[0].and_then(|id| tokens.get(id as usize));
    let adds = metadata.flag("tokenizer.ggml.add_bos_token")?;
    let description = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added(&tokens, kinds),
        "normalizer": null,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": cuts.steps() },
        "post_processor": bos.filter(|_| adds.unwrap_or(true)).map(|bos| beginning(&tokens, bos)),
        "decoder": bytes(true, true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            // Words that are tokens as a whole need no merges there.
            "ignore_merges": cuts == Cuts::Llama3,
            "vocab": vocabulary(&tokens),
            "merges": merges,
        },
    });
    let tokenizer = Tokenizer::from_json(description.to_string().as_bytes());
    let tokenizer = tokenizer.map_err(|error| error.to_string())?;
    Ok(Some(tokenizer.with_ids(ids)))
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
fn bytes(adds_space: bool, cuts: bool) -> Json {
    json!({
        "type": "ByteLevel",
        "add_prefix_space": adds_space,
        "trim_offsets": true,
        "use_regex": cuts,
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
