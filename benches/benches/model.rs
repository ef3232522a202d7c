//! The networks of the large model: `cargo bench -p expllm-benches --bench model`.
//!
//! Operations count a multiplication and an addition as two and leave out norms, activations and
//! softmax; bytes count every input and output once.

#![allow(clippy::print_stdout)] // It reports to the person who started it.

use std::time::{Duration, Instant};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Distribution, Tensor};
use criterion::{
    BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use expllm_benches::{OperationTime, flops};
use expllm_model::nn::dinov2::VisionTransformer;
use expllm_model::nn::llama::{Llama, Rotary, grouped_query_attention};
use expllm_model::nn::{Projector, RmsNorm};
use expllm_model::parts::{Decoder, TokenMask};
use expllm_model::{Backend, Dinov2Config, LlmConfig, ProjectorKind};

const DTYPES: [(DType, &str); 3] = [
    (DType::F32, "f32"),
    (DType::F16, "f16"),
    (DType::BF16, "bf16"),
];
/// Tokens of a prompt with an image and a question.
const PROMPT: usize = 400;
const WIDTH: usize = 4096;

/// A pass that takes longer is run once.
const LONG: Duration = Duration::from_secs(5);

type Bencher = Criterion<OperationTime>;

fn device() -> Device {
    // A bench cannot do without its device.
    #[allow(clippy::unwrap_used)]
    Backend::Cpu.device().unwrap()
}

fn random<const D: usize>(shape: [usize; D], dtype: DType) -> Tensor<D> {
    let tensor: Tensor<D> = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device());
    tensor.cast(dtype)
}

fn slow<'a>(c: &'a mut Bencher, name: &str) -> BenchmarkGroup<'a, OperationTime> {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5));
    group
}

/// Matrix products of one pass of the vision encoder over one image.
fn vision_operations(config: &Dinov2Config) -> f64 {
    let tokens = (config.num_patches() + 1) as f64;
    let (width, hidden) = (config.embed_dim as f64, config.mlp_dim() as f64);
    let block =
        tokens * (4.0 * width * width + 2.0 * width * hidden) + 2.0 * tokens * tokens * width;
    let patches = (tokens - 1.0) * 3.0 * (config.patch_size * config.patch_size) as f64 * width;
    2.0 * (config.depth as f64 * block + patches)
}

/// Matrix products of the layers over new tokens after those in the cache.
fn layer_operations(config: &LlmConfig, tokens: f64, cached: f64) -> f64 {
    let width = config.hidden_size as f64;
    let weights = 4.0 * width * width + 3.0 * width * config.intermediate_size as f64;
    let scores = 2.0 * (cached + tokens) * width;
    2.0 * config.num_layers as f64 * tokens * (weights + scores)
}

fn vit_l14(c: &mut Bencher) {
    let config = Dinov2Config::large();
    let model = VisionTransformer::new(&config, &device());
    let mut group = slow(c, "vit_l14");
    for batch in [1, 4] {
        let images = random([batch, 3, 224, 224], DType::F32);
        group.throughput(flops(batch as f64 * vision_operations(&config)));
        group.bench_function(format!("f32/batch{batch}"), |b| {
            b.iter(|| model.forward(images.clone()));
        });
    }
}

/// Casts parameter by parameter, so that only one is there in two formats.
struct CastTo(DType);

impl ModuleMapper for CastTo {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}

/// Whether the command line asks for a row, looked at before gigabytes are drawn for it; a filter
/// is a part of its name here.
fn is_wanted(row: &str) -> bool {
    let is_filter =
        |argument: &String| !argument.starts_with('-') && argument.contains(char::is_alphabetic);
    let mut filters = std::env::args().skip(1).filter(is_filter).peekable();
    filters.peek().is_none() || filters.any(|filter| row.contains(&filter))
}

/// Four of the 32 layers of the 7B shape; no head, and a token table of next to nothing.
fn llama_7b_4_layers(c: &mut Bencher) {
    let config = LlmConfig {
        num_layers: 4,
        vocab_size: 8,
        ..LlmConfig::llama_7b()
    };
    let mut group = slow(c, "llama_7b_4_layers");
    for (dtype, name) in DTYPES {
        let wanted = |part| is_wanted(&format!("llama_7b_4_layers/{part}/{name}"));
        if !wanted("prefill400") && !wanted("decode") {
            continue;
        }
        let model = Llama::new(&config, &device()).map(&mut CastTo(dtype));
        let mut cache = model.cache(1, PROMPT + 1);
        // Decoding goes on from the prompt.
        for (tokens, start, part) in [(PROMPT, 0, "prefill400"), (1, PROMPT, "decode")] {
            let embeddings = random([1, tokens, WIDTH], dtype);
            let mask = TokenMask::full(1, tokens);
            let operations = layer_operations(&config, tokens as f64, start as f64);
            group.throughput(flops(operations));
            let mut pass = || {
                cache.truncate(start);
                model.forward(embeddings.clone(), &mask, Some(&mut cache))
            };
            let begun = Instant::now();
            let first = pass();
            assert!(first.is_ok(), "{first:?}");
            let once = begun.elapsed();
            if once > LONG {
                let (seconds, speed) = (once.as_secs_f64(), operations / once.as_secs_f64() / 1e9);
                println!("{part}/{name}: {seconds:.1} s, {speed:.2} GFLOP/s, one run alone");
            } else {
                group.bench_function(format!("{part}/{name}"), |b| b.iter(&mut pass));
            }
        }
    }
}

fn attention(c: &mut Bencher) {
    let mut group = slow(c, "attention");
    for (length, name) in [(PROMPT, "prefill"), (1, "decode")] {
        for (dtype, format) in DTYPES {
            let query = random([1, 32, length, 128], dtype);
            let [key, value] = [(); 2].map(|()| random([1, 32, PROMPT, 128], dtype));
            group.throughput(flops(4.0 * (length * PROMPT * WIDTH) as f64));
            group.bench_function(format!("{name}/{format}"), |b| {
                b.iter(|| {
                    let cached = [key.clone(), value.clone()];
                    grouped_query_attention(query.clone(), cached, None)
                });
            });
        }
    }
}

fn norms_and_positions(c: &mut Bencher) {
    let mut group = slow(c, "rms_norm");
    for (dtype, name) in DTYPES {
        let norm = RmsNorm::new(WIDTH, 1e-5, &device()).map(&mut CastTo(dtype));
        let tokens = random([1, PROMPT, WIDTH], dtype);
        let bytes = 2 * PROMPT * WIDTH * dtype.size();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |b| b.iter(|| norm.forward(tokens.clone())));
    }
    group.finish();
    let mut group = slow(c, "rotary");
    let rotary = Rotary::new(&LlmConfig::llama_7b());
    for (dtype, name) in DTYPES {
        let tables = rotary.tables(&[(0..PROMPT).collect()], dtype, &device());
        let query = random([1, 32, PROMPT, 128], dtype);
        let bytes = 2 * PROMPT * WIDTH * dtype.size();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |b| b.iter(|| tables.apply(query.clone())));
    }
}

fn projector(c: &mut Bencher) {
    let mut group = slow(c, "projector");
    for (dtype, name) in DTYPES {
        let projector = Projector::new(ProjectorKind::Mlp, [1024, WIDTH], &device());
        let projector = projector.map(&mut CastTo(dtype));
        let tokens = random([1, 256, 1024], dtype);
        group.throughput(flops(2.0 * 256.0 * (1024 * WIDTH + WIDTH * WIDTH) as f64));
        group.bench_function(name, |b| b.iter(|| projector.forward(tokens.clone())));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(OperationTime);
    targets = vit_l14, llama_7b_4_layers, attention, norms_and_positions, projector
}
criterion_main!(benches);
