//! Action units of every face of a photo, as a product that needs nothing else would read them.
//!
//! cargo run --release -p expllm-examples --example action_units -- examples/photos/astronaut.png
#![allow(clippy::print_stdout)]

use std::error::Error;

use expllm_au::AuNet;
use expllm_core::{AuDetector, FaceAligner, FaceDetector, LandmarkDetector};
use expllm_face::device::default_device;
use expllm_face::{LandmarkNet, PhotoReader, RustfaceDetector, SimilarityAligner};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a photo")?;
    let device = default_device();
    let photo = PhotoReader::default().read(path)?;
    let boxes = RustfaceDetector::new()?.detect(&photo)?;
    let landmarks = LandmarkNet::pretrained(&device)?.landmarks(&photo, &boxes)?;
    let faces = SimilarityAligner.align(&photo, &landmarks)?;
    let readings = AuNet::pretrained(&device)?.detect_units(&faces)?;
    for (index, reading) in readings.iter().enumerate() {
        println!("face {}: {}", index + 1, reading.probabilities.top());
        for (unit, intensity) in reading.action_units.active() {
            println!("  {unit:<26}{:.2}", intensity.get());
        }
    }
    Ok(())
}
