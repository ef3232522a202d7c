//! What several tests of the program share: a small checkpoint of random weights.

use std::path::{Path, PathBuf};

use expllm::model::checkpoint::{Checkpoint, SaveOptions, save};
use expllm::model::generation::GenerationSettings;
use expllm::model::{DType, ModelConfig, RandomWeights, Tokenizer};
use serde_json::{Value, json};

/// Tokens before the image token: three special ones and the bytes.
const VOCABULARY: usize = 259;

/// A tokenizer whose tokens are bytes.
pub fn tokenizer() -> Tokenizer {
    let special = ["<unk>", "<s>", "</s>"];
    let bytes = (0..=255_u8).map(|byte| format!("<0x{byte:02X}>"));
    let names = special.iter().map(|name| (*name).to_owned()).chain(bytes);
    let vocab: serde_json::Map<_, _> = names
        .enumerate()
        .map(|(id, name)| (name, Value::from(id)))
        .collect();
    let added = special.iter().enumerate().map(|(id, content)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    });
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "fuse_unk": true,
                  "byte_fallback": true, "vocab": vocab, "merges": []},
    });
    Tokenizer::from_json(file.to_string().as_bytes()).unwrap()
}

/// A checkpoint folder whose answers have up to 24 tokens.
pub fn checkpoint(dir: &Path, tokenizer: Option<Tokenizer>) -> PathBuf {
    let mut config = ModelConfig::tiny();
    config.vision.dinov2_mut().unwrap().image_size = 224;
    config.llm.vocab_size = VOCABULARY;
    config.llm.max_positions = 4096;
    config.image_token_id = VOCABULARY as u32;
    let checkpoint = Checkpoint {
        source: Box::new(RandomWeights::new(&config, DType::F32, 5).unwrap()),
        tokenizer,
        prompt: Default::default(),
        generation: GenerationSettings {
            max_new_tokens: 24,
            ..GenerationSettings::default()
        },
        config,
    };
    let folder = dir.join("checkpoint");
    save(&folder, &checkpoint, &SaveOptions::default()).unwrap();
    folder
}
