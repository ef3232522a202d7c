//! The multimodal model explains each face, word by word as it writes.
//!
//! cargo run --release -p expllm-examples --example explain_streaming -- PHOTO [CHECKPOINT]
//!
//! CHECKPOINT is a folder in any layout that docs/checkpoints.md names; without one, the tiny model
//! writes that is part of the project.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm_au::{FaceReader, PhotoReader};
use expllm_core::{ExplainQuestion, ExplainRequest, Explainer, ExplanationEvent, ExpressionSet};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let photo = arguments.next().ok_or("name a photo")?;
    let folder = arguments.next().map(PathBuf::from);
    let source = folder.map_or(ModelSource::Shipped, ModelSource::Folder);
    let explainer = source.load(&ExplainerOptions::default())?;
    let reader = FaceReader::pretrained()?;
    let photo = PhotoReader::default().read(photo)?;
    for face in reader.read(&photo)? {
        let face = face?;
        let (question, set) = (ExplainQuestion::LabelFirst, ExpressionSet::Eight);
        let request = ExplainRequest::of_reading(&face, question, set);
        // The model looks at the face at a size of its own, cut from the photo.
        let request = reader.with_pixels(request, (&photo, &face), explainer.crop_side())?;
        // Leaving this loop early would stop the model.
        for event in explainer.explain(&request)? {
            match event? {
                ExplanationEvent::Label { expression, .. } => println!("{expression}:"),
                ExplanationEvent::Text(piece) => print!("{piece}"),
                // What the face does not bear out, in spite of all that was drawn in its place.
                ExplanationEvent::Unsupported(piece) => print!("{piece} [not supported]"),
                _ => {}
            }
            std::io::stdout().flush()?;
        }
        println!("\n");
    }
    Ok(())
}
