//! `candle-transformers` at the sizes of `benches/model.rs`:
//! `cargo bench --manifest-path benches/peers/Cargo.toml`.
//!
//! Its DINOv2 takes one image at a time (the class token is not broadcast), so four images are
//! four passes. Its numbers are not those of the reference (nearest-neighbour positions,
//! approximate GELU, epsilon 1e-5); only the time is compared.

use std::time::Duration;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Module, VarBuilder};
use candle_transformers::models::{dinov2, llama};
use criterion::{
    BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

const PROMPT: usize = 400;

fn slow<'a>(
    c: &'a mut Criterion,
    name: &str,
) -> BenchmarkGroup<'a, criterion::measurement::WallTime> {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5));
    group
}

fn vit_l14(c: &mut Criterion) {
    let run = |c: &mut Criterion| -> Result<()> {
        let weights = VarBuilder::zeros(DType::F32, &Device::Cpu);
        let model = dinov2::DinoVisionTransformer::new(weights, 24, 1024, 16)?;
        let image = Tensor::randn(0f32, 1.0, (1, 3, 518, 518), &Device::Cpu)?;
        let small = image.narrow(2, 0, 224)?.narrow(3, 0, 224)?.contiguous()?;
        let mut group = slow(c, "candle_vit_l14");
        for batch in [1, 4] {
            group.throughput(Throughput::Elements(batch));
            group.bench_function(format!("f32/batch{batch}"), |b| {
                b.iter(|| {
                    (0..batch)
                        .map(|_| model.forward(&small).is_ok())
                        .all(|ok| ok)
                });
            });
        }
        Ok(())
    };
    run(c).expect("the model runs");
}

fn llama_7b_4_layers(c: &mut Criterion) {
    let run = |c: &mut Criterion| -> Result<()> {
        let config = llama::Config {
            num_hidden_layers: 4,
            vocab_size: 8,
            ..llama::Config::config_7b_v2(false)
        };
        let mut group = slow(c, "candle_llama_7b_4_layers");
        for (dtype, name) in [
            (DType::F32, "f32"),
            (DType::F16, "f16"),
            (DType::BF16, "bf16"),
        ] {
            let weights = VarBuilder::zeros(dtype, &Device::Cpu);
            let model = llama::Llama::load(weights, &config)?;
            let prompt = Tensor::zeros((1, PROMPT), DType::U32, &Device::Cpu)?;
            group.bench_function(format!("prefill{PROMPT}/{name}"), |b| {
                b.iter(|| {
                    let mut cache = llama::Cache::new(true, dtype, &config, &Device::Cpu)?;
                    model.forward(&prompt, 0, &mut cache)
                });
            });
            let mut filled = llama::Cache::new(true, dtype, &config, &Device::Cpu)?;
            model.forward(&prompt, 0, &mut filled)?;
            let token = Tensor::zeros((1, 1), DType::U32, &Device::Cpu)?;
            group.bench_function(format!("decode/{name}"), |b| {
                b.iter(|| model.forward(&token, PROMPT, &mut filled.clone()));
            });
        }
        Ok(())
    };
    run(c).expect("the model runs");
}

criterion_group!(benches, vit_l14, llama_7b_4_layers);
criterion_main!(benches);
