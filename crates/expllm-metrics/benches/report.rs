//! The classification report of ten million predictions with 1,000 bootstrap samples.
//!
//! Run with `cargo bench -p expllm-metrics`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use expllm_metrics::{Bootstrap, Calibration, Confusion, MetricError};

const PREDICTIONS: u64 = 10_000_000;
const CLASSES: usize = 8;
const SHARDS: u64 = 8;

/// A truth and eight probabilities that depend on the index alone.
fn sample(index: u64) -> (usize, [f64; CLASSES]) {
    let mut state = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635;
    let mut scores = [0.0; CLASSES];
    for score in &mut scores {
        state ^= state >> 29;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        *score = (state >> 40) as f64 + 1.0;
    }
    let sum: f64 = scores.iter().sum();
    let truth = (state % CLASSES as u64) as usize;
    (truth, scores.map(|s| s / sum))
}

/// One streaming pass over a shard, in constant memory.
fn shard(range: std::ops::Range<u64>) -> Result<(Confusion, Calibration), MetricError> {
    let (mut matrix, mut calibration) = (Confusion::new(CLASSES), Calibration::new(15));
    for index in range {
        let (truth, probabilities) = sample(index);
        let answer = (0..CLASSES).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        matrix.add(truth, answer)?;
        calibration.add(truth, &probabilities)?;
    }
    Ok((matrix, calibration))
}

fn report() -> Result<Vec<f64>, MetricError> {
    let size = PREDICTIONS / SHARDS;
    let parts: Vec<_> = std::thread::scope(|scope| {
        let run = |i| scope.spawn(move || shard(i * size..(i + 1) * size));
        let threads: Vec<_> = (0..SHARDS).map(run).collect();
        threads.into_iter().filter_map(|t| t.join().ok()).collect()
    });
    let (mut matrix, mut calibration) = (Confusion::new(CLASSES), Calibration::new(15));
    for part in parts {
        let (m, c) = part?;
        matrix.merge(&m)?;
        calibration.merge(&c)?;
    }
    assert_eq!(matrix.total(), PREDICTIONS);
    let bootstrap = Bootstrap::default();
    let figures: [fn(&Confusion) -> Option<f64>; 7] = [
        Confusion::accuracy,
        Confusion::uar,
        Confusion::macro_f1,
        Confusion::uf1,
        Confusion::weighted_f1,
        Confusion::kappa,
        Confusion::mcc,
    ];
    let estimates = figures
        .into_iter()
        .map(|figure| bootstrap.confusion(&matrix, figure));
    let estimates = estimates.chain([bootstrap.ece(&calibration)]);
    Ok(estimates
        .flatten()
        .flat_map(|e| [e.value, e.low, e.high])
        .collect())
}

fn ten_million(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metrics");
    group.sample_size(10);
    group.bench_function("report_10m_1000_resamples", |bencher| {
        bencher.iter(|| black_box(report()))
    });
    group.finish();
}

criterion_group!(benches, ten_million);
criterion_main!(benches);
