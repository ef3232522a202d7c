//! Learning a tokenizer from texts.

use serde_json::{Map, Value, json};
use tokenizers::Trainer;
use tokenizers::models::bpe::{BPE, BpeTrainer};

use super::Tokenizer;
use crate::ModelError;

/// Where pieces end: after punctuation, at headings and at line ends. Between them a piece may
/// span words, so that a phrase that comes again and again is one token.
const CHUNKS: &str = r"\n*\*\*[^*\n]+\*\*|\n+|[^.;:,*\n]+[.;:,]?|[.;:,*]";

/// The beginning, the end, and what no piece stands for.
const SPECIAL: [&str; 3] = ["<unk>", "<s>", "</s>"];

/// Pieces that every tokenizer has beside the learnt ones: the special tokens and all bytes.
const FIXED: usize = SPECIAL.len() + 256;

/// Stands for a space in pieces, as in sentencepiece.
const SPACE: &str = "\u{2581}";

impl Tokenizer {
    /// Learns a byte-pair encoding with byte fallback
    /// ([Sennrich et al. 2016](https://arxiv.org/abs/1508.07909)) of at most `vocab_size` pieces,
    /// as a `tokenizer.json`. The ids 0 to 2 are `<unk>`, `<s>` and `</s>`, then come the 256
    /// bytes. The same texts give the same tokenizer.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when the size leaves no room for learnt pieces, or the library
    /// fails.
    pub fn train<'a>(
        texts: impl Iterator<Item = &'a str> + Send,
        vocab_size: usize,
    ) -> Result<Self, ModelError> {
        if vocab_size <= FIXED {
            return Err(ModelError::Tokenizer(format!(
                "{vocab_size} pieces leave no room beside {FIXED} fixed ones"
            )));
        }
        let failed = |cause: String| ModelError::Tokenizer(cause);
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab_size - FIXED)
            .min_frequency(2)
            // All printable characters of ASCII, whatever the texts hold.
            .initial_alphabet((' '..='~').filter(|c| *c != ' ').collect())
            .show_progress(false)
            .build();
        let chunks = Chunks::new()?;
        trainer
            .feed(texts, |text| Ok(chunks.split(text)))
            .map_err(|e| failed(e.to_string()))?;
        let mut learnt = BPE::default();
        trainer
            .train(&mut learnt)
            .map_err(|e| failed(e.to_string()))?;
        let learnt = serde_json::to_value(&learnt).map_err(|e| failed(e.to_string()))?;
        Self::from_json(description(&learnt).to_string().as_bytes())
    }
}

/// Cuts texts as the finished tokenizer will.
struct Chunks(tokenizers::Tokenizer);

impl Chunks {
    fn new() -> Result<Self, ModelError> {
        let empty = json!({ "vocab": {}, "merges": [] });
        let file = description(&empty).to_string();
        tokenizers::Tokenizer::from_bytes(file)
            .map(Self)
            .map_err(|e| ModelError::Tokenizer(e.to_string()))
    }

    fn split(&self, text: &str) -> Vec<String> {
        use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};
        let mut text = PreTokenizedString::from(text.replace(' ', SPACE));
        let Some(cutter) = self.0.get_pre_tokenizer() else {
            return Vec::new();
        };
        // The pattern is fixed and matches any text, so cutting cannot fail.
        if cutter.pre_tokenize(&mut text).is_err() {
            return Vec::new();
        }
        text.get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .map(|(chunk, _, _)| chunk.to_owned())
            .collect()
    }
}

/// The `tokenizer.json` around learnt pieces, which keep their order after the fixed ones.
fn description(learnt: &Value) -> Value {
    let fixed = SPECIAL.iter().map(|&piece| piece.to_owned());
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let mut vocabulary: Map<String, Value> = fixed
        .chain(bytes)
        .enumerate()
        .map(|(id, piece)| (piece, json!(id)))
        .collect();
    for (piece, id) in learnt["vocab"].as_object().into_iter().flatten() {
        let id = id.as_u64().unwrap_or(0) as usize;
        vocabulary.insert(piece.clone(), json!(id + FIXED));
    }
    let added: Vec<Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, piece)| {
            json!({
                "id": id, "content": piece, "special": true, "normalized": false,
                "single_word": false, "lstrip": false, "rstrip": false,
            })
        })
        .collect();
    let begin = json!({ "SpecialToken": { "id": "<s>", "type_id": 0 } });
    let first = json!({ "Sequence": { "id": "A", "type_id": 0 } });
    let second = json!({ "Sequence": { "id": "B", "type_id": 0 } });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": { "type": "Replace", "pattern": { "String": " " }, "content": SPACE },
        "pre_tokenizer": {
            "type": "Split",
            "pattern": { "Regex": CHUNKS },
            "behavior": "Isolated",
            "invert": false,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, first],
            "pair": [begin, first, second],
            "special_tokens": { "<s>": { "id": "<s>", "ids": [1], "tokens": ["<s>"] } },
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                { "type": "Replace", "pattern": { "String": SPACE }, "content": " " },
                { "type": "ByteFallback" },
                { "type": "Fuse" },
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": "<unk>",
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocabulary,
            "merges": learnt["merges"],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "**Key Observations:** The left brow is lowered, and the jaw drops.\n\n\
        **Overall Emotional Interpretation:** The left brow is lowered; it suggests anger.\n\n\
        **Conclusion:** Anger.";

    fn trained(size: usize) -> Tokenizer {
        Tokenizer::train(std::iter::repeat_n(TEXT, 20), size).unwrap()
    }

    #[test]
    fn any_text_survives_and_known_phrases_are_short() {
        let tokenizer = trained(600);
        for text in [
            TEXT,
            "",
            "  two spaces ",
            "naïve 顔 \t\u{1F600}",
            "a*b**c\n\nd.",
        ] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(ids[0], 1);
            assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{ids:?}");
        }
        assert!(tokenizer.encode(TEXT).unwrap().len() < 20);
        assert!(tokenizer.vocab_size() <= 600);
        assert_eq!(tokenizer.eos_id(), Some(2));
    }

    #[test]
    fn training_repeats_itself_and_no_piece_crosses_punctuation() {
        let (one, two) = (trained(500), trained(500));
        let ids = one.encode(TEXT).unwrap();
        assert_eq!(ids, two.encode(TEXT).unwrap());
        for id in ids {
            let piece = one.token_text(id).unwrap();
            let inner = piece.trim_end_matches(['.', ',', ';', ':', '*', '\n']);
            assert!(
                !inner
                    .trim_start_matches(['*', '\n'])
                    .contains([',', ';', '.']),
                "{piece}"
            );
        }
    }

    #[test]
    fn a_vocabulary_without_room_is_refused() {
        let error = Tokenizer::train(std::iter::once(TEXT), 259).unwrap_err();
        assert!(error.to_string().contains("259"), "{error}");
    }
}
