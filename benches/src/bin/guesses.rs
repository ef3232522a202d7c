//! What guessing tokens from earlier chains saves:
//! `cargo run --release -p expllm-benches --bin guesses -- shipped|DIR [q8_0|q4_0|q4a] PHOTO...`.
//!
//! Explains the faces of photos with the model that ships or that of a folder, one after the other,
//! and in turns: each token on its own, and with guesses of several, which start knowing nothing. Prints
//! the time of a face in either way, how many guessed tokens the chains took, and whether the
//! chains are the same.

#![allow(clippy::print_stdout)] // It reports to the person who started it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use expllm_au::{FaceReader, PhotoReader};
use expllm_core::{AlignedFace, ExplainQuestion, ExpressionSet};
use expllm_model::{
    Backend, ExpLlmExplainer, FacePixels, Format, LoadOptions, Packing, checkpoint,
};

/// Rounds after one that warms up.
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let model = arguments.next().ok_or("name a model, then photos")?;
    let format = arguments.next_if(|text| Format::from_name(text).is_some());
    let format = format.and_then(|name| Format::from_name(&name));
    let photos: Vec<_> = arguments.map(PathBuf::from).collect();
    let faces = faces(&photos)?;
    println!("{} faces of {} photos", faces.len(), photos.len());
    if faces.is_empty() {
        return Err("no face can be read on these photos".into());
    }
    let explainer = explainer(&model, format)?;
    let plain = explainer.clone().without_guesses();
    explain(&plain, &faces)?;
    for round in 1..=ROUNDS {
        let (alone, wanted) = explain(&plain, &faces)?;
        let knowing_nothing = self::explainer(&model, format)?;
        let (guessed, found) = explain(&knowing_nothing, &faces)?;
        let counts = knowing_nothing.guesses().unwrap_or_default();
        let same = wanted.iter().zip(&found).filter(|(a, b)| a == b).count();
        println!(
            "round {round}: {alone:.1} ms a face alone, {guessed:.1} ms with guesses ({:.3}); {} of {} guesses right, \
             {same} of {} chains the same",
            guessed / alone,
            counts.right,
            counts.guessed,
            faces.len(),
        );
    }
    Ok(())
}

fn faces(photos: &[PathBuf]) -> Result<Vec<AlignedFace>, Box<dyn Error>> {
    let reader = FaceReader::pretrained()?;
    let mut faces = Vec::new();
    for path in photos {
        let photo = PhotoReader::default().read(path)?;
        let read = reader.read(&photo)?.into_iter().flatten();
        faces.extend(read.map(|face| face.aligned));
    }
    Ok(faces)
}

fn explainer(model: &str, format: Option<Format>) -> Result<ExpLlmExplainer, Box<dyn Error>> {
    let checkpoint = match model {
        "shipped" => checkpoint::shipped()?,
        dir => checkpoint::open(Path::new(dir))?,
    };
    let options = LoadOptions {
        kernels: Some(format.map_or(Packing::Stored, Packing::from)),
        ..LoadOptions::default()
    };
    let pixels = FacePixels::of(&checkpoint.config.vision);
    let device = Backend::Cpu.device()?;
    let set = ExpressionSet::Eight;
    Ok(ExpLlmExplainer::load(
        checkpoint, &options, &device, set, pixels,
    )?)
}

/// Milliseconds a face, and the chains.
fn explain(
    explainer: &ExpLlmExplainer,
    faces: &[AlignedFace],
) -> Result<(f64, Vec<String>), Box<dyn Error>> {
    let start = Instant::now();
    let explain = |face| explainer.explain_to_end(face, ExplainQuestion::LabelFirst);
    let chains = faces.iter().map(|face| Ok(explain(face)?.text));
    let chains: Vec<_> = chains.collect::<Result<_, Box<dyn Error>>>()?;
    let time = start.elapsed().as_secs_f64() * 1e3 / faces.len() as f64;
    Ok((time, chains))
}
