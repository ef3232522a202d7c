//! From a photo to action units: `cargo bench -p expllm-benches --bench faces`.
//!
//! Thread counts are those of rayon, which every stage uses; faces per second are printed as
//! elements.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use expllm_au::AuNet;
use expllm_core::{
    AlignedFace, AuDetector, FaceAligner, FaceBox, FaceDetector, LandmarkDetector, Photo,
};
use expllm_face::device::default_device;
use expllm_face::{ALIGNED_SIZE, CenterFaceDetector, LandmarkNet, PhotoReader, SimilarityAligner};
use rayon::{ThreadPool, ThreadPoolBuilder};

const PHOTO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/photos/astronaut.png"
);

struct Stages {
    photo: Photo,
    boxes: Vec<FaceBox>,
    detector: CenterFaceDetector,
    landmarks: LandmarkNet,
    units: AuNet,
    face: AlignedFace,
}

// A bench cannot do without its stages.
#[allow(clippy::unwrap_used)]
fn stages() -> Stages {
    let device = default_device();
    let photo = PhotoReader::default().read(PHOTO).unwrap();
    let detector = CenterFaceDetector::new().unwrap();
    let boxes = detector.detect(&photo).unwrap();
    let landmarks = LandmarkNet::pretrained(&device).unwrap();
    let points = landmarks.landmarks(&photo, &boxes).unwrap();
    let face = SimilarityAligner
        .align(&photo, &points, ALIGNED_SIZE)
        .unwrap()
        .remove(0);
    Stages {
        photo,
        boxes,
        detector,
        landmarks,
        units: AuNet::pretrained(&device).unwrap(),
        face,
    }
}

#[allow(clippy::unwrap_used)]
fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}

/// The reading of aligned faces alone, mirrored look included.
fn action_units(c: &mut Criterion) {
    let stages = stages();
    let mut group = c.benchmark_group("action units of aligned faces");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(6));
    for (faces, threads) in [(1, 1), (1, 2), (32, 1), (32, 2)] {
        let batch = vec![stages.face.clone(); faces];
        let pool = pool(threads);
        group.throughput(Throughput::Elements(faces as u64));
        let name = BenchmarkId::new(format!("batch {faces}"), format!("{threads} threads"));
        group.bench_function(name, |b| {
            b.iter(|| pool.install(|| stages.units.detect_units(&batch)));
        });
    }
    group.finish();
}

/// The other stages on one photo of 512 x 512 pixels with one face.
fn one_photo(c: &mut Criterion) {
    let stages = stages();
    let mut group = c.benchmark_group("one photo");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    let pool = pool(2);
    group.bench_function("read", |b| b.iter(|| PhotoReader::default().read(PHOTO)));
    group.bench_function("detect faces", |b| {
        b.iter(|| pool.install(|| stages.detector.detect(&stages.photo)));
    });
    group.bench_function("landmarks of one face", |b| {
        b.iter(|| pool.install(|| stages.landmarks.landmarks(&stages.photo, &stages.boxes)));
    });
    group.finish();
}

criterion_group!(benches, action_units, one_photo);
criterion_main!(benches);
