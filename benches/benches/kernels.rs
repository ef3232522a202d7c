//! Each kernel of `expllm-kernels` at the sizes of the 7B shape:
//! `cargo bench -p expllm-benches --bench kernels`.
//!
//! Products of one token are printed in GB/s of weights, with the share of what the machine reads
//! in the same run; those of many tokens in GFLOP/s, a multiplication and an addition being two.

use std::time::Duration;

use criterion::{
    BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use expllm_benches::{OperationTime, flops};
use expllm_kernels::{
    Attention, AttentionShape, Cached, CachedNumbers, Format, Input, Isa, Matrix, Rows, Store,
    Visible, gelu, layer_norm, multiply, on_pool, rms_norm, rotate, silu_times, softmax,
};
use half::f16;

const WIDTH: usize = 4096;
const INNER: usize = 11_008;
const PROMPT: usize = 400;

type Bencher = Criterion<OperationTime>;

fn group<'a>(c: &'a mut Bencher, name: &str) -> BenchmarkGroup<'a, OperationTime> {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    group
}

/// Numbers between -1 and 1 without a pattern that matters.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| draw()).collect()
}

/// The projection from 4,096 to 11,008 channels.
fn products(c: &mut Bencher) {
    let isa = Isa::detect();
    let weights = numbers(INNER * WIDTH);
    for format in Format::ALL {
        // A bench cannot do without its matrix.
        #[allow(clippy::unwrap_used)]
        let matrix = Matrix::pack(format, WIDTH, &[Rows::F32(&weights)]).unwrap();
        for tokens in [1, PROMPT] {
            let rows = numbers(tokens * WIDTH);
            let mut input = Input::new();
            let mut output = vec![0.0; tokens * INNER];
            let mut group = group(c, if tokens == 1 { "token" } else { "prompt" });
            group.throughput(match tokens {
                1 => Throughput::Bytes(matrix.memory() as u64),
                _ => flops(2.0 * (tokens * WIDTH * INNER) as f64),
            });
            group.bench_function(format.name(), |b| {
                b.iter(|| {
                    on_pool(|| {
                        input.set(isa, format, &rows, WIDTH);
                        multiply(isa, &matrix, &input, &mut output, Store::Set)
                    })
                });
            });
        }
    }
}

/// 32 heads of 128 channels over 400 positions.
fn attention(c: &mut Bencher) {
    let isa = Isa::detect();
    let halves: Vec<f16> = numbers(PROMPT * WIDTH)
        .into_iter()
        .map(f16::from_f32)
        .collect();
    for tokens in [1, PROMPT] {
        let query = numbers(tokens * WIDTH);
        let mut output = vec![0.0; tokens * WIDTH];
        let attention = Attention {
            shape: AttentionShape {
                heads: 32,
                kv_heads: 32,
                head_dim: 128,
            },
            query: &query,
            query_stride: WIDTH,
            tokens,
            cached: Cached {
                keys: CachedNumbers::F16(&halves),
                values: CachedNumbers::F16(&halves),
                head_stride: PROMPT * 128,
                position_stride: 128,
                length: PROMPT,
            },
            visible: Visible::Causal {
                start: PROMPT - tokens,
            },
            halved: true,
        };
        let mut group = group(c, "attention");
        group.throughput(match tokens {
            1 => Throughput::Bytes(4 * (PROMPT * WIDTH) as u64),
            _ => flops(2.0 * (tokens * PROMPT * WIDTH) as f64),
        });
        group.bench_function(format!("{tokens}_to_{PROMPT}"), |b| {
            b.iter(|| on_pool(|| attention.run(isa, &mut output)));
        });
    }
}

/// The steps between, on one thread, over 16 tokens, which the second-level cache holds; in bytes
/// that are read and written.
fn steps(c: &mut Bencher) {
    let isa = Isa::detect();
    let tokens = 16;
    let rows = numbers(2 * tokens * INNER);
    let weight = numbers(WIDTH);
    let mut output = vec![0.0; tokens * INNER];
    let mut group = group(c, "steps");
    let mut bench = |name: &str, count: usize, run: &mut dyn FnMut(&mut [f32])| {
        group.throughput(Throughput::Bytes(4 * count as u64));
        group.bench_function(name, |b| b.iter(|| run(&mut output)));
    };
    let wide = tokens * WIDTH;
    bench("rms_norm", 2 * wide, &mut |output| {
        rms_norm(isa, &rows[..wide], &weight, 1e-5, &mut output[..wide]);
    });
    bench("layer_norm", 2 * wide, &mut |output| {
        let affine = [&weight[..], &weight[..]];
        layer_norm(isa, &rows[..wide], affine, 1e-5, &mut output[..wide]);
    });
    bench("silu_times", 3 * tokens * INNER, &mut |output| {
        silu_times(isa, &rows, INNER, output);
    });
    bench("gelu", 2 * wide, &mut |output| {
        gelu(isa, &mut output[..wide])
    });
    bench("rotate", 2 * wide, &mut |output| {
        rotate(isa, &mut output[..wide], &weight[..64], &weight[64..128]);
    });
    bench("softmax", 2 * wide, &mut |output| {
        for row in output[..wide].chunks_mut(512) {
            softmax(isa, row, 0.1);
        }
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(OperationTime);
    targets = products, attention, steps
}
criterion_main!(benches);
