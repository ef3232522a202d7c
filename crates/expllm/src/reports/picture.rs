//! Findings drawn on photos.

use expllm_core::{FaceBox, Photo, Point, Similarity};
use expllm_face::{FaceDrawing, annotate, warp};
use image::codecs::jpeg::JpegEncoder;

use super::FaceReport;

/// Side of a face's picture in pixels.
const PICTURE: u32 = 320;

/// Title and bars of a face: its active units, the strongest eight.
#[must_use]
pub fn drawing(report: &FaceReport) -> FaceDrawing {
    let face = &report.face;
    let active = face.action_units.active();
    FaceDrawing {
        face_box: face.face_box,
        landmarks: face.landmarks.clone(),
        title: title(report),
        bars: active
            .into_iter()
            .take(8)
            .map(|(unit, value)| (unit.name().to_owned(), value.get()))
            .collect(),
    }
}

/// The expression with its share, as far as they are known.
fn title(report: &FaceReport) -> String {
    let Some(said) = &report.explanation else {
        return String::new();
    };
    let Some(expression) = said.expression else {
        return String::new();
    };
    match &said.probabilities {
        Some(probabilities) => {
            let share = probabilities.get(expression).get();
            format!("{expression} {:.0} %", 100.0 * share)
        }
        None => expression.to_string(),
    }
}

/// A JPEG of the face with its landmarks; `margin` is the picture's side in box sides.
#[must_use]
pub fn picture(photo: &Photo, report: &FaceReport, margin: f32) -> Option<Vec<u8>> {
    let b = &report.face.face_box;
    let extent = margin * b.width.max(b.height).max(1.0);
    let center = b.center();
    let to_photo = Similarity {
        a: extent / PICTURE as f32,
        b: 0.0,
        tx: center.x - extent / 2.0,
        ty: center.y - extent / 2.0,
    };
    let to_crop = to_photo.inverse()?;
    let corner = to_crop.apply(Point::new(b.x, b.y));
    let scale = to_crop.scale();
    let inside = FaceDrawing {
        face_box: FaceBox {
            x: corner.x,
            y: corner.y,
            width: b.width * scale,
            height: b.height * scale,
            ..*b
        },
        landmarks: (report.face.landmarks.as_ref()).map(|marks| marks.transformed(&to_crop)),
        bars: Vec::new(),
        ..drawing(report)
    };
    let drawn = annotate(&warp(photo, &to_photo, PICTURE), &[inside]);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 82)
        .encode(
            drawn.pixels(),
            drawn.width(),
            drawn.height(),
            image::ExtendedColorType::Rgb8,
        )
        .ok()?;
    Some(bytes)
}
