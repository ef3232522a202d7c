//! Generation: equality with the reference's greedy tokens, and properties.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod common;

use std::path::Path;

use burn::tensor::{DType, Distribution, Tensor};
use common::{File, device, parity_folders};
use expllm_model::checkpoint;
use expllm_model::generation::{
    AnswerTrie, BatchPrompt, CancelToken, FinishReason, GenerationSettings, Phrases, Prefix,
    TokenStream, generate_batch,
};
use expllm_model::parts::TokenMask;
use expllm_model::{ExpLlm, LoadOptions, ModelConfig, ModelError, RandomWeights};
use proptest::prelude::*;

fn settings(max_new_tokens: usize) -> GenerationSettings {
    GenerationSettings {
        max_new_tokens,
        ..GenerationSettings::default()
    }
}

fn tiny(seed: u64) -> ExpLlm {
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, seed).unwrap();
    ExpLlm::load(&config, &source, &LoadOptions::default(), &device()).unwrap()
}

fn image(model: &ExpLlm) -> Tensor<3> {
    let side = model.config().vision.image_size();
    let pixels = Tensor::random([1, 3, side, side], Distribution::Default, &device());
    model.encode_images(pixels).unwrap()
}

fn prompt(model: &ExpLlm, text: &[u32]) -> Vec<u32> {
    let config = model.config();
    let image = vec![config.image_token_id; config.vision.num_patches()];
    [&[1][..], &image, text].concat()
}

fn answer(prefix: Prefix<'_>, settings: &GenerationSettings) -> Vec<u32> {
    let stream = TokenStream::new(prefix, settings, CancelToken::default()).unwrap();
    stream.map(Result::unwrap).collect()
}

/// Greedy tokens without any cache: the whole sequence is run for each.
fn uncached(model: &ExpLlm, tokens: &[u32], image: &Tensor<3>, count: usize) -> Vec<u32> {
    let mut tokens = tokens.to_vec();
    let start = tokens.len();
    for _ in 0..count {
        let rows = [tokens.clone()];
        let mask = TokenMask::full(1, tokens.len());
        let hidden = model.forward(&rows, &mask, Some(image), None).unwrap();
        let last = hidden.narrow(1, tokens.len() - 1, 1);
        let best = model.llm.logits(last).argmax(2).into_data();
        tokens.extend(best.iter::<i64>().map(|id| id as u32));
    }
    tokens.split_off(start)
}

#[test]
fn greedy_tokens_equal_the_reference_in_every_way_of_running() {
    for folder in parity_folders() {
        greedy_tokens_equal(&folder);
    }
}

fn greedy_tokens_equal(folder: &Path) {
    let expected = File::open(&folder.join("expected.safetensors"));
    let wanted = expected.tokens("greedy_24");
    let source = File::open(&folder.join("model.safetensors"));
    let options = LoadOptions::default();
    let config = checkpoint::open(folder).unwrap().config;
    let adapted = ExpLlm::load(&config, &source, &options, &device()).unwrap();
    for model in [adapted.clone(), adapted.merge_lora()] {
        let images = model.encode_images(expected.tensor("images")).unwrap();
        // Each row is a whole prompt; what the reference adds to it is not part of it.
        let tokens = expected.tokens("input_ids");
        let mut prompts = Vec::new();
        for (row, (tokens, wanted)) in tokens.iter().zip(&wanted).enumerate() {
            let image = images.clone().narrow(0, row, 1);
            let prefix = Prefix::new(&model, tokens, Some(image.clone())).unwrap();
            assert_eq!(
                &answer(prefix, &settings(24)),
                wanted,
                "cached, image {row}"
            );
            assert_eq!(
                &uncached(&model, tokens, &image, 24),
                wanted,
                "uncached, image {row}"
            );
            prompts.push(BatchPrompt {
                tokens: tokens.clone(),
                image: Some(image),
            });
        }
        assert_eq!(
            generate_batch(&model, &prompts, &settings(24)).unwrap(),
            wanted
        );
        // A third, longer prompt pads the two on the left.
        let mut longer = prompts[0].clone();
        longer.tokens.extend([9, 12, 40, 7, 91]);
        prompts.push(longer);
        let padded = generate_batch(&model, &prompts, &settings(24)).unwrap();
        assert_eq!(padded[..2], wanted, "left-padded");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_batch_answers_as_its_prompts_alone(
        seed: u64,
        temperature in prop_oneof![Just(0.0_f32), 0.5_f32..2.0],
        penalty in prop_oneof![Just(1.0_f32), 1.0_f32..1.5],
        lengths in prop::collection::vec(1_usize..6, 1..5),
    ) {
        let model = tiny(seed);
        let settings = GenerationSettings {
            temperature,
            top_p: 0.9,
            repetition_penalty: penalty,
            seed,
            stop_tokens: (100..140).collect(),
            ..settings(12)
        };
        let image = image(&model);
        let prompts: Vec<_> = lengths
            .iter()
            .enumerate()
            .map(|(row, &length)| BatchPrompt {
                tokens: prompt(&model, &vec![5 + row as u32; length]),
                image: Some(image.clone()),
            })
            .collect();
        let batch = generate_batch(&model, &prompts, &settings).unwrap();
        for (prompt, batched) in prompts.iter().zip(batch) {
            let prefix = Prefix::new(&model, &prompt.tokens, prompt.image.clone()).unwrap();
            prop_assert_eq!(answer(prefix, &settings), batched);
        }
    }

    #[test]
    fn label_probabilities_equal_those_of_whole_runs(seed: u64) {
        let model = tiny(seed);
        let image = image(&model);
        let tokens = prompt(&model, &[8, 9]);
        // One answer begins another, two share a beginning.
        let answers = [vec![20, 21], vec![20, 22, 23], vec![20], vec![30], vec![31, 20, 21]];
        let trie = AnswerTrie::new(&answers, 2).unwrap();
        let mut prefix = Prefix::new(&model, &tokens, Some(image.clone())).unwrap();
        let before = prefix.clone();
        let logs = trie.log_probabilities(&mut prefix).unwrap();
        for (answer, log) in answers.iter().zip(&logs) {
            let mut prefix = before.clone();
            let mut sum = 0.0;
            for &token in answer.iter().chain([&2]) {
                sum += log_softmax(prefix.scores(), token);
                prefix.push(&[token]).unwrap();
            }
            prop_assert!((sum - log).abs() < 1e-3, "{} and {}", sum, log);
        }
        let shares = trie.probabilities(&mut prefix).unwrap();
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        // The prefix goes on as if nothing had been asked.
        let settings = settings(6);
        prop_assert_eq!(answer(prefix, &settings), answer(before, &settings));
    }

    #[test]
    fn guesses_change_no_answer(seed: u64, temperature in prop::sample::select(vec![0.0_f32, 0.9])) {
        let model = tiny(seed);
        let image = image(&model);
        let phrases = Phrases::default();
        // Twice the same teaches phrases, and the third text goes other ways from some of them.
        let mut right = Vec::new();
        let mut shortest = usize::MAX;
        for text in [[5_u32, 6, 7], [5, 6, 7], [5, 6, 7], [5, 6, 8], [5, 6, 7]] {
            let prefix = Prefix::new(&model, &prompt(&model, &text), Some(image.clone())).unwrap();
            let settings = GenerationSettings { temperature, ..settings(24) };
            let wanted = answer(prefix.clone(), &settings);
            shortest = shortest.min(wanted.len());
            prop_assert_eq!(answer(prefix.guessing(&phrases), &settings), wanted);
            right.push(phrases.counts().right);
        }
        // An answer that ends at once has no phrases.
        prop_assert!(shortest < 8 || right[4] > right[1], "{:?}", right);
    }

    #[test]
    fn a_rewound_prefix_equals_a_new_one(seed: u64, shared in 0_usize..5) {
        let model = tiny(seed);
        let image = image(&model);
        let first = prompt(&model, &[8, 9, 10, 11, 12]);
        let mut second = first[..first.len() - 5 + shared].to_vec();
        second.extend([40, 41, 42]);
        let mut prefix = Prefix::new(&model, &first, Some(image.clone())).unwrap();
        let kept = prefix.rewind_to(&second).unwrap();
        prop_assert_eq!(kept, first.len() - 5 + shared);
        let fresh = Prefix::new(&model, &second, Some(image)).unwrap();
        common::assert_close("rewound", prefix.scores(), fresh.scores(), 1e-3);
        let settings = settings(6);
        prop_assert_eq!(answer(prefix, &settings), answer(fresh, &settings));
    }
}

fn log_softmax(scores: &[f32], token: u32) -> f64 {
    let sum: f64 = scores.iter().map(|&score| f64::from(score).exp()).sum();
    f64::from(scores[token as usize]) - sum.ln()
}

#[test]
fn answers_end_for_the_stated_reason() {
    let model = tiny(4);
    let tokens = prompt(&model, &[8]);
    let prefix = Prefix::new(&model, &tokens, Some(image(&model))).unwrap();
    let whole = answer(prefix.clone(), &settings(8));
    assert_eq!(whole.len(), 8);

    let stop = GenerationSettings {
        stop_tokens: vec![whole[3]],
        ..settings(8)
    };
    let first = whole.iter().position(|token| *token == whole[3]).unwrap();
    let cancel = CancelToken::default();
    let mut stream = TokenStream::new(prefix.clone(), &stop, cancel.clone()).unwrap();
    assert_eq!(stream.by_ref().count(), first);
    assert_eq!(stream.finish_reason(), Some(FinishReason::StopToken));

    let mut stream = TokenStream::new(prefix.clone(), &settings(8), cancel.clone()).unwrap();
    assert!(stream.next().is_some());
    cancel.cancel();
    assert!(stream.next().is_none());
    assert_eq!(stream.finish_reason(), Some(FinishReason::Cancelled));

    let mut stream = TokenStream::new(prefix, &settings(8), CancelToken::default()).unwrap();
    assert_eq!(stream.by_ref().count(), 8);
    assert_eq!(stream.finish_reason(), Some(FinishReason::Length));
}

#[test]
fn prompts_beyond_the_context_are_refused() {
    let mut config = ModelConfig::tiny();
    config.llm.max_positions = 24;
    let source = RandomWeights::new(&config, DType::F32, 1).unwrap();
    let model = ExpLlm::load(&config, &source, &LoadOptions::default(), &device()).unwrap();
    let image = image(&model);
    let long = prompt(&model, &[7; 9]);
    let error = Prefix::new(&model, &long, Some(image.clone())).unwrap_err();
    assert!(
        matches!(
            error,
            ModelError::ContextTooLong {
                tokens: 26,
                limit: 24
            }
        ),
        "{error}"
    );
    // An answer ends where the context does.
    let prefix = Prefix::new(&model, &prompt(&model, &[7; 3]), Some(image.clone())).unwrap();
    let single = answer(prefix, &settings(100));
    assert_eq!(single.len(), 5);
    let prompt = BatchPrompt {
        tokens: prompt(&model, &[7; 3]),
        image: Some(image),
    };
    let batch = generate_batch(&model, &[prompt], &settings(100)).unwrap();
    assert_eq!(batch, [single]);
}
