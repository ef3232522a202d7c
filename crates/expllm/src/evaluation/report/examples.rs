//! Examples with their crops and chains.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expllm_core::{Expression, FaceBox};
use expllm_data::Record;
use expllm_face::PhotoReader;
use image::{ImageFormat, RgbImage, imageops};
use minijinja::{Value, context};

use super::{Report, belief};
use crate::evaluation::prediction::Prediction;

/// Side of a crop in pixels.
const SIDE: u32 = 128;
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
                .map(|(unit, i)| format!("{unit} {:.2}", i.get()))
                .collect();
            context! {
                id => record.id.clone(),
                image => crop(record, prediction.face_box),
                truth => truth.name(),
                answer => prediction.answer.map(Expression::name),
                beliefs,
                units,
                chain => prediction.chain.clone(),
            }
        })
        .collect()
}

/// The face as a data URI; nothing when the image cannot be read any more.
fn crop(record: &Record, face_box: Option<FaceBox>) -> Option<String> {
    let bytes = record.image.read().ok()?;
    let photo = PhotoReader::default().decode(&bytes).ok()?;
    let (width, height) = (photo.width(), photo.height());
    let face = face_box.unwrap_or(FaceBox::whole(width, height));
    let picture = RgbImage::from_raw(width, height, photo.into_pixels())?;
    let (x, y) = (face.x.max(0.0) as u32, face.y.max(0.0) as u32);
    let (w, h) = (face.width.max(1.0) as u32, face.height.max(1.0) as u32);
    let cut = imageops::crop_imm(&picture, x, y, w, h).to_image();
    if cut.width() == 0 || cut.height() == 0 {
        return None;
    }
    let scale = f64::from(SIDE) / f64::from(cut.width().max(cut.height()));
    let size = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    let (w, h) = (size(cut.width()), size(cut.height()));
    let small = imageops::resize(&cut, w, h, imageops::FilterType::Triangle);
    let mut jpeg = Cursor::new(Vec::new());
    small.write_to(&mut jpeg, ImageFormat::Jpeg).ok()?;
    Some(format!(
        "data:image/jpeg;base64,{}",
        STANDARD.encode(jpeg.into_inner())
    ))
}
