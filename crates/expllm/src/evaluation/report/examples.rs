//! Examples with their crops and chains.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expllm_core::{ChainOfThought, ChainPart, Expression, FaceBox, Photo, Similarity};
use expllm_data::Record;
use expllm_face::{PhotoReader, warp};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use minijinja::{Value, context};

use super::{Report, belief, charts};
use crate::evaluation::prediction::Prediction;

/// Side of a picture in pixels.
const SIDE: u32 = 144;
/// Side of a picture in sides of the face box, where the face was found in a photo.
const MARGIN: f32 = 1.35;
/// Examples of each kind.
const SHOWN: usize = 6;

/// The surest right answers, at most one per class, then the surest of the rest.
pub fn best(report: &Report<'_>) -> Vec<Value> {
    let mut right: Vec<_> = graded(report)
        .filter(|(_, p, t)| p.answer == Some(*t))
        .collect();
    right.sort_by(|a, b| belief(b.1, b.2).total_cmp(&belief(a.1, a.2)));
    let (mut chosen, mut rest, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for example in right {
        if seen.contains(&example.2) {
            rest.push(example);
        } else {
            seen.push(example.2);
            chosen.push(example);
        }
    }
    chosen.extend(rest);
    shown(chosen, report)
}

/// The surest wrong answers.
pub fn worst(report: &Report<'_>) -> Vec<Value> {
    let wrong = |p: &Prediction, t| p.answer.is_some_and(|a| a != t);
    let mut chosen: Vec<_> = graded(report).filter(|(_, p, t)| wrong(p, *t)).collect();
    let sure = |p: &Prediction| p.answer.map_or(0.0, |a| belief(p, a));
    chosen.sort_by(|a, b| sure(b.1).total_cmp(&sure(a.1)));
    shown(chosen, report)
}

type Example<'a> = (&'a Record, &'a Prediction, Expression);

fn graded<'a>(report: &Report<'a>) -> impl Iterator<Item = Example<'a>> {
    let set = report.set;
    let pairs = report.records.iter().zip(report.predictions);
    pairs.filter_map(move |(r, p)| Some((r, p, p.truth.filter(|t| set.contains(*t))?)))
}

fn shown(examples: Vec<Example<'_>>, report: &Report<'_>) -> Vec<Value> {
    examples
        .into_iter()
        .take(SHOWN)
        .map(|(record, prediction, truth)| {
            let ranked = prediction.probabilities.map(|p| p.ranked());
            let beliefs: Vec<_> = ranked
                .iter()
                .flatten()
                .filter(|(e, _)| report.set.contains(*e))
                .take(3)
                .map(|(e, p)| context! { name => e.name(), percent => (100.0 * p.get()).round() })
                .collect();
            let units: Vec<_> = prediction
                .units
                .iter()
                .flat_map(|u| u.active())
                .take(6)
                .map(|(unit, i)| {
                    let value = format!("{:.2}", i.get());
                    context! { name => unit.name(), value, percent => 100.0 * i.get() }
                })
                .collect();
            context! {
                id => record.id.clone(),
                picture => picture(record, prediction.face_box, report).map(Value::from_safe_string),
                truth => truth.name(),
                answer => prediction.answer.map(Expression::name),
                beliefs,
                units,
                chain => prediction.chain.as_deref().map(parts),
            }
        })
        .collect()
}

/// The headed parts of a chain; a text that has none as it is, without a heading.
fn parts(text: &str) -> Vec<(&'static str, String)> {
    match text.parse::<ChainOfThought>() {
        Ok(chain) => ChainPart::ALL
            .into_iter()
            .map(|part| (part.heading(), chain.part(part).to_owned()))
            .collect(),
        Err(_) => vec![("", text.to_owned())],
    }
}

/// The face with its landmarks drawn on it as SVG; nothing when the image cannot be read any
/// more.
fn picture(record: &Record, face_box: Option<FaceBox>, report: &Report<'_>) -> Option<String> {
    let bytes = record.image.read().ok()?;
    let photo = PhotoReader::default().decode(&bytes).ok()?;
    let whole = FaceBox::whole(photo.width(), photo.height());
    let face = face_box.unwrap_or(whole);
    let margin = if face == whole { 1.0 } else { MARGIN };
    let extent = margin * face.width.max(face.height).max(1.0);
    let middle = face.center();
    let to_photo = Similarity {
        a: extent / SIDE as f32,
        b: 0.0,
        tx: middle.x - extent / 2.0,
        ty: middle.y - extent / 2.0,
    };
    let jpeg = encode(&warp(&photo, &to_photo, SIDE))?;
    let title = format!("face of {}", record.id);
    let mut svg = charts::open(SIDE as usize, SIDE as usize, &title);
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        r#"<image width="{SIDE}" height="{SIDE}" href="data:image/jpeg;base64,{}"/>"#,
        STANDARD.encode(jpeg)
    );
    if face_box.is_some() {
        svg.push_str(&dots(&photo, face, (&to_photo, report)).unwrap_or_default());
    }
    Some(svg + "</svg>")
}

/// The landmarks of a face in a picture.
fn dots(
    photo: &Photo,
    face: FaceBox,
    (to_photo, report): (&Similarity, &Report<'_>),
) -> Option<String> {
    let to_picture = to_photo.inverse()?;
    let found = report.landmarks.landmarks_of(photo, face).ok()?;
    let found = found.transformed(&to_picture);
    let mut svg = String::from(r##"<g fill="#fff" stroke="#1b4f8a" stroke-width=".7">"##);
    for point in found.points {
        let _ = write!(
            svg,
            r#"<circle cx="{:.1}" cy="{:.1}" r="1.2"/>"#,
            point.x, point.y
        );
    }
    Some(svg + "</g>")
}

fn encode(photo: &Photo) -> Option<Vec<u8>> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 82)
        .encode(
            photo.pixels(),
            photo.width(),
            photo.height(),
            ExtendedColorType::Rgb8,
        )
        .ok()?;
    Some(jpeg)
}
