//! Packed weights on the processor against burn's tensors.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A failure ends the test.

mod common;

use std::path::Path;

use burn::tensor::Tensor;
use common::{File, device, largest_difference, numbers, parity_folders};
use expllm_face::au::AuNetworkConfig;
use expllm_face::backbone::BackboneConfig;
use expllm_model::checkpoint::{self, Checkpoint, SaveOptions};
use expllm_model::generation::{
    AnswerTrie, BatchPrompt, CancelToken, GenerationSettings, Phrases, Prefix, TokenStream,
    generate_batch,
};
use expllm_model::parts::TokenMask;
use expllm_model::{
    ConvolutionalConfig, DType, ExpLlm, Format, LoadOptions, ModelConfig, Network, RandomWeights,
    Speaker, TensorSource, VisionConfig,
};

fn load(config: &ModelConfig, source: &dyn TensorSource, kernels: Option<Format>) -> Network {
    let options = LoadOptions {
        kernels: kernels.map(Into::into),
        ..LoadOptions::default()
    };
    Network::load(config, source, &options, &device()).unwrap()
}

fn logits(model: &Network, tokens: &[Vec<u32>], images: &Tensor<4>) -> Vec<f32> {
    let images = model.encode_images(images.clone()).unwrap();
    let mask = TokenMask::full(tokens.len(), tokens[0].len());
    let speaker = Speaker::from(model);
    let hidden = speaker.forward(tokens, &mask, Some(&images), None).unwrap();
    numbers(model.decoder.scores(hidden).unwrap())
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[test]
fn the_fixtures_give_the_same_numbers_and_tokens() {
    for folder in parity_folders() {
        numbers_and_tokens_are_the_same(&folder);
    }
}

fn numbers_and_tokens_are_the_same(folder: &Path) {
    // Rows of 24 to 48 numbers fill no two blocks, and few errors cancel out in them.
    let blocks = match folder.ends_with("locllm_tiny") {
        true => [0.999, 0.99],
        false => [0.99, 0.9],
    };
    let config = checkpoint::open(folder).unwrap().config;
    let expected = File::open(&folder.join("expected.safetensors"));
    let source = File::open(&folder.join("model.safetensors"));
    let (tokens, pixels) = (expected.tokens("input_ids"), expected.tensor("images"));
    let plain = logits(&load(&config, &source, None), &tokens, &pixels);
    for (format, least) in [
        (Format::F32, 0.999_999),
        (Format::F16, 0.999_99),
        (Format::Bf16, 0.999),
        (Format::Q8_0, blocks[0]),
        (Format::Q4A, blocks[1]),
    ] {
        let model = load(&config, &source, Some(format));
        let found = cosine(&logits(&model, &tokens, &pixels), &plain);
        println!("{format:?}: cosine of the logits {found:.6}");
        assert!(found >= least, "{format:?}: {found}");
    }
    let model = load(&config, &source, Some(Format::F32));
    let images = model.encode_images(pixels).unwrap();
    let settings = GenerationSettings {
        max_new_tokens: 24,
        ..GenerationSettings::default()
    };
    let mut prompts = Vec::new();
    for (row, (tokens, wanted)) in tokens.iter().zip(expected.tokens("greedy_24")).enumerate() {
        let image = images.clone().narrow(0, row, 1);
        let prefix = Prefix::new(&model, tokens, Some(image.clone())).unwrap();
        let stream = TokenStream::new(prefix, &settings, CancelToken::default()).unwrap();
        assert_eq!(stream.map(Result::unwrap).collect::<Vec<_>>(), wanted);
        prompts.push(BatchPrompt {
            tokens: tokens.clone(),
            image: Some(image),
        });
    }
    let mut longer = prompts[0].clone();
    longer.tokens.extend([9, 12, 40, 7, 91]);
    prompts.push(longer);
    let answers = generate_batch(&model, &prompts, &settings).unwrap();
    assert_eq!(answers[..2], expected.tokens("greedy_24"), "left-padded");
}

#[test]
fn random_models_give_the_same_labels_and_scores() {
    let config = ModelConfig::tiny();
    for seed in 0..3 {
        let source = RandomWeights::new(&config, DType::F32, seed).unwrap();
        let [plain, packed] = [None, Some(Format::F32)].map(|f| load(&config, &source, f));
        let image = vec![config.image_token_id; config.vision.num_patches()];
        let prompt = [&[1][..], &image, &[7, 8, 9]].concat();
        let side = config.vision.image_size();
        let pixels = Tensor::ones([1, 3, side, side], &device());
        let run = |model: &Network| {
            let image = model.encode_images(pixels.clone()).unwrap();
            let mut prefix = Prefix::new(model, &prompt, Some(image)).unwrap();
            let labels = [vec![10], vec![10, 11], vec![12, 13]];
            let trie = AnswerTrie::new(&labels, 2).unwrap();
            let shares = trie.probabilities(&mut prefix).unwrap();
            prefix.push(&[20]).unwrap();
            (shares, prefix.scores().to_vec())
        };
        let ((plain, plain_scores), (packed, packed_scores)) = (run(&plain), run(&packed));
        for (plain, packed) in plain.iter().zip(&packed) {
            // The cache is kept in f16.
            assert!((plain - packed).abs() < 2e-3, "{plain} {packed}");
        }
        assert!(largest_difference(&plain_scores, &packed_scores) < 1e-2);
    }
}

/// Bit for bit where the decoder says so, that what was said before may not change what is said now.
#[test]
fn guesses_change_no_score() {
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, 7).unwrap();
    // The same words each time but for one, which is guessed wrongly.
    let words = (0..40).map(|n: u32| 10 + n * n % 7);
    let mut text: Vec<u32> = words.collect();
    for format in [Format::F32, Format::F16, Format::Q8_0, Format::Q4A] {
        let model = load(&config, &source, Some(format));
        let exact = model.decoder.few_are_exact();
        let phrases = Phrases::default();
        for round in 0..3 {
            text[25] = 60 + round;
            let mut plain = Prefix::new(&model, &[1, 2, 3], None).unwrap();
            let mut guessing = plain.clone().guessing(&phrases);
            for &token in &text {
                plain.push(&[token]).unwrap();
                guessing.push(&[token]).unwrap();
                let bound = if exact { 0.0 } else { 0.1 };
                let found = largest_difference(guessing.scores(), plain.scores());
                assert!(found <= bound, "{format:?}: {found}");
            }
        }
        let counts = phrases.counts();
        assert!(
            counts.right > 20 && counts.guessed > counts.right,
            "{counts:?}"
        );
    }
}

#[test]
fn detectors_as_vision_encoders_stay_as_they_are() {
    let mut config = ModelConfig::tiny();
    config.llm.lora = None;
    config.vision = VisionConfig::Convolutional(ConvolutionalConfig {
        network: AuNetworkConfig::new()
            .with_side(32)
            .with_backbone(BackboneConfig::new(vec![8], vec![16, 32], vec![1, 1]).with_grid(2)),
    });
    let source = RandomWeights::new(&config, DType::F32, 4).unwrap();
    let pixels = Tensor::ones([2, 1, 32, 32], &device());
    let image = vec![config.image_token_id; config.vision.num_patches()];
    let tokens = vec![
        [&[1][..], &image, &[7, 8]].concat(),
        [&[2][..], &image, &[9, 3]].concat(),
    ];
    let [plain, packed] = [None, Some(Format::F32)]
        .map(|format| logits(&load(&config, &source, format), &tokens, &pixels));
    assert!(largest_difference(&plain, &packed) < 1e-2);
}

/// Writes a folder in blocks and gives the checkpoint that was written from.
fn quantised(folder: &Path, format: Format) -> Checkpoint {
    let config = ModelConfig::tiny();
    let checkpoint = Checkpoint {
        source: Box::new(RandomWeights::new(&config, DType::F32, 6).unwrap()),
        config,
        tokenizer: None,
        prompt: Default::default(),
        generation: Default::default(),
    };
    let options = SaveOptions {
        quantize: Some(format),
        ..SaveOptions::default()
    };
    checkpoint::save(folder, &checkpoint, &options).unwrap();
    checkpoint
}

#[test]
fn checkpoints_in_blocks_give_what_packing_gives() {
    let dir = tempfile::tempdir().unwrap();
    for format in [Format::Q8_0, Format::Q4_0, Format::Q4A] {
        let folder = dir.path().join(format.name());
        let plain = quantised(&folder, format);
        let stored = checkpoint::open(&folder).unwrap();
        stored.verify().unwrap();
        assert_eq!(stored.source.block_format("lm_head.weight"), Some(format));
        assert!(stored.config.llm.lora.is_none(), "adapters are merged");
        let tokens = vec![vec![1, 9, 12, 40, 7, 301]];
        let run = |model: &Network| {
            let mask = TokenMask::full(1, 6);
            let embedded = model.decoder.embed(&tokens).unwrap();
            let hidden = model.decoder.forward(embedded, &mask, None).unwrap();
            numbers(model.decoder.scores(hidden).unwrap())
        };
        let [wanted, found, decoded] = [
            (&plain, Some(format)),
            (&stored, Some(format)),
            (&stored, None),
        ]
        .map(|(c, kernels)| run(&load(&c.config, c.source.as_ref(), kernels)));
        assert_eq!(found, wanted, "{format:?}: the same blocks");
        assert!(
            cosine(&decoded, &found) > 0.999,
            "{format:?}: as plain numbers"
        );
        // Written again, blocks stay as they are.
        let again = dir.path().join("again");
        let options = SaveOptions {
            quantize: Some(format),
            ..SaveOptions::default()
        };
        checkpoint::save(&again, &stored, &options).unwrap();
        let again_stored = checkpoint::open(&again).unwrap();
        for name in stored.source.names() {
            let [first, second] = [&stored, &again_stored].map(|c| {
                let blocks = c.source.read_blocks(&name).unwrap();
                (blocks, c.source.read(&name).unwrap())
            });
            assert!(first == second, "{name} has changed");
        }
        std::fs::remove_dir_all(&again).unwrap();
    }
}

#[test]
fn blocks_that_cannot_be_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("model");
    quantised(&folder, Format::Q8_0);
    let error = |folder: &Path| {
        let opened = checkpoint::open(folder);
        let loaded = opened.and_then(|c| {
            let options = LoadOptions {
                kernels: Some(Format::Q8_0.into()),
                ..LoadOptions::default()
            };
            Network::load(&c.config, c.source.as_ref(), &options, &device())
        });
        loaded.map(drop).unwrap_err().to_string()
    };
    // A scale that is no number.
    let path = folder.join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&whole[8..8 + length]).unwrap();
    let start = &header["lm_head.weight.q8_0"]["data_offsets"][0];
    let place = 8 + length + start.as_u64().unwrap() as usize + 3 * 68;
    let mut spoilt = whole.clone();
    spoilt[place..place + 2].copy_from_slice(&0x7e00_u16.to_le_bytes());
    std::fs::write(&path, &spoilt).unwrap();
    let message = error(&folder);
    assert!(
        message.contains("lm_head") && message.contains("row 3"),
        "{message}"
    );
    std::fs::write(&path, &whole).unwrap();
    // Sizes of another model.
    let config = folder.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("\"vocab_size\": 640", "\"vocab_size\": 608"),
    )
    .unwrap();
    let message = error(&folder);
    assert!(message.contains("[608, 68] bytes"), "{message}");
    std::fs::write(
        &config,
        text.replace("\"num_layers\": 2", "\"num_layers\": 1"),
    )
    .unwrap();
    let message = error(&folder);
    assert!(message.contains("no matrix of this model"), "{message}");
}

#[test]
fn packed_weights_are_all_that_a_network_holds() {
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, 1).unwrap();
    let network = load(&config, &source, Some(Format::Q8_0));
    assert!(network.decoder.packed_bytes().unwrap() < 300_000);
    let plain = load(&config, &source, None);
    assert_eq!(plain.decoder.packed_bytes(), None);
    // A model that can be trained has no packed weights.
    let options = LoadOptions {
        kernels: Some(Format::Q8_0.into()),
        ..LoadOptions::default()
    };
    let error = ExpLlm::load(&config, &source, &options, &device()).unwrap_err();
    assert!(error.to_string().contains("Network"), "{error}");
}

#[test]
fn caches_belong_to_the_decoder_that_made_them() {
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, 1).unwrap();
    let [plain, packed] = [None, Some(Format::F32)].map(|f| load(&config, &source, f));
    let embedded = packed.decoder.embed(&[vec![7]]).unwrap();
    let mask = TokenMask::full(1, 1);
    for (decoder, other) in [(&plain, &packed), (&packed, &plain)] {
        let mut cache = other.decoder.cache(1, 4);
        let run = (decoder.decoder).forward(embedded.clone(), &mask, Some(&mut cache));
        let error = run.unwrap_err().to_string();
        assert!(error.contains("another kind of decoder"), "{error}");
    }
}

#[test]
fn tokens_one_by_one_score_as_tokens_at_once() {
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, 1).unwrap();
    for format in [None, Some(Format::F32)] {
        let network = load(&config, &source, format);
        let whole = Prefix::new(&network, &[1, 7, 8, 9, 20, 21], None).unwrap();
        let mut stepped = Prefix::new(&network, &[1, 7, 8], None).unwrap();
        for token in [9, 20, 21] {
            stepped.push(&[token]).unwrap();
        }
        assert_eq!(stepped.tokens(), whole.tokens());
        let difference = largest_difference(stepped.scores(), whole.scores());
        assert!(difference < 1e-3, "{difference}");
        assert!(stepped.push(&[config.image_token_id]).is_err());
        assert!(stepped.push(&[u32::MAX]).is_err());
    }
}

#[test]
fn long_prompts_score_as_their_parts() {
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, 2).unwrap();
    let network = load(&config, &source, Some(Format::F32));
    let tokens: Vec<u32> = (0..900).map(|place| 30 + place * 7 % 500).collect();
    let whole = Prefix::new(&network, &tokens, None).unwrap();
    let mut parts = Prefix::new(&network, &tokens[..400], None).unwrap();
    parts.push(&tokens[400..]).unwrap();
    let difference = largest_difference(parts.scores(), whole.scores());
    assert!(difference < 1e-3, "{difference}");
    let plain = load(&config, &source, None);
    let plain = Prefix::new(&plain, &tokens, None).unwrap();
    assert!(largest_difference(plain.scores(), whole.scores()) < 1e-2);
}
