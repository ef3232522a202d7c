//! GGUF files: equal to the folder that they were made from, and refused when they lie.
//!
//! The fixtures and the script that writes them are in `tests/fixtures`.

#![allow(clippy::unwrap_used)] // A broken fixture ends the test.

#[path = "../common/mod.rs"]
mod common;
mod hostile;

use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use common::File;
use expllm_kernels::{Format, Matrix, Rows, decode_row};
use expllm_model::checkpoint::{LanguageModel, SaveOptions, WeightFile, WeightFormat};
use expllm_model::parts::TokenMask;
use expllm_model::{
    DType, ExpLlm, LoadOptions, ModelConfig, ModelError, RandomWeights, TensorInfo, TensorSource,
};

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
        // The kernels keep them as they are.
        let format = file.block_format(name).unwrap();
        let blocks = file.read_blocks(name).unwrap().unwrap();
        let matrix = Matrix::pack(format, 512, &[Rows::Encoded(format, &blocks)]).unwrap();
        let mut row = vec![0.0; 512];
        for (index, expected) in expected.chunks(512).enumerate() {
            matrix.row(index, &mut row);
            assert_eq!(row, expected, "{name}");
        }
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
    let file = WeightFile::open(&fixture("blocks.gguf")).unwrap();
    assert_eq!(file.block_format("Q4_0"), Some(Format::Q4_0));
    assert_eq!(file.block_format("Q6_K"), Some(Format::Q6K));
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
