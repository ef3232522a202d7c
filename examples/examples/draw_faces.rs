//! Boxes, landmarks and the strongest units drawn on the photo.
//!
//! cargo run --release -p expllm-examples --example draw_faces -- examples/photos/astronaut.png drawn.png
#![allow(clippy::print_stdout)]

use std::error::Error;

use expllm_au::{FaceReader, FaceReading, PhotoReader};
use expllm_face::{FaceDrawing, annotate, write_png};

fn drawing(face: FaceReading) -> FaceDrawing {
    let active = face.action_units.active();
    let expression = face.probabilities.map(|p| p.top().to_string());
    let bars = active.into_iter().take(6);
    FaceDrawing {
        face_box: face.face_box,
        landmarks: face.landmarks,
        title: expression.unwrap_or_default(),
        bars: bars.map(|(unit, v)| (unit.to_string(), v.get())).collect(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("name a photo and the PNG file to write".into());
    };
    let photo = PhotoReader::default().read(from)?;
    let faces = FaceReader::pretrained()?.read(&photo)?;
    let faces: Vec<_> = faces.into_iter().flatten().map(drawing).collect();
    write_png(&annotate(&photo, &faces), &to)?;
    println!("{} faces drawn in {to}", faces.len());
    Ok(())
}
