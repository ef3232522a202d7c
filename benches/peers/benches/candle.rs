//! `candle-transformers` at the sizes of `benches/model.rs`:
//! `cargo bench --manifest-path benches/peers/Cargo.toml`.
//!
//! Its DINOv2 takes one image at a time (the class token is not broadcast), so four images are
//! four passes. Its numbers are not those of the reference (nearest-neighbour positions,
//! approximate GELU, epsilon 1e-5); only the time is compared. What takes longer than twenty
//! seconds is run once and printed as such.

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, Module, VarBuilder};
use candle_transformers::models::{dinov2, llama};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};

const PROMPT: usize = 400;

/// A run that takes longer is not repeated.
const LONG: Duration = Duration::from_secs(20);

/// Random weights: pages of zeros would all be one page of memory, which no real weights are.
struct RandomWeights;

impl SimpleBackend for RandomWeights {
    fn get(&self, shape: Shape, _: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        Tensor::randn(0f32, 0.02, shape, device)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("the shape of {name} is not known")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

fn weights(dtype: DType) -> VarBuilder<'static> {
    VarBuilder::from_backend(Box::new(RandomWeights), dtype, Device::Cpu)
}

fn slow<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5));
    group
}

/// Whether the command line asks for a row, looked at before gigabytes are drawn for it; a filter
/// is a part of its name here.
fn is_wanted(row: &str) -> bool {
    let is_filter =
        |argument: &String| !argument.starts_with('-') && argument.contains(char::is_alphabetic);
    let mut filters = std::env::args().skip(1).filter(is_filter).peekable();
    filters.peek().is_none() || filters.any(|filter| row.contains(&filter))
}

/// Times a pass once, and then properly unless it is long.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut pass: impl FnMut() -> Result<Tensor>,
) {
    let start = Instant::now();
    pass().expect("the model runs");
    let once = start.elapsed();
    if once > LONG {
        println!("{name}: {:.1} s, one run alone", once.as_secs_f64());
    } else {
        group.bench_function(name, |b| b.iter(&mut pass));
    }
}

fn vit_l14(c: &mut Criterion) {
    let model = dinov2::DinoVisionTransformer::new(weights(DType::F32), 24, 1024, 16)
        .expect("the model is made");
    let image = Tensor::randn(0f32, 1.0, (1, 3, 224, 224), &Device::Cpu).expect("an image");
    let mut group = slow(c, "candle_vit_l14");
    for batch in [1, 4] {
        measure(&mut group, &format!("f32/batch{batch}"), || {
            let mut tokens = model.forward(&image)?;
            for _ in 1..batch {
                tokens = model.forward(&image)?;
            }
            Ok(tokens)
        });
    }
}

/// Four of the 32 layers of the 7B shape; a token table and a head of next to nothing.
fn llama_7b_4_layers(c: &mut Criterion) {
    let config = llama::Config {
        num_hidden_layers: 4,
        vocab_size: 8,
        ..llama::Config::config_7b_v2(false)
    };
    let cpu = Device::Cpu;
    let prompt = Tensor::zeros((1, PROMPT), DType::U32, &cpu).expect("a prompt");
    let token = Tensor::zeros((1, 1), DType::U32, &cpu).expect("a token");
    let mut group = slow(c, "candle_llama_7b_4_layers");
    for (dtype, name) in [
        (DType::F32, "f32"),
        (DType::F16, "f16"),
        (DType::BF16, "bf16"),
    ] {
        let wanted = |part| is_wanted(&format!("candle_llama_7b_4_layers/{part}/{name}"));
        if !wanted("prefill400") && !wanted("decode") {
            continue;
        }
        let model = llama::Llama::load(weights(dtype), &config).expect("the model is made");
        let cache = || llama::Cache::new(true, dtype, &config, &cpu);
        let mut filled = cache().expect("a cache");
        measure(&mut group, &format!("prefill{PROMPT}/{name}"), || {
            filled = cache()?;
            model.forward(&prompt, 0, &mut filled)
        });
        measure(&mut group, &format!("decode/{name}"), || {
            model.forward(&token, PROMPT, &mut filled.clone())
        });
    }
}

criterion_group!(benches, vit_l14, llama_7b_4_layers);
criterion_main!(benches);
