//! Checkpoint folders: what is read is what was written, in every layout, and damaged files end
//! in an error.

#![allow(clippy::unwrap_used)] // A broken fixture ends the test.

#[path = "../common/mod.rs"]
mod common;
mod damaged;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use burn::tensor::TensorData;
use common::{File, fixture_config, parity_folders};
use expllm_model::checkpoint::{
    Checkpoint, SaveOptions, WeightFile, WeightFormat, apply_adapter, is_language_alone, open,
    open_on_detector, open_parts, save, save_adapter, shipped,
};
use expllm_model::conversation::PromptTemplate;
use expllm_model::generation::GenerationSettings;
use expllm_model::{
    DType, ExpLlm, LoadOptions, ModelConfig, ModelError, RandomWeights, TensorInfo, TensorSource,
    parity,
};

fn tiny() -> Checkpoint {
    let config = ModelConfig::tiny();
    Checkpoint {
        source: Box::new(RandomWeights::new(&config, DType::F32, 7).unwrap()),
        tokenizer: None,
        prompt: PromptTemplate::default(),
        generation: GenerationSettings {
            max_new_tokens: 17,
            ..GenerationSettings::default()
        },
        config,
    }
}

fn assert_same(left: &dyn TensorSource, right: &dyn TensorSource) {
    let (mut names, mut other) = (left.names(), right.names());
    names.sort();
    other.sort();
    assert_eq!(names, other);
    for name in names {
        assert!(
            left.read(&name).unwrap() == right.read(&name).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn folders_read_back_as_they_were_written_whole_or_sharded() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = tiny();
    for (name, shard_bytes) in [("one", u64::MAX), ("many", 100_000)] {
        let options = SaveOptions {
            shard_bytes,
            ..SaveOptions::default()
        };
        let path = dir.path().join(name);
        let saved = save(&path, &checkpoint, &options).unwrap();
        assert_eq!(saved.tensors, checkpoint.source.names().len());
        assert_eq!(path.join("model.safetensors").exists(), name == "one");
        let again = open(&path).unwrap();
        assert_eq!(again.config, checkpoint.config);
        assert_eq!(again.prompt, checkpoint.prompt);
        assert_eq!(again.generation, checkpoint.generation);
        assert_same(again.source.as_ref(), checkpoint.source.as_ref());
        // Nothing passing is left beside the folder, and it is not written over.
        assert!(save(&path, &checkpoint, &options).is_err());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn number_formats_and_merged_adapters_change_weights_as_the_model_does() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = tiny();
    let half = SaveOptions {
        dtype: Some(DType::F16),
        merge_lora: true,
        ..SaveOptions::default()
    };
    let full = SaveOptions {
        dtype: None,
        ..half.clone()
    };
    save(&dir.path().join("half"), &checkpoint, &half).unwrap();
    save(&dir.path().join("full"), &checkpoint, &full).unwrap();
    let half = open(&dir.path().join("half")).unwrap();
    let full = open(&dir.path().join("full")).unwrap();
    half.verify().unwrap();
    assert_eq!(full.config.llm.lora, None);
    let device = common::device();
    let model = ExpLlm::load(
        &checkpoint.config,
        checkpoint.source.as_ref(),
        &LoadOptions::default(),
        &device,
    );
    let merged = model.unwrap().merge_lora();
    for name in full.source.names() {
        let numbers = |data: TensorData| data.convert_dtype(DType::F32).try_into_vec::<f32>();
        let expected = numbers(merged.read(&name).unwrap()).unwrap();
        let found = numbers(full.source.read(&name).unwrap()).unwrap();
        common::assert_close(&name, &found, &expected, 1e-5);
        let rounded = numbers(half.source.read(&name).unwrap()).unwrap();
        common::assert_close(&name, &rounded, &expected, 4e-3);
        assert_eq!(half.source.info(&name).unwrap().dtype, DType::F16);
    }
}

#[test]
fn both_files_of_an_official_folder_are_the_same_and_agree_with_the_reference() {
    for folder in parity_folders() {
        both_files_agree(&folder);
    }
}

fn both_files_agree(fixture: &Path) {
    let torch = WeightFile::open(&fixture.join("pytorch_model.bin")).unwrap();
    let safetensors = WeightFile::open(&fixture.join("model.safetensors")).unwrap();
    // The official file also keeps buffers, which safetensors files of it leave out.
    for name in safetensors.names() {
        assert!(
            torch.read(&name).unwrap() == safetensors.read(&name).unwrap(),
            "{name}"
        );
    }
    let expected = File::open(&fixture.join("expected.safetensors"));
    for file in ["model.safetensors", "pytorch_model.bin"] {
        let dir = tempfile::tempdir().unwrap();
        for name in ["config.json", "vision_config.json", file] {
            std::fs::copy(fixture.join(name), dir.path().join(name)).unwrap();
        }
        let checkpoint = open(dir.path()).unwrap();
        if fixture.ends_with("locllm_tiny") {
            let mut config = fixture_config();
            config.llm.rms_norm_eps = checkpoint.config.llm.rms_norm_eps;
            assert_eq!(checkpoint.config, config);
        }
        let native = dir.path().join("native");
        save(&native, &checkpoint, &SaveOptions::default()).unwrap();
        let native = open(&native).unwrap();
        let options = LoadOptions::default();
        let device = common::device();
        let model = ExpLlm::load(&native.config, native.source.as_ref(), &options, &device);
        let report = parity::compare(&model.unwrap(), &Floats(&expected, fixture)).unwrap();
        assert!(report.holds(), "{report:?}");
    }
}

/// The expected values with the number formats that the file states.
struct Floats<'a>(&'a File, &'a Path);

impl TensorSource for Floats<'_> {
    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        WeightFile::open(&self.1.join("expected.safetensors"))
            .unwrap()
            .info(name)
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        WeightFile::open(&self.1.join("expected.safetensors"))?.read(name)
    }
}

/// A file as `torch.save` writes it: f32 tensors of one storage each.
fn torch_file(tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Vec<u8> {
    let text = |pickle: &mut Vec<u8>, text: &str| {
        pickle.push(b'X');
        pickle.extend((text.len() as u32).to_le_bytes());
        pickle.extend(text.as_bytes());
    };
    let number = |pickle: &mut Vec<u8>, number: usize| {
        pickle.push(b'J');
        pickle.extend((number as u32).to_le_bytes());
    };
    let mut pickle = b"\x80\x02}q\x00(".to_vec();
    for (key, (name, (shape, numbers))) in tensors.iter().enumerate() {
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &key.to_string());
        text(&mut pickle, "cpu");
        number(&mut pickle, numbers.len());
        pickle.extend(b"tQK\x00(");
        shape.iter().for_each(|&axis| number(&mut pickle, axis));
        pickle.extend(b"t(");
        for axis in 0..shape.len() {
            number(&mut pickle, shape[axis + 1..].iter().product());
        }
        pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("archive/data.pkl", stored).unwrap();
    zip.write_all(&pickle).unwrap();
    for (key, (_, numbers)) in tensors.values().enumerate() {
        zip.start_file(format!("archive/data/{key}"), stored)
            .unwrap();
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The tensors of a source whose names begin so, without that beginning, as a PyTorch file.
fn torch_part(source: &dyn TensorSource, prefix: &str) -> Vec<u8> {
    let mut tensors = BTreeMap::new();
    for name in source.names() {
        let Some(short) = name.strip_prefix(prefix) else {
            continue;
        };
        if name.contains(".lora_") {
            continue;
        }
        let data = source.read(&name).unwrap();
        let shape = data.shape().to_vec();
        tensors.insert(short.to_owned(), (shape, data.try_into_vec().unwrap()));
    }
    torch_file(&tensors)
}

#[test]
fn a_vision_encoder_and_a_llama_folder_make_one_model() {
    let mut config = ModelConfig::tiny();
    // Heads of DINOv2 are 64 wide; a file of weights alone does not say their number.
    let vision = config.vision.dinov2_mut().unwrap();
    vision.embed_dim = 64;
    vision.num_heads = 1;
    vision.image_size = 224;
    let source = RandomWeights::new(&config, DType::F32, 3).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    // The language model with its own names: "model." and "lm_head.".
    let mut tensors = BTreeMap::new();
    for name in source.names() {
        if !name.contains(".lora_") && (name.starts_with("model.") || name.starts_with("lm_head."))
        {
            let data = source.read(&name).unwrap();
            let shape = data.shape().to_vec();
            tensors.insert(name, (shape, data.try_into_vec().unwrap()));
        }
    }
    write("pytorch_model.bin", &torch_file(&tensors));
    write("dinov2_tiny.pth", &torch_part(&source, "vision_model."));
    let json = serde_json::json!({
        "model_type": "llama", "vocab_size": 640, "hidden_size": 64, "intermediate_size": 176,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "pad_token_id": -1,
    });
    write("config.json", json.to_string().as_bytes());
    let checkpoint = open(dir.path()).unwrap();
    checkpoint.verify().unwrap();
    let vision = checkpoint.config.vision.dinov2().unwrap();
    assert_eq!(vision.embed_dim, 64);
    assert_eq!(vision.pretrain_image_size, 98);
    assert_eq!(checkpoint.config.image_token_id, 640);
    let vision = dir.path().join("dinov2_tiny.pth");
    let projector = |seed| {
        let parts = open_parts(dir.path(), &vision, seed).unwrap();
        parts.source.read("mm_projector.2.weight").unwrap()
    };
    assert!(projector(5) == projector(5));
    assert!(projector(5) != projector(6));
    let name = "vision_model.blocks.1.mlp.fc1.weight";
    assert!(checkpoint.source.read(name).unwrap() == source.read(name).unwrap());
    // The same encoder before a GGUF file, named and beside it.
    let gguf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama_gguf/model.gguf");
    assert!(open(&gguf).unwrap_err().to_string().contains("dinov2"));
    let whole = open_parts(&gguf, &vision, 5).unwrap();
    whole.verify().unwrap();
    assert_eq!(whole.config.llm.hidden_size, 32);
    assert_eq!(whole.config.image_token_id, 320);
    assert!(whole.tokenizer.is_some());
    let both = tempfile::tempdir().unwrap();
    std::fs::copy(&gguf, both.path().join("model.gguf")).unwrap();
    std::fs::copy(&vision, both.path().join("dinov2_tiny.pth")).unwrap();
    for path in [both.path().to_owned(), both.path().join("model.gguf")] {
        assert_eq!(open(&path).unwrap().config, whole.config);
    }
}

#[test]
fn adapter_folders_go_out_and_in() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = tiny();
    let adapter = dir.path().join("adapter");
    save_adapter(&adapter, &checkpoint).unwrap();
    let file = WeightFile::open(&adapter.join("adapter_model.safetensors")).unwrap();
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    assert_eq!(file.info(name).unwrap().shape, [8, 64]);
    // The same model without adapters, and with another projector.
    let mut config = ModelConfig::tiny();
    config.llm.lora = None;
    config.vision.dinov2_mut().unwrap().lora = None;
    let base = Checkpoint {
        source: Box::new(RandomWeights::new(&config, DType::F32, 7).unwrap()),
        config,
        ..tiny()
    };
    let again = apply_adapter(base, &adapter).unwrap();
    assert_eq!(again.config, checkpoint.config);
    assert_same(again.source.as_ref(), checkpoint.source.as_ref());
    let error = apply_adapter(again, &adapter).unwrap_err();
    assert!(error.to_string().contains("merge them first"), "{error}");
}

#[test]
fn a_language_model_behind_the_detector_is_whole_with_its_adapters_beside_it() {
    let gguf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama_gguf/model.gguf");
    let projector = "mm_projector.0.weight";
    let fresh = open_on_detector(&gguf, 3).unwrap();
    fresh.verify().unwrap();
    assert_eq!(fresh.config.vision, shipped().unwrap().config.vision);
    let end = fresh.tokenizer.as_ref().unwrap();
    let end = end.token_text(fresh.config.eos_token_id).unwrap();
    assert_eq!(fresh.prompt.separators[2], end);

    // Adapters that were trained on it, drawn here.
    let mut config = fresh.config.clone();
    config.llm.lora = ModelConfig::tiny().llm.lora;
    let trained = Checkpoint {
        source: Box::new(RandomWeights::new(&config, DType::F32, 9).unwrap()),
        config,
        ..fresh
    };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("adapter");
    save_adapter(&folder, &trained).unwrap();
    assert!(open(&folder).is_err(), "adapters alone are no model");
    std::fs::copy(&gguf, folder.join("model.gguf")).unwrap();
    assert!(!is_language_alone(&folder).unwrap());
    for path in [folder.clone(), folder.join("model.gguf")] {
        let found = open(&path).unwrap();
        found.verify().unwrap();
        assert_eq!(found.config, trained.config);
        assert_eq!(found.prompt, trained.prompt);
        assert_eq!(found.generation, trained.generation);
        for name in [projector, "model.layers.0.self_attn.v_proj.lora_B"] {
            let expected = trained.source.read(name).unwrap();
            assert!(found.source.read(name).unwrap() == expected, "{name}");
        }
    }
}

#[test]
fn missing_and_misshapen_tensors_are_all_named() {
    let mut checkpoint = tiny();
    checkpoint.config.llm.vocab_size = 700;
    checkpoint.config.llm.num_layers = 3;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("folder");
    let error = save(&path, &checkpoint, &SaveOptions::default()).unwrap_err();
    let ModelError::Weights(mismatch) = error else {
        panic!("{error}");
    };
    assert!(
        mismatch
            .missing
            .iter()
            .all(|name| name.starts_with("model.layers.2."))
    );
    let shapes: Vec<_> = mismatch
        .misshapen
        .iter()
        .map(|wrong| wrong.name.as_str())
        .collect();
    assert_eq!(shapes, ["model.embed_tokens.weight", "lm_head.weight"]);
    assert!(!path.exists());
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    struct Broken(RandomWeights);
    impl TensorSource for Broken {
        fn names(&self) -> Vec<String> {
            self.0.names()
        }
        fn info(&self, name: &str) -> Option<TensorInfo> {
            self.0.info(name)
        }
        fn read(&self, name: &str) -> Result<TensorData, ModelError> {
            let data = self.0.read(name)?;
            if name != "model.norm.weight" {
                return Ok(data);
            }
            let shape = data.shape().clone();
            let mut numbers: Vec<f32> = data.try_into_vec().unwrap();
            numbers[3] = f32::NAN;
            Ok(TensorData::new(numbers, shape))
        }
    }
    let mut checkpoint = tiny();
    let random = RandomWeights::new(&checkpoint.config, DType::F32, 7).unwrap();
    checkpoint.source = Box::new(Broken(random));
    let dir = tempfile::tempdir().unwrap();
    let error = save(&dir.path().join("a"), &checkpoint, &SaveOptions::default()).unwrap_err();
    assert!(error.to_string().contains("model.norm.weight"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
