//! Training steps of the unit network's backbone and of the tiny language model, by hand and by
//! burn: `cargo bench -p expllm-benches --bench training`.
//!
//! Faces and records per second are printed as elements.

use std::time::Duration;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use expllm_au::AuNetworkConfig;
use expllm_face::device::default_device;
use expllm_model::nn::llama::Llama;
use expllm_model::parts::{Decoder, TokenMask};
use expllm_model::{LlmConfig, ModelConfig};
use expllm_train::gradients::llama::{LlamaSteps, Sentence, Target};
use expllm_train::gradients::{BackboneByHand, BackboneWeights};

/// Faces of a step.
const FACES: usize = 64;

fn steps(c: &mut Criterion) {
    let config = AuNetworkConfig::new();
    let (side, device) = (config.side, default_device().autodiff());
    let network = config.backbone.init(&device);
    let weights = BackboneWeights::read(&network);
    let crops: Vec<f32> = (0..FACES * side * side)
        .map(|i| (i as f32 * 0.37).sin())
        .collect();
    let above = vec![0.01; FACES * config.backbone.features()];

    let mut group = c.benchmark_group("a step over 64 faces, forth and back");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(10))
        .sample_size(10)
        .throughput(Throughput::Elements(FACES as u64));
    let ways = [
        ("by hand", BackboneByHand::new(&config.backbone, side)),
        (
            "by hand, f32",
            BackboneByHand::exact(&config.backbone, side),
        ),
    ];
    for (name, mut by_hand) in ways {
        group.bench_function(name, |b| {
            b.iter(|| {
                let features = by_hand.forward(&weights, &crops);
                (features, by_hand.backward(&weights, &crops, &above))
            });
        });
    }
    group.bench_function("by burn", |b| {
        b.iter(|| {
            let faces = TensorData::new(crops.clone(), [FACES, 1, side, side]);
            let features = network.forward(Tensor::from_data(faces, &device));
            features.sum().backward()
        });
    });
    group.finish();
}

/// Records of a step of the language model.
const RECORDS: usize = 32;

/// Tokens of a record, of which the last ones are trained.
const TOKENS: usize = 250;
const TRAINED: usize = 160;

/// A step of a decoder with the sizes of the tiny model that ships.
fn language(c: &mut Criterion) {
    let config = LlmConfig {
        vocab_size: 1400,
        hidden_size: 160,
        intermediate_size: 432,
        num_layers: 4,
        num_heads: 5,
        num_kv_heads: 5,
        head_dim: 32,
        tie_word_embeddings: true,
        max_positions: 512,
        lora: None,
        ..ModelConfig::expllm_7b().llm
    };
    let device = default_device().autodiff();
    let model = Llama::new(&config, &device).unfreeze();
    let token = |i: usize| (i * 17 % config.vocab_size) as u32;
    let tokens: Vec<Vec<u32>> = (0..RECORDS)
        .map(|record| (0..TOKENS).map(|i| token(record * 31 + i)).collect())
        .collect();
    let sentences: Vec<Sentence<'_>> = tokens.iter().map(|tokens| sentence(tokens)).collect();
    let mask = TokenMask::full(RECORDS, TOKENS);

    let mut group = c.benchmark_group("a step over 32 records, forth and back");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(10))
        .sample_size(10)
        .throughput(Throughput::Elements(RECORDS as u64));
    let ways = [
        ("by hand", LlamaSteps::new(&model)),
        ("by hand, f32", LlamaSteps::exact(&model)),
    ];
    for (name, steps) in ways {
        let Some(mut steps) = steps else { continue };
        group.bench_function(name, |b| b.iter(|| steps.step(&model, &sentences, 0)));
    }
    group.bench_function("by burn", |b| {
        b.iter(|| {
            let hidden = model
                .embed(&tokens)
                .and_then(|all| model.forward(all, &mask, None));
            let trained = hidden.map(|hidden| hidden.narrow(1, TOKENS - TRAINED, TRAINED));
            trained.map(|hidden| model.logits(hidden).sum().backward())
        });
    });
    group.finish();
}

fn sentence(tokens: &[u32]) -> Sentence<'_> {
    let target = |at: usize| Target {
        position: at - 1,
        token: tokens[at] as usize,
        weight: 1.0 / (RECORDS * TRAINED) as f32,
    };
    Sentence {
        tokens,
        image: None,
        trained: (TOKENS - TRAINED..TOKENS).map(target).collect(),
    }
}

criterion_group!(benches, steps, language);
criterion_main!(benches);
