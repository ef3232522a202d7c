//! GGUF files: equal to the folder that they were made from, and refused when they lie.
//!
//! The fixtures and the script that writes them are in `tests/fixtures`.

#![allow(clippy::unwrap_used)] // A broken fixture ends the test.

mod common;

use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use common::File;
use expllm_kernels::{Format, decode_row};
use expllm_model::checkpoint::{LanguageModel, SaveOptions, WeightFile, WeightFormat};
use expllm_model::parts::TokenMask;
use expllm_model::{
    DType, ExpLlm, LoadOptions, ModelConfig, ModelError, RandomWeights, TensorInfo, TensorSource,
};
use proptest::prelude::*;

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama_gguf");
    folder.join(name)
}

fn as_floats(data: TensorData) -> TensorData {
    data.convert_dtype(DType::F32)
}

fn assert_same_weights(found: &LanguageModel, expected: &LanguageModel) {
    assert_eq!(found.config, expected.config);
    assert_eq!(found.source.names(), expected.source.names());
    for name in expected.source.names() {
        let [found, expected] =
            [found, expected].map(|model| as_floats(model.source.read(&name).unwrap()));
        assert!(found == expected, "{name}");
    }
}

#[test]
fn a_file_is_the_folder_that_it_was_made_from() {
    let folder = LanguageModel::open(&fixture("folder")).unwrap();
    let file = LanguageModel::open(&fixture("model.gguf")).unwrap();
    file.verify().unwrap();
    assert_same_weights(&file, &folder);
    let bytes = std::fs::read(fixture("model.gguf")).unwrap();
    assert_same_weights(&LanguageModel::from_gguf(&bytes).unwrap(), &folder);
    // Numbers keep their format.
    let dtype = |name: &str| file.source.info(name).unwrap().dtype;
    assert_eq!(dtype("model.norm.weight"), DType::F32);
    assert_eq!(dtype("lm_head.weight"), DType::F16);
    assert_eq!(dtype("model.layers.1.mlp.up_proj.weight"), DType::BF16);
}

#[test]
fn the_tokenizer_is_the_one_of_the_file() {
    let [file, folder] = ["model.gguf", "folder"].map(|name| {
        let model = LanguageModel::open(&fixture(name)).unwrap();
        model.tokenizer.unwrap()
    });
    let expected = std::fs::read(fixture("expected.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&expected).unwrap();
    let texts = header.metadata().clone().unwrap();
    assert!(texts.len() > 4);
    let expected = WeightFile::open(&fixture("expected.safetensors")).unwrap();
    for (key, text) in texts {
        let ids = file.encode(&text).unwrap();
        assert_eq!(ids, folder.encode(&text).unwrap(), "{text:?}");
        assert_eq!(file.decode(&ids).unwrap(), folder.decode(&ids).unwrap());
        // Special tokens inside a text are one token here and plain text to sentencepiece.
        if text.contains("<s>") {
            continue;
        }
        let name = key.replace("text", "tokens");
        let tokens: Vec<i32> = expected.read(&name).unwrap().try_into_vec().unwrap();
        let tokens = tokens.into_iter().filter_map(|id| u32::try_from(id).ok());
        assert_eq!(ids[1..], tokens.collect::<Vec<_>>(), "{text:?}");
    }
    assert_eq!(file.bos_id(), folder.bos_id());
    assert_eq!(file.eos_id(), folder.eos_id());
}

#[test]
fn a_byte_level_tokenizer_is_the_one_that_the_file_was_made_from() {
    let model = LanguageModel::open(&fixture("byte_level.gguf")).unwrap();
    let tokenizer = model.tokenizer.unwrap();
    let file = std::fs::read(fixture("expected.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&file).unwrap();
    let expected = WeightFile::open(&fixture("expected.safetensors")).unwrap();
    for (key, text) in header.metadata().clone().unwrap() {
        let ids = tokenizer.encode(&text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        let name = key.replace("text", "byte_tokens");
        let tokens: Vec<i32> = expected.read(&name).unwrap().try_into_vec().unwrap();
        let tokens = tokens.into_iter().filter_map(|id| u32::try_from(id).ok());
        assert_eq!(ids[0], tokenizer.bos_id().unwrap());
        assert_eq!(ids[1..], tokens.collect::<Vec<_>>(), "{text:?}");
    }
    // Special tokens inside a text are theirs, and leave no trace.
    let ids = tokenizer.encode("a<|end_of_text|>b").unwrap();
    assert!(ids.contains(&tokenizer.eos_id().unwrap()));
    assert_eq!(tokenizer.decode(&ids).unwrap(), "ab");
}

/// A language model with random weights for the rest of the model.
struct Whole {
    language: LanguageModel,
    rest: RandomWeights,
}

impl TensorSource for Whole {
    fn names(&self) -> Vec<String> {
        let mut names = self.language.source.names();
        let rest = self.rest.names().into_iter();
        names.extend(rest.filter(|name| self.language.source.info(name).is_none()));
        names
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        let own = self.language.source.info(name);
        own.or_else(|| self.rest.info(name))
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        match self.language.source.info(name) {
            Some(_) => self.language.source.read(name),
            None => self.rest.read(name),
        }
    }
}

#[test]
fn logits_equal_those_of_transformers() {
    let expected = File::open(&fixture("expected.safetensors"));
    let tokens = expected.tokens("input_ids");
    let mut of_both = Vec::new();
    for name in ["model.gguf", "folder"] {
        let language = LanguageModel::open(&fixture(name)).unwrap();
        let config = ModelConfig {
            llm: language.config.clone(),
            ..ModelConfig::tiny()
        };
        let rest = RandomWeights::new(&config, DType::F32, 1).unwrap();
        let source = Whole { language, rest };
        let options = LoadOptions::default();
        let model = ExpLlm::load(&config, &source, &options, &common::device()).unwrap();
        let mask = TokenMask::full(1, tokens[0].len());
        let hidden = model.forward(&tokens, &mask, None, None).unwrap();
        let logits = common::numbers(model.llm.logits(hidden));
        let bound = 1e-4 * common::slack();
        common::assert_close(name, &logits, &expected.floats("logits"), bound);
        of_both.push(logits);
    }
    assert_eq!(of_both[0], of_both[1]);
}

#[test]
fn every_kind_of_blocks_is_decoded_as_by_the_reference() {
    let file = WeightFile::open(&fixture("blocks.gguf")).unwrap();
    let names = file.names();
    assert_eq!(names.len(), 16);
    for name in names.iter().filter(|name| !name.contains('.')) {
        let found = file.read(name).unwrap();
        assert_eq!(found.shape().to_vec(), [3, 512], "{name}");
        let expected = file.read(&format!("{name}.decoded")).unwrap();
        let [found, expected] = [found, expected].map(|data| data.try_into_vec::<f32>().unwrap());
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn blocks_that_kernels_know_are_given_as_they_are() {
    let model = LanguageModel::open(&fixture("model.gguf")).unwrap();
    for projection in ["q_proj", "k_proj"] {
        let name = format!("model.layers.1.self_attn.{projection}.weight");
        assert_eq!(model.source.block_format(&name), Some(Format::Q8_0));
        let blocks = model.source.read_blocks(&name).unwrap().unwrap();
        let numbers: Vec<f32> = model.source.read(&name).unwrap().try_into_vec().unwrap();
        let mut decoded = vec![0.0; numbers.len()];
        decode_row(Format::Q8_0, &blocks, &mut decoded).unwrap();
        assert_eq!(decoded, numbers, "{name}");
    }
    let plain = "model.layers.1.mlp.up_proj.weight";
    assert_eq!(model.source.block_format(plain), None);
    assert_eq!(model.source.read_blocks(plain).unwrap(), None);
    // Blocks without a kernel are decoded.
    let file = WeightFile::open(&fixture("blocks.gguf")).unwrap();
    assert_eq!(file.block_format("Q4_0"), Some(Format::Q4_0));
    assert_eq!(file.block_format("Q6_K"), None);
    assert_eq!(file.read_blocks("Q6_K").unwrap(), None);
}

#[test]
fn a_file_is_written_as_a_folder() {
    let file = LanguageModel::open(&fixture("model.gguf")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llama");
    let saved = file.save(&path, &SaveOptions::default()).unwrap();
    assert_eq!(saved.tensors, 21);
    let folder = LanguageModel::open(&path).unwrap();
    assert_same_weights(&folder, &file);
    let text = "The brows are lowered.";
    let [one, two] = [&file, &folder].map(|model| model.tokenizer.as_ref().unwrap());
    assert_eq!(one.encode(text).unwrap(), two.encode(text).unwrap());
    let half = SaveOptions {
        dtype: Some(DType::BF16),
        shard_bytes: 20_000,
        ..SaveOptions::default()
    };
    file.save(&dir.path().join("half"), &half).unwrap();
    let half = LanguageModel::open(&dir.path().join("half")).unwrap();
    let names = half.source.names();
    assert!(
        names
            .iter()
            .all(|name| half.source.info(name).unwrap().dtype == DType::BF16)
    );
    let merged = SaveOptions {
        merge_lora: true,
        ..SaveOptions::default()
    };
    assert!(file.save(&dir.path().join("merged"), &merged).is_err());
}

/// A value of the metadata: its type and bytes.
type Pair<'a> = (&'a str, u32, Vec<u8>);

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// A tensor of a made-up file: name, axes innermost first, number format, offset.
type Listed<'a> = (&'a str, &'a [u64], u32, u64);

fn file(keys: &[Pair<'_>], tensors: &[Listed<'_>], data: usize) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((keys.len() as u64).to_le_bytes());
    for (key, kind, value) in keys {
        file.extend(text(key));
        file.extend(kind.to_le_bytes());
        file.extend(value);
    }
    for (name, axes, kind, offset) in tensors {
        file.extend(text(name));
        file.extend((axes.len() as u32).to_le_bytes());
        axes.iter().for_each(|axis| file.extend(axis.to_le_bytes()));
        file.extend(kind.to_le_bytes());
        file.extend(offset.to_le_bytes());
    }
    file.resize(file.len().next_multiple_of(32) + data, 0);
    file
}

fn refusal(file: &[u8]) -> String {
    match WeightFile::from_bytes(WeightFormat::Gguf, file) {
        Ok(_) => panic!("the file was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn tensors_that_lie_are_named() {
    let good: [Listed<'_>; 2] = [("a", &[32, 2], 8, 0), ("b", &[4], 0, 96)];
    let read = WeightFile::from_bytes(WeightFormat::Gguf, &file(&[], &good, 112)).unwrap();
    assert_eq!(read.info("a").unwrap().shape, [2, 32]);
    let huge = u64::MAX / 2;
    let cases: [(&[Listed<'_>], &[&str]); 11] = [
        (
            &[("a", &[32, 2], 8, 64)],
            &["\"a\"", "more than the file has"],
        ),
        (
            &[("a", &[32, 1 << 40], 8, 0)],
            &["\"a\"", "more than the file has"],
        ),
        (&[("a", &[huge, huge], 0, 0)], &["\"a\"", "cannot be"]),
        (
            &[("a", &[32, 2], 8, huge + 1)],
            &["\"a\"", "more than the file has"],
        ),
        (&[("a", &[32, 0], 8, 0)], &["\"a\"", "an axis of no length"]),
        (&[("a", &[16, 4], 8, 0)], &["\"a\"", "cannot be"]),
        (&[("a", &[32, 2], 8, 16)], &["\"a\"", "multiple of 32"]),
        (&[("a", &[32, 2], 99, 0)], &["\"a\"", "number format 99"]),
        (&[("a", &[1; 9], 0, 0)], &["\"a\"", "9 axes"]),
        (
            &[("a", &[32, 2], 8, 0), ("b", &[4], 0, 64)],
            &["\"b\"", "over another"],
        ),
        (
            &[("a", &[4], 0, 0), ("a", &[4], 0, 32)],
            &["\"a\"", "twice"],
        ),
    ];
    for (tensors, words) in cases {
        let message = refusal(&file(&[], tensors, 112));
        for word in words {
            assert!(message.contains(word), "{tensors:?}: {message}");
        }
    }
}

#[test]
fn headers_that_lie_are_refused_before_memory_is_taken() {
    let good = file(&[], &[("a", &[4], 0, 0)], 16);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        refusal(&file)
    };
    assert!(with(0, b"PK\x03\x04").contains("GGUF"));
    assert!(with(4, &[1, 0, 0, 0]).contains("version 1"));
    assert!(with(4, &[0, 0, 0, 3]).contains("big endian"));
    assert!(with(8, &u64::MAX.to_le_bytes()).contains("tensors"));
    assert!(with(16, &u64::MAX.to_le_bytes()).contains("keys"));
    // The length of the name.
    assert!(with(24, &u64::MAX.to_le_bytes()).contains("ends inside"));
    for length in 0..good.len() {
        refusal(&good[..length]);
    }
    let list = |kind: u32, count: u64, bytes: &[u8]| {
        [&kind.to_le_bytes()[..], &count.to_le_bytes(), bytes].concat()
    };
    let mut nested = list(4, 0, &[]);
    for _ in 0..6 {
        nested = list(9, 1, &nested);
    }
    let cases: [(&[Pair<'_>], &str); 7] = [
        (&[("a", 9, list(4, u64::MAX, &[0; 64]))], "ends inside"),
        (&[("a", 9, list(8, u64::MAX, &[0; 64]))], "ends inside"),
        (&[("a", 9, nested)], "inside each other"),
        (&[("a", 77, vec![0; 8])], "unknown type 77"),
        (&[("a", 7, vec![1]), ("a", 7, vec![1])], "twice"),
        (&[("general.alignment", 4, vec![0; 4])], "aligned"),
        (&[("general.alignment", 4, vec![3, 0, 0, 0])], "aligned"),
    ];
    for (keys, word) in cases {
        let message = refusal(&file(keys, &[], 0));
        assert!(message.contains(word), "{message}");
    }
}

/// Another value of a key of the fixture: every occurrence of some bytes changed.
fn changed(from: &[u8], to: &[u8]) -> String {
    let mut file = std::fs::read(fixture("model.gguf")).unwrap();
    let place = file.windows(from.len()).position(|bytes| bytes == from);
    let place = place.unwrap();
    file[place..place + to.len()].copy_from_slice(to);
    match LanguageModel::from_gguf(&file).and_then(|model| model.verify()) {
        Ok(()) => panic!("{:?} was read", String::from_utf8_lossy(to)),
        Err(error) => error.to_string(),
    }
}

#[test]
fn models_that_are_no_llama_are_refused() {
    let count = |key: &str, number: u32| {
        let from = [key.as_bytes(), &4_u32.to_le_bytes()].concat();
        let to = [&from[..], &number.to_le_bytes()].concat();
        changed(&from, &to)
    };
    let other = [text("llama"), text("general.name")].concat();
    let message = changed(&other, &text("qwen2"));
    assert!(message.contains("\"qwen2\""), "{message}");
    let message = changed(b"llama.block_count", b"llama.blocks_ount");
    assert!(message.contains("llama.block_count"), "{message}");
    let message = count("llama.attention.head_count", 0);
    assert!(message.contains("0 heads"), "{message}");
    let message = count("llama.attention.head_count", 3);
    assert!(message.contains("wide"), "{message}");
    let message = count("llama.block_count", 3);
    assert!(message.contains("model.layers.2."), "{message}");
    let message = count("llama.block_count", u32::MAX);
    assert!(message.contains("llm.num_layers"), "{message}");
    let message = changed(b"blk.0.attn_q.weight", b"blk.0.attn_q.wait_t");
    assert!(message.contains("self_attn.q_proj.weight"), "{message}");
    assert!(message.contains("wait_t"), "{message}");
    let message = changed(b"tokenizer.ggml.scores", b"tokenizer.ggml.scared");
    assert!(message.contains("tokenizer.ggml.scores"), "{message}");
}

/// Bytes of the fixture before its tensors.
const HEADER: usize = 9_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn damaged_files_never_panic(
        at in 0..HEADER,
        bytes in prop::collection::vec(any::<u8>(), 1..9),
        cut in prop::option::weighted(0.2, 0..HEADER),
    ) {
        let mut file = std::fs::read(fixture("model.gguf")).unwrap();
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        file.truncate(cut.unwrap_or(usize::MAX));
        if let Ok(model) = LanguageModel::from_gguf(&file)
            && model.verify().is_ok()
        {
            for name in model.source.names() {
                let data = model.source.read(&name).unwrap();
                // Four bits become 32.
                assert!(data.as_bytes().len() <= 8 * file.len());
            }
        }
    }
}
