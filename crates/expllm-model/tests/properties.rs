//! Properties that hold for every size: merged = unmerged, cached = uncached, batch = loop.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod common;

use burn::tensor::{DType, Distribution, Tensor, TensorData};
use common::{assert_close, backend, device, numbers, slack};
use expllm_model::nn::llama::Rotary;
use expllm_model::nn::{LayerNorm, RmsNorm};
use expllm_model::parts::{Decoder, TokenMask};
use expllm_model::{
    Backend, ExpLlm, LoadOptions, ModelConfig, ModelError, ProjectorKind, RandomWeights,
    TensorSource,
};
use proptest::prelude::*;

/// Small configurations of every shape: ranks, heads, groups, grids, targets, tied heads.
fn configs() -> impl Strategy<Value = ModelConfig> {
    let vision = (1_usize..4, 1_usize..4, 2_usize..5, 2_usize..6, 1_usize..6);
    let llm = (1_usize..4, 1_usize..3, 1_usize..4, 2_usize..7, 1_usize..6);
    let choices = (any::<bool>(), any::<bool>(), 1_usize..128);
    (vision, llm, choices).prop_map(|(vision, llm, (tied, linear, targets))| {
        let (heads, depth, grid, stored, rank) = vision;
        let mut config = ModelConfig::tiny();
        let vision = config.vision.dinov2_mut().unwrap();
        vision.num_heads = heads;
        vision.embed_dim = heads * 8;
        vision.depth = depth;
        vision.image_size = grid * 14;
        vision.pretrain_image_size = stored * 14;
        let (layers, kv_heads, groups, half_head, llm_rank) = llm;
        config.llm.num_layers = layers;
        config.llm.num_kv_heads = kv_heads;
        config.llm.num_heads = kv_heads * groups;
        config.llm.head_dim = half_head * 2;
        config.llm.hidden_size = 24;
        config.llm.intermediate_size = 40;
        config.llm.vocab_size = 50;
        config.llm.tie_word_embeddings = tied;
        config.image_token_id = 50;
        if linear {
            config.projector = ProjectorKind::Linear;
        }
        if let Some(lora) = &mut config.vision.dinov2_mut().unwrap().lora {
            lora.rank = rank;
            lora.alpha = 2.0 * rank as f64;
            lora.targets.push("k".to_owned());
        }
        if let Some(lora) = &mut config.llm.lora {
            lora.rank = llm_rank;
            lora.alpha = 2.0 * llm_rank as f64;
            lora.targets = expllm_model::LlmConfig::PROJECTIONS
                .iter()
                .enumerate()
                .filter(|(bit, _)| targets >> bit & 1 == 1)
                .map(|(_, name)| (*name).to_owned())
                .collect();
        }
        config
    })
}

fn load(config: &ModelConfig, seed: u64) -> ExpLlm {
    let source = RandomWeights::new(config, DType::F32, seed).unwrap();
    ExpLlm::load(config, &source, &LoadOptions::default(), &device()).unwrap()
}

/// A prompt with the image after its first token.
fn prompt(config: &ModelConfig, text: &[u32]) -> Vec<u32> {
    let image = vec![config.image_token_id; config.vision.num_patches()];
    [&text[..1], &image, &text[1..]].concat()
}

fn images(config: &ModelConfig, batch: usize) -> Tensor<4> {
    let side = config.vision.image_size();
    Tensor::random([batch, 3, side, side], Distribution::Default, &device())
}

fn logits(model: &ExpLlm, tokens: &[u32], image: &Tensor<3>) -> Vec<f32> {
    let mask = TokenMask::full(1, tokens.len());
    let rows = [tokens.to_vec()];
    let hidden = model.forward(&rows, &mask, Some(image), None).unwrap();
    numbers(model.llm.logits(hidden))
}

/// Sums of other orders: a part of the largest number, grown over the layers.
fn assert_same(what: &str, left: &[f32], right: &[f32]) {
    let size = right.iter().fold(1.0_f32, |size, x| size.max(x.abs()));
    assert_close(what, left, right, 2e-4 * size * slack());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_adapters_changes_nothing(config in configs(), seed: u64) {
        let model = load(&config, seed);
        let merged = model.clone().merge_lora();
        let tokens = prompt(&config, &[1, 7, 9, 30]);
        let images = images(&config, 1);
        let run = |model: &ExpLlm| {
            logits(model, &tokens, &model.encode_images(images.clone()).unwrap())
        };
        prop_assert!(merged.names().iter().all(|name| !name.contains("lora")));
        assert_same("merged", &run(&merged), &run(&model));
    }

    #[test]
    fn cached_steps_equal_one_pass(config in configs(), seed: u64, cut in 1_usize..5) {
        let model = load(&config, seed);
        let image = model.encode_images(images(&config, 1)).unwrap();
        let tokens = prompt(&config, &[1, 7, 9, 30, 4, 21]);
        let whole = logits(&model, &tokens, &image);

        let mut cache = model.llm.cache(1, tokens.len() + 3);
        let (head, tail) = tokens.split_at(tokens.len() - cut);
        let mut pieces = vec![head];
        pieces.extend(tail.chunks(1));
        let mut stepped = Vec::new();
        for (index, piece) in pieces.into_iter().enumerate() {
            let image = (index == 0).then_some(&image);
            let mask = TokenMask::full(1, piece.len());
            let rows = [piece.to_vec()];
            let hidden = model.forward(&rows, &mask, image, Some(&mut cache)).unwrap();
            stepped.extend(numbers(model.llm.logits(hidden)));
        }
        assert_same("cached", &stepped, &whole);
    }

    #[test]
    fn a_padded_batch_equals_single_runs(config in configs(), seed: u64, left: bool) {
        let model = load(&config, seed);
        let texts: [&[u32]; 3] = [&[1, 7, 9], &[1, 30, 4, 21, 5], &[2, 8, 8, 8]];
        let prompts = texts.map(|text| prompt(&config, text));
        let images = model.encode_images(images(&config, 3)).unwrap();
        let longest = prompts.iter().map(Vec::len).max().unwrap();
        let (mut tokens, mut mask) = (Vec::new(), Vec::new());
        for row in &prompts {
            let padding = vec![0; longest - row.len()];
            let (real, absent) = (vec![true; row.len()], vec![false; padding.len()]);
            if left {
                tokens.push([padding, row.clone()].concat());
                mask.push([absent, real].concat());
            } else {
                tokens.push([row.clone(), padding].concat());
                mask.push([real, absent].concat());
            }
        }
        let mask = TokenMask::new(mask).unwrap();
        let hidden = model.forward(&tokens, &mask, Some(&images), None).unwrap();
        let batch = numbers(model.llm.logits(hidden));
        let vocab = config.llm.vocab_size;
        for (index, row) in prompts.iter().enumerate() {
            let single = logits(&model, row, &images.clone().narrow(0, index, 1));
            let offset = if left { longest - row.len() } else { 0 };
            let start = (index * longest + offset) * vocab;
            let real = &batch[start..start + row.len() * vocab];
            assert_same("batch", real, &single);
        }
    }

    #[test]
    fn saved_tensors_load_back(config in configs(), seed: u64) {
        let model = load(&config, seed);
        let again = ExpLlm::load(&config, &model, &LoadOptions::default(), &device()).unwrap();
        for name in model.names() {
            prop_assert_eq!(model.read(&name).unwrap(), again.read(&name).unwrap());
        }
    }
}

/// A source with some tensors renamed, reshaped or spoilt.
struct Spoilt<'a>(
    &'a dyn TensorSource,
    fn(&str, TensorData) -> Option<TensorData>,
);

impl TensorSource for Spoilt<'_> {
    fn names(&self) -> Vec<String> {
        let mut names = self.0.names();
        names.retain(|name| self.read(name).is_ok());
        names.push("model.surprise".to_owned());
        names
    }

    fn info(&self, name: &str) -> Option<expllm_model::TensorInfo> {
        let data = self.read(name).ok()?;
        Some(expllm_model::TensorInfo {
            shape: data.shape().to_vec(),
            dtype: data.dtype(),
        })
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let data = self.0.read(name)?;
        self.1(name, data).ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))
    }
}

#[test]
fn one_error_names_every_tensor_that_does_not_fit() {
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, 1).unwrap();
    let spoilt = Spoilt(&source, |name, data| match name {
        "model.norm.weight" | "mm_projector.0.bias" => None,
        "lm_head.weight" => Some(TensorData::zeros::<f32, _>([3, 5])),
        _ => Some(data),
    });
    let options = LoadOptions::default();
    let error = ExpLlm::load(&config, &spoilt, &options, &device()).unwrap_err();
    let message = error.to_string();
    for name in [
        "model.norm.weight",
        "mm_projector.0.bias",
        "lm_head.weight: [3, 5], needs [640, 64]",
        "model.surprise",
    ] {
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn weights_that_are_not_numbers_are_named() {
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, 1).unwrap();
    struct Nan<'a>(&'a RandomWeights);
    impl TensorSource for Nan<'_> {
        fn names(&self) -> Vec<String> {
            self.0.names()
        }
        fn info(&self, name: &str) -> Option<expllm_model::TensorInfo> {
            self.0.info(name)
        }
        fn read(&self, name: &str) -> Result<TensorData, ModelError> {
            let mut data = self.0.read(name)?;
            if name == "model.layers.1.mlp.up_proj.weight" {
                data.as_mut_slice::<f32>().unwrap()[17] = f32::NAN;
            }
            Ok(data)
        }
    }
    let options = LoadOptions::default();
    let error = ExpLlm::load(&config, &Nan(&source), &options, &device()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("model.layers.1.mlp.up_proj.weight"),
        "{message}"
    );
    assert!(message.contains("not finite"), "{message}");
}

#[test]
fn image_tokens_must_be_one_run_of_the_right_length() {
    let config = ModelConfig::tiny();
    let model = load(&config, 3);
    let image = model.encode_images(images(&config, 1)).unwrap();
    let good = prompt(&config, &[1, 5, 6]);
    let mut split = good.clone();
    split.swap(1, 18);
    let short = [&good[..1], &good[2..]].concat();
    for bad in [split, short, vec![1, 2, 3]] {
        let error = model.embed_prompts(&[bad], Some(&image)).unwrap_err();
        assert!(
            matches!(error, ModelError::ImageTokens { expected: 16, .. }),
            "{error}"
        );
    }
    let unasked = model.embed_prompts(&[good], None).unwrap_err();
    assert!(matches!(
        unasked,
        ModelError::ImageTokens { expected: 0, .. }
    ));
    let foreign = model.embed_prompts(&[vec![1, 700]], None).unwrap_err();
    assert!(matches!(
        foreign,
        ModelError::TokenOutsideVocabulary { id: 700, .. }
    ));
}

#[test]
fn half_precision_stays_near_full_precision() {
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, 5).unwrap();
    let tokens = prompt(&config, &[1, 7, 9, 30]);
    let image = images(&config, 1);
    let run = |dtype| {
        let options = LoadOptions {
            dtype,
            ..LoadOptions::default()
        };
        let model = ExpLlm::load(&config, &source, &options, &device()).unwrap();
        logits(
            &model,
            &tokens,
            &model.encode_images(image.clone()).unwrap(),
        )
    };
    let full = run(DType::F32);
    let size = full.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
    for (dtype, digits) in halves() {
        // Over a dozen matrix products.
        let bound = 25.0 * size / (1 << digits) as f32;
        assert_close(&format!("{dtype:?}"), &run(dtype), &full, bound);
    }
}

/// Formats of half precision in which this device computes, and their significant bits.
fn halves() -> Vec<(DType, u32)> {
    let mut halves = vec![(DType::F16, 11), (DType::BF16, 8)];
    halves.retain(|(dtype, _)| {
        let computes = device().supports_dtype(*dtype);
        assert!(computes || backend() != Backend::Cpu, "{dtype:?}");
        if !computes {
            expllm_testing::skipped(&format!("arithmetic in {dtype:?} on this device"));
        }
        computes
    });
    halves
}

/// Numbers that every format holds, with squares that no f16 holds.
fn large(shape: [usize; 4]) -> Tensor<4> {
    let count: usize = shape.iter().product();
    let numbers: Vec<f32> = (0..count)
        .map(|index| ((index * 37 % 101) as f32 - 50.0) * 16.0)
        .collect();
    Tensor::from_data(TensorData::new(numbers, shape), &device())
}

/// Compares a step in half precision with the same in f32.
fn assert_rounds(what: &str, shape: [usize; 4], step: impl Fn(DType, Tensor<4>) -> Tensor<4>) {
    let input = large(shape);
    let full = numbers(step(DType::F32, input.clone()));
    let size = full.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
    // Half a last place each of what goes in, of a product and of what comes out.
    for (dtype, digits) in halves() {
        let half = numbers(step(dtype, input.clone().cast(dtype)));
        assert_close(what, &half, &full, 2.0 * size / (1 << digits) as f32);
    }
}

#[test]
fn norms_and_positions_in_half_precision_round_only_their_answers() {
    assert_rounds("RMS norm", [1, 2, 3, 64], |dtype, input| {
        let mut norm = RmsNorm::new(64, 1e-5, &device());
        norm.weight = norm.weight.map(|weight| weight.cast(dtype));
        norm.forward(input)
    });
    assert_rounds("layer norm", [1, 2, 3, 64], |dtype, input| {
        let mut norm = LayerNorm::new(64, 1e-5, &device());
        norm.weight = norm.weight.map(|weight| weight.cast(dtype));
        norm.bias = norm.bias.map(|bias| bias.cast(dtype));
        norm.forward(input)
    });
    let llm = ModelConfig::tiny().llm;
    let rotary = Rotary::new(&llm);
    let positions = vec![vec![0, 1, 500, 2000]];
    assert_rounds(
        "rotary positions",
        [1, 2, 4, llm.head_dim],
        |dtype, input| rotary.tables(&positions, dtype, &device()).apply(input),
    );
}
