//! The cases of the reference tokenizer, and properties that hold for any text.

use std::path::{Path, PathBuf};

use expllm_testing::shared;
use proptest::prelude::*;
use serde::Deserialize;

use super::testing::*;
use super::*;

/// A text and what the reference makes of it.
#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    decoded: String,
}

/// Cases of sentencepiece (`tests/fixtures/parity.py`), and of the authors' tokenizer where they
/// are at hand: folder, file of cases, pieces.
fn case_files() -> Vec<(PathBuf, &'static str, u32)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/tokenizer");
    let official = shared("fixtures/tokenizer").map(|dir| (dir, "cases.json", 2000));
    [Some((own, "tokens.json", 400)), official]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn reference_cases_are_exact() {
    for (dir, cases, pieces) in case_files() {
        cases_are_exact(&dir, cases, pieces);
    }
}

fn cases_are_exact(dir: &Path, cases: &str, pieces: u32) {
    let options = LlamaOptions {
        control_in_text: false,
        ..LlamaOptions::default()
    };
    let file = std::fs::read(dir.join("tokenizer.model")).unwrap();
    let image = AddedToken::stripping("<im_patch>", pieces);
    let tokenizer = Tokenizer::from_sentencepiece(&file, options, vec![image]).unwrap();
    let cases = std::fs::read(dir.join(cases)).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
    assert!(cases.len() > 15);
    for case in cases {
        assert_eq!(
            tokenizer.encode(&case.text).unwrap(),
            case.ids,
            "{:?}",
            case.text
        );
        assert_eq!(tokenizer.decode(&case.ids).unwrap(), case.decoded);
    }
}

/// Ids that `LlamaTokenizer(.., legacy=False)` of transformers 4.46.3 gives.
#[test]
fn reference_ids_without_legacy_are_exact() {
    let Some(dir) = shared("fixtures/tokenizer") else {
        return;
    };
    let options = LlamaOptions {
        legacy: false,
        ..LlamaOptions::default()
    };
    let file = std::fs::read(dir.join("tokenizer.model")).unwrap();
    let tokenizer = Tokenizer::from_sentencepiece(&file, options, vec![]).unwrap();
    let cases: [(&str, &[u32]); 6] = [
        (
            "Hello</s>World",
            &[1, 1941, 75, 482, 1950, 1947, 2, 90, 309, 1950, 1954],
        ),
        (" a", &[1, 1941, 261]),
        (
            "TASK: x</s>TASK: y",
            &[
                1, 292, 1978, 1996, 1976, 1968, 1941, 1967, 2, 1966, 1978, 1996, 1976, 1968, 1104,
            ],
        ),
        ("<s>a", &[1, 1, 1948]),
        ("", &[1]),
        ("  two", &[1, 633, 336, 1963, 1947]),
    ];
    for (text, ids) in cases {
        assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
    }
}

#[test]
fn the_best_score_merges_first_and_the_leftmost_of_equals() {
    let tokenizer = small(LlamaOptions::default());
    let texts = |text: &str| -> Vec<String> {
        let ids = tokenizer.encode(text).unwrap();
        ids.iter()
            .skip(1)
            .map(|&id| tokenizer.token_text(id).unwrap())
            .collect()
    };
    // "ab" is better than "bc" and than "▁a".
    assert_eq!(texts("abc"), ["▁ab", "c"]);
    assert_eq!(texts("bcab"), ["▁", "bc", "ab"]);
    assert_eq!(texts("é€"), ["▁", "é", "<0xE2>", "<0x82>", "<0xAC>"]);
    assert_eq!(texts(""), Vec::<String>::new());
}

#[test]
fn image_tokens_strip_and_control_tokens_do_not() {
    let ids = |options: LlamaOptions, text: &str| small(options).encode(text).unwrap();
    let legacy = LlamaOptions::default();
    let modern = LlamaOptions {
        legacy: false,
        ..legacy.clone()
    };
    let plain = LlamaOptions {
        control_in_text: false,
        ..legacy.clone()
    };
    let (a, b, space, image) = (263, 264, 266, 268);
    let (space_a, space_ab) = (260, 261);
    assert_eq!(
        ids(legacy.clone(), "a <im_patch> \nb"),
        [1, space_a, image, space, b]
    );
    assert_eq!(
        ids(modern.clone(), "a <im_patch> \nb"),
        [1, space_a, image, b]
    );
    assert_eq!(ids(legacy.clone(), "ab</s>a"), [1, space_ab, 2, space_a]);
    assert_eq!(ids(modern.clone(), "ab</s>a"), [1, space_ab, 2, a]);
    assert_eq!(ids(modern, "<s>a"), [1, 1, a]);
    assert!(!ids(plain, "ab</s>a").contains(&2));
}

#[test]
fn saved_tokenizers_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let options = LlamaOptions {
        legacy: false,
        ..LlamaOptions::default()
    };
    let tokenizer = small(options);
    tokenizer.save(dir.path()).unwrap();
    let again = Tokenizer::open(dir.path()).unwrap().unwrap();
    let text = "a <im_patch> b</s>abc é€";
    assert_eq!(again.encode(text).unwrap(), tokenizer.encode(text).unwrap());
    assert_eq!(again.eos_id(), Some(2));
    assert_eq!(again.vocab_size(), 269);
    let empty = tempfile::tempdir().unwrap();
    assert!(Tokenizer::open(empty.path()).unwrap().is_none());
}

#[test]
fn tokens_of_another_vocabulary_are_refused() {
    let with =
        |text: &str, id| small(LlamaOptions::default()).with_token(AddedToken::stripping(text, id));
    assert!(with("<im_patch>", 268).is_ok());
    assert!(with("<im_patch>", 269).is_err());
    assert!(with("<pad>", 268).is_err());
    assert!(with("<pad>", 5).is_err());
    assert!(with("", 270).is_err());
}

#[test]
fn damaged_models_are_refused() {
    let fault =
        |file: &[u8]| SentencePieceModel::parse(file).expect_err("a damaged model was read");
    assert_eq!(fault(b""), SentencePieceFault::PieceCount { found: 0 });
    assert!(matches!(
        fault(b"PK\x03\x04 not a model"),
        SentencePieceFault::Wire { .. }
    ));
    let whole = model_file(&PIECES);
    assert!(matches!(
        fault(&whole[..whole.len() / 2]),
        SentencePieceFault::Truncated { .. } | SentencePieceFault::Unsupported { .. }
    ));
    let twice = model_file(&["a", "a"]);
    assert!(matches!(
        fault(&twice),
        SentencePieceFault::Piece { index: 260, .. }
    ));
    let mut mapped = whole;
    mapped.extend(field(3, &field(2, b"map")));
    assert!(matches!(
        fault(&mapped),
        SentencePieceFault::Unsupported { .. }
    ));
}

/// A `tokenizer.json` of 256 byte pieces, `ab` and the special tokens.
fn json_file() -> Vec<u8> {
    let mut vocabulary = serde_json::Map::new();
    for byte in 0..=255_u8 {
        vocabulary.insert(format!("<0x{byte:02X}>"), byte.into());
    }
    for (index, piece) in ["<unk>", "<s>", "</s>", "a", "b", "ab", "▁"]
        .iter()
        .enumerate()
    {
        vocabulary.insert((*piece).into(), (256 + index).into());
    }
    let added: Vec<_> = ["<unk>", "<s>", "</s>"]
        .iter()
        .zip(256..)
        .map(|(text, id)| {
            serde_json::json!({
                "id": id, "content": text, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let sequence =
        |id: &str, type_id: u8| serde_json::json!({"Sequence": {"id": id, "type_id": type_id}});
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "pre_tokenizer": null,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, sequence("A", 0)],
            "pair": [sequence("A", 0), sequence("B", 1)],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [257], "tokens": ["<s>"]}},
        },
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>",
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": true, "vocab": vocabulary, "merges": [["a", "b"]],
        },
    })
    .to_string()
    .into_bytes()
}

#[test]
fn json_tokenizers_are_read_extended_and_saved() {
    let tokenizer = Tokenizer::from_json(&json_file()).unwrap();
    let tokenizer = tokenizer
        .with_token(AddedToken::stripping("<im_patch>", 263))
        .unwrap();
    let ids = tokenizer.encode("ab <im_patch> é").unwrap();
    assert_eq!(ids, [257, 262, 261, 263, 262, 0xc3, 0xa9]);
    assert_eq!(tokenizer.bos_id(), Some(257));
    let dir = tempfile::tempdir().unwrap();
    tokenizer.save(dir.path()).unwrap();
    let again = Tokenizer::open(dir.path()).unwrap().unwrap();
    assert_eq!(again.encode("ab <im_patch> é").unwrap(), ids);
    assert_eq!(again.pad_id(), Some(256));
    let far = AddedToken::stripping("<far>", 999);
    assert!(tokenizer.with_token(far).is_err());
    assert!(Tokenizer::from_json(b"{\"version\":").is_err());
}

proptest! {
    #[test]
    fn decoding_gives_the_text_back(text in "[ab c▁é€\n😀]{0,24}") {
        let tokenizer = small(LlamaOptions::default());
        let ids = tokenizer.encode(&text).unwrap();
        // The space piece is a space in every text.
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.replace('▁', " "));
    }

    #[test]
    fn streams_add_up_to_the_whole(ids in prop::collection::vec(0_u32..280, 0..40)) {
        for tokenizer in [small(LlamaOptions::default()), Tokenizer::from_json(&json_file()).unwrap()] {
            let mut stream = tokenizer.decode_stream();
            let mut text = String::new();
            for &id in &ids {
                text.push_str(&stream.push(id).unwrap());
            }
            text.push_str(&stream.finish().unwrap());
            prop_assert_eq!(text, tokenizer.decode(&ids).unwrap());
        }
    }

    #[test]
    fn damaged_models_never_panic(
        at in 0_usize..4000, bytes in prop::collection::vec(any::<u8>(), 1..8), cut in 0_usize..5000,
    ) {
        let mut file = model_file(&PIECES);
        let at = at % file.len();
        let end = (at + bytes.len()).min(file.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
        file.truncate(cut);
        if let Ok(model) = SentencePieceModel::parse(&file) {
            prop_assert!(model.pieces.len() <= file.len());
            model.encode("ab bc é", true);
        }
    }
}
