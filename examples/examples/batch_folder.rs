//! A folder of photos on all cores: one line per face, one bad file stops nothing.
//!
//! cargo run --release -p expllm-examples --example batch_folder -- examples/photos
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};

use expllm_au::AuNet;
use expllm_core::{ExpressionSet, Pipeline};
use expllm_cot::Composer;
use expllm_face::device::default_device;
use expllm_face::{LandmarkNet, PhotoReader, RustfaceDetector, SimilarityAligner};
use rayon::prelude::*;

type Stages = Pipeline<RustfaceDetector, LandmarkNet, SimilarityAligner, AuNet, Composer>;

fn lines(stages: &Stages, path: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let photo = PhotoReader::default().read(path)?;
    let faces = stages.analyze(&photo)?;
    let line = |face: &expllm_core::FaceAnalysis| {
        let share = face.reading.probabilities.get(face.expression).get();
        format!("{}\t{}\t{share:.2}", path.display(), face.expression)
    };
    Ok(faces.iter().map(line).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder")?;
    let device = default_device();
    let stages = Stages {
        detector: RustfaceDetector::new()?,
        landmarks: LandmarkNet::pretrained(&device)?,
        aligner: SimilarityAligner,
        units: AuNet::pretrained(&device)?,
        writer: Composer,
        set: ExpressionSet::Seven,
        seed: 0,
    };
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder)?.collect();
    let mut paths: Vec<PathBuf> = entries?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    // A few photos at a time keep the memory constant, however many there are.
    for chunk in paths.chunks(32) {
        let found: Vec<Vec<String>> = chunk
            .par_iter()
            .map(|path| lines(&stages, path).unwrap_or_else(|e| vec![format!("error\t{e}")]))
            .collect();
        found.iter().flatten().for_each(|line| println!("{line}"));
    }
    Ok(())
}
