//! A stage of one's own in the pipeline: a writer that says a face in one plain sentence a part.
//!
//! cargo run --release -p expllm-examples --example custom_stage -- examples/photos/astronaut.png
#![allow(clippy::print_stdout)]

use std::error::Error;

use expllm_au::AuNet;
use expllm_core::{ChainOfThought, CotRequest, CotWriter, ExpressionSet, Pipeline, StageError};
use expllm_face::device::default_device;
use expllm_face::{LandmarkNet, PhotoReader, RustfaceDetector, SimilarityAligner};

/// Names the strongest unit and the label, and nothing else.
struct Terse;

impl CotWriter for Terse {
    fn write(&self, requests: &[CotRequest]) -> Result<Vec<ChainOfThought>, StageError> {
        let one = |request: &CotRequest| {
            let active = request.reading.action_units.active();
            let observation = active.first().map_or_else(
                || "No unit is active.".to_owned(),
                |(unit, value)| format!("{unit} at {:.2}.", value.get()),
            );
            ChainOfThought {
                key_observations: observation,
                interpretation: format!("{} active units in all.", active.len()),
                conclusion: format!("{}.", request.expression),
            }
        };
        Ok(requests.iter().map(one).collect())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a photo")?;
    let device = default_device();
    let pipeline = Pipeline {
        detector: RustfaceDetector::new()?,
        landmarks: LandmarkNet::pretrained(&device)?,
        aligner: SimilarityAligner,
        units: AuNet::pretrained(&device)?,
        writer: Terse,
        set: ExpressionSet::Eight,
        seed: 0,
    };
    for face in pipeline.analyze(&PhotoReader::default().read(path)?)? {
        println!("{}\n", face.chain);
    }
    Ok(())
}
