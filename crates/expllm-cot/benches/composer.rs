//! Chains of thought per second that the composer writes, on one core.
//!
//! Run with `cargo bench -p expllm-cot --bench composer`. Faces are drawn like those of the
//! official test split: four movements on average, an eighth without any.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use expllm_core::{ActionUnit, AuVector, Expression, ExpressionSet, Intensity};
use expllm_cot::{Composer, ground};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FACES: usize = 2500;

/// Movements that act together on both sides, as they mostly do.
fn face(rng: &mut ChaCha8Rng) -> (AuVector, Expression) {
    let mut units = AuVector::default();
    if !rng.random_bool(0.125) {
        for unit in ActionUnit::FEAFA.into_iter().filter(|u| u.mirrored() >= *u) {
            if rng.random_bool(0.22) {
                let value: f32 = rng.random_range(0.2..1.0);
                units.set(unit, Intensity::clamped(value));
                units.set(unit.mirrored(), Intensity::clamped(value - 0.02));
            }
        }
    }
    (units, Expression::ALL[rng.random_range(0..7)])
}

fn composer(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let faces: Vec<_> = (0..FACES).map(|_| face(&mut rng)).collect();
    let mut group = criterion.benchmark_group("composer");
    group.throughput(Throughput::Elements(FACES as u64));
    group.sample_size(10);
    let compose = |seed: usize| {
        let (units, label) = &faces[seed];
        Composer.compose(units, *label, ExpressionSet::Seven, seed as u64)
    };
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            for seed in 0..FACES {
                black_box(compose(seed));
            }
        });
    });
    let chains: Vec<_> = (0..FACES).map(compose).collect();
    group.bench_function("read back", |bencher| {
        bencher.iter(|| {
            for (chain, (units, _)) in chains.iter().zip(&faces) {
                black_box(ground(chain, units));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, composer);
criterion_main!(benches);
