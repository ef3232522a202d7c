//! Boxes, landmarks and the strongest units drawn on the photo.
//!
//! cargo run --release -p expllm-examples --example draw_faces -- examples/photos/astronaut.png drawn.png
#![allow(clippy::print_stdout)]

use std::error::Error;

use expllm_au::AuNet;
use expllm_core::{ExpressionSet, FaceAnalysis, Pipeline};
use expllm_cot::Composer;
use expllm_face::device::default_device;
use expllm_face::{
    FaceDrawing, LandmarkNet, PhotoReader, RustfaceDetector, SimilarityAligner, annotate, write_png,
};

fn drawing(face: FaceAnalysis) -> FaceDrawing {
    let active = face.reading.action_units.active();
    let bars = active.into_iter().take(6);
    FaceDrawing {
        face_box: face.face_box,
        landmarks: Some(face.landmarks),
        title: face.expression.to_string(),
        bars: bars.map(|(unit, v)| (unit.to_string(), v.get())).collect(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("name a photo and the PNG file to write".into());
    };
    let device = default_device();
    let stages = Pipeline {
        detector: RustfaceDetector::new()?,
        landmarks: LandmarkNet::pretrained(&device)?,
        aligner: SimilarityAligner,
        units: AuNet::pretrained(&device)?,
        writer: Composer,
        set: ExpressionSet::Eight,
        seed: 0,
    };
    let photo = PhotoReader::default().read(from)?;
    let faces: Vec<_> = stages.analyze(&photo)?.into_iter().map(drawing).collect();
    write_png(&annotate(&photo, &faces), &to)?;
    println!("{} faces drawn in {to}", faces.len());
    Ok(())
}
