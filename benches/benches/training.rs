//! A training step of the unit network's backbone, by hand and by burn:
//! `cargo bench -p expllm-benches --bench training`.
//!
//! Faces per second are printed as elements.

use std::time::Duration;

use burn::tensor::{Tensor, TensorData};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use expllm_au::AuNetworkConfig;
use expllm_face::device::default_device;
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

criterion_group!(benches, steps);
criterion_main!(benches);
