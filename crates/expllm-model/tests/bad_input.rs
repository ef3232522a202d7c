//! Damaged and lying checkpoint folders: one clear error each, before memory is taken for what
//! they claim to hold. One test alone in its program, so that the peak memory is its own.

#![allow(clippy::unwrap_used)] // A broken folder ends the test.

use std::fs;
use std::path::Path;

use expllm_model::checkpoint::{Checkpoint, SaveOptions, open, save};
use expllm_model::conversation::PromptTemplate;
use expllm_model::generation::GenerationSettings;
use expllm_model::{
    DType, ExpLlm, LoadOptions, ModelConfig, ModelError, RandomWeights, default_device,
};

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// What all refusals together may add to the peak memory, in bytes. The folders claim 10 GB and
/// more; a small model, buffers and maps need some.
const ALLOWANCE: u64 = 48 << 20;

fn write(dir: &Path, shard_bytes: u64) {
    let config = ModelConfig::tiny();
    let checkpoint = Checkpoint {
        source: Box::new(RandomWeights::new(&config, DType::F32, 7).unwrap()),
        tokenizer: None,
        prompt: PromptTemplate::default(),
        generation: GenerationSettings::default(),
        config,
    };
    let options = SaveOptions {
        shard_bytes,
        ..SaveOptions::default()
    };
    save(dir, &checkpoint, &options).unwrap();
}

fn load(dir: &Path) -> Result<ExpLlm, ModelError> {
    let checkpoint = open(dir)?;
    let source = checkpoint.source.as_ref();
    let device = default_device();
    ExpLlm::load(&checkpoint.config, source, &LoadOptions::default(), &device)
}

/// The peak memory of this process in bytes, where the system says it.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.split_whitespace().next()?.parse::<u64>().ok()?)
}

/// Another header over the same data.
fn with_header(file: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let (header, data) = file[8..].split_at(length);
    let header = change(std::str::from_utf8(header).unwrap());
    [
        &(header.len() as u64).to_le_bytes(),
        header.as_bytes(),
        data,
    ]
    .concat()
}

/// What is wrong, the damage, and words of the error.
type Case = (&'static str, fn(&[u8]) -> Vec<u8>, &'static [&'static str]);

const FILES: [Case; 7] = [
    (
        "wrong magic",
        |_| b"PK\x03\x04 is the beginning of an archive".to_vec(),
        &[WEIGHTS, "not a whole safetensors file"],
    ),
    (
        "a header longer than the file",
        |file| [&(1_u64 << 40).to_le_bytes(), &file[8..]].concat(),
        &[WEIGHTS, "not a whole safetensors file"],
    ),
    (
        "cut short",
        |file| file[..file.len() - 3].to_vec(),
        &[WEIGHTS, "not a whole safetensors file"],
    ),
    (
        "a tensor larger than its file",
        |file| {
            with_header(file, |header| {
                // A table of 32,000 x 4,096 numbers at the end of the data.
                let (before, after) = header.split_once("\"model.embed_tokens.weight\":").unwrap();
                let rest = after.split_once('}').unwrap().1;
                let entry = r#"{"dtype":"F32","shape":[32000,4096],"data_offsets":[0,524288000]}"#;
                format!("{before}\"model.embed_tokens.weight\":{entry}{rest}")
            })
        },
        &[WEIGHTS, "not a whole safetensors file"],
    ),
    (
        "integers for weights",
        |file| with_header(file, |header| header.replace("\"F32\"", "\"I32\"")),
        &["I32", "cannot be a weight"],
    ),
    (
        "a number format that is none",
        |file| with_header(file, |header| header.replacen("\"F32\"", "\"F31\"", 1)),
        &[WEIGHTS],
    ),
    (
        "not a number",
        |file| {
            let mut file = file.to_vec();
            let end = file.len();
            file[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
            file
        },
        &["1 numbers are not finite"],
    ),
];

#[test]
fn bad_folders_end_in_one_error_before_memory_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    write(&whole, u64::MAX);
    load(&whole).unwrap();
    let before = peak_memory();

    let refused = |dir: &Path, what: &str, words: &[&str]| {
        let message = match load(dir) {
            Ok(_) => panic!("{what} was loaded"),
            Err(error) => error.to_string(),
        };
        for word in words {
            assert!(message.contains(word), "{what}: {message}");
        }
    };
    let good = fs::read(whole.join(WEIGHTS)).unwrap();
    for (what, damage, words) in FILES {
        fs::write(whole.join(WEIGHTS), damage(&good)).unwrap();
        refused(&whole, what, words);
    }
    fs::write(whole.join(WEIGHTS), &good).unwrap();

    // A configuration that claims the published sizes.
    let claims = serde_json::to_string(&ModelConfig::expllm_7b()).unwrap();
    let config = fs::read_to_string(whole.join("config.json")).unwrap();
    fs::write(whole.join("config.json"), claims).unwrap();
    let words = [
        "model.embed_tokens.weight",
        "model.layers.31.mlp.up_proj.weight",
    ];
    refused(&whole, "the sizes of another model", &words);
    let endless = config.replace("\"num_layers\": 2", "\"num_layers\": 4000000000");
    assert_ne!(endless, config);
    fs::write(whole.join("config.json"), endless).unwrap();
    refused(&whole, "an endless model", &["llm.num_layers"]);

    let shards = dir.path().join("shards");
    write(&shards, 400_000);
    let index = fs::read_to_string(shards.join(INDEX)).unwrap();
    let shard = index.split('"').find(|part| part.ends_with(".safetensors"));
    let shard = shard.unwrap().to_owned();
    fs::write(shards.join(INDEX), index.replace(&shard, INDEX)).unwrap();
    refused(&shards, "an index that names itself", &[INDEX]);
    fs::write(shards.join(INDEX), &index).unwrap();
    let bytes = fs::read(shards.join(&shard)).unwrap();
    fs::write(shards.join(&shard), &bytes[..bytes.len() / 2]).unwrap();
    refused(
        &shards,
        "half a shard",
        &[&shard, "not a whole safetensors file"],
    );
    fs::remove_file(shards.join(&shard)).unwrap();
    refused(&shards, "no shard", &[&shard]);

    if let (Some(before), Some(after)) = (before, peak_memory()) {
        let taken = after - before;
        assert!(taken < ALLOWANCE, "{taken} bytes were taken");
    }
}
