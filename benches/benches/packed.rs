//! The model on packed weights: `cargo bench -p expllm-benches --bench packed`.
//!
//! Four layers of the 7B shape with a head of 32,000 tokens: a prompt of 400 tokens in GFLOP/s, and
//! one token after it in GB/s of weights, with the share of what the machine reads in the same
//! run. ViT-L/14 with one image in GFLOP/s. A multiplication and an addition are two operations;
//! norms, activations and softmax are left out.

#![allow(clippy::unwrap_used)] // A bench cannot do without its model.

use std::time::Duration;

use burn::tensor::Tensor;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use expllm_benches::{LargePart, OperationTime, flops, large_part};
use expllm_model::generation::Prefix;
use expllm_model::{Backend, Format};

const PROMPT: usize = 400;

/// Numbers of the four layers, and of the head.
const LAYERS: f64 = 4.0 * (4.0 * 4096.0 * 4096.0 + 3.0 * 4096.0 * 11_008.0);
const HEAD: f64 = 32_000.0 * 4096.0;

type Bencher = Criterion<OperationTime>;

fn group<'a>(c: &'a mut Bencher, name: &str) -> criterion::BenchmarkGroup<'a, OperationTime> {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    group
}

fn language(c: &mut Bencher) {
    for format in [
        Format::Bf16,
        Format::F16,
        Format::Q8_0,
        Format::Q4_0,
        Format::Q4A,
    ] {
        let model = large_part(LargePart::Language, format).unwrap();
        let prompt: Vec<u32> = (0..PROMPT as u32).map(|token| 100 + token).collect();
        let mut group = group(c, "llama_7b_4_layers");
        let attention = 2.0 * 4.0 * (PROMPT * PROMPT * 4096) as f64;
        group.throughput(flops(2.0 * PROMPT as f64 * LAYERS + attention));
        group.bench_function(format!("prompt_400/{}", format.name()), |b| {
            b.iter(|| Prefix::new(&model, &prompt, None).unwrap());
        });
        let mut prefix = Prefix::new(&model, &prompt, None).unwrap();
        let longer = [&prompt[..], &[7]].concat();
        prefix.reserve(1).unwrap();
        let bytes = format.row_bytes(4096).unwrap() as f64 / 4096.0 * (LAYERS + HEAD);
        let cache = 4.0 * 2.0 * 2.0 * (PROMPT * 4096) as f64;
        group.throughput(Throughput::Bytes((bytes + cache) as u64));
        group.bench_function(format!("token/{}", format.name()), |b| {
            // The last token is always run again.
            b.iter(|| prefix.rewind_to(&longer).unwrap());
        });
    }
}

fn vision(c: &mut Bencher) {
    let (tokens, width) = (257.0, 1024.0);
    let block = tokens * 12.0 * width * width + 2.0 * tokens * tokens * width;
    let patches = 256.0 * 3.0 * 14.0 * 14.0 * width;
    for format in [Format::F32, Format::F16, Format::Bf16, Format::Q8_0] {
        let model = large_part(LargePart::Vision, format).unwrap();
        let image: Tensor<4> = Tensor::ones([1, 3, 224, 224], &Backend::Cpu.device().unwrap());
        let mut group = group(c, "vit_l14");
        group.throughput(flops(2.0 * (24.0 * block + patches)));
        group.bench_function(format!("image/{}", format.name()), |b| {
            b.iter(|| model.encoder.tokens(image.clone()));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(OperationTime);
    targets = language, vision
}
criterion_main!(benches);
