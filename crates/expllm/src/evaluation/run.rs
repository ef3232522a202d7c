//! From records to predictions, in batches.

use std::collections::HashMap;
use std::iter::repeat;
use std::time::{Duration, Instant};

use expllm_core::{
    AlignedFace, ExplainRequest, Explainer, Explanation, ExpressionSet, FaceBox, FaceOutcome,
    FaceReading, Photo, PlacedFace, Similarity,
};
use expllm_data::Record;
use expllm_face::{MAX_CROP, PhotoReader, warp};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::prediction::{Journal, Kept, Prediction};
use super::stages::{Judge, Stages, View};
use crate::evaluation::EvaluationError;

/// The most faces that go through the network at once; the journal is written after each batch.
const BATCH: usize = 64;

/// Time that a batch may take; a slow stage gets smaller ones, so that little is lost when a run
/// is stopped.
const BATCH_TIME: Duration = Duration::from_secs(2);

/// One face ready to be read, with the pixels that an explainer looks at where they are others
/// than those of the reading.
struct Ready {
    placed: PlacedFace,
    pixels: Option<AlignedFace>,
}

/// Predicts every record that the journal does not hold yet; the result is in record order.
/// `progress` is told how many records are done, at the start and after every batch.
///
/// # Errors
///
/// When the journal cannot be written; a record that fails is a prediction with its reason.
pub fn predict_all(
    records: &[Record],
    stages: &Stages,
    set: ExpressionSet,
    (mut journal, kept): (Journal, HashMap<String, Kept>),
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Prediction>, EvaluationError> {
    let (mut done, mut todo) = (HashMap::new(), Vec::new());
    for (record, reusable) in records.iter().zip(reusable(records, kept)) {
        match reusable {
            Some(prediction) => {
                done.insert(record.id.clone(), prediction);
            }
            None => todo.push(record),
        }
    }
    let mut size = rayon::current_num_threads();
    let mut todo = todo.as_slice();
    while !todo.is_empty() {
        progress(records.len() - todo.len());
        let started = Instant::now();
        let (batch, rest) = todo.split_at(size.min(todo.len()));
        let predictions = predict(batch, stages, set);
        journal.append(&predictions)?;
        let said = predictions.into_iter().map(|kept| kept.prediction);
        done.extend(said.map(|prediction| (prediction.id.clone(), prediction)));
        size = match started.elapsed() < BATCH_TIME / 2 {
            true => (size * 2).min(BATCH),
            false => (size / 2).max(rayon::current_num_threads()),
        };
        todo = rest;
    }
    progress(records.len());
    Ok(records.iter().filter_map(|r| done.remove(&r.id)).collect())
}

/// For each record what an earlier run said of the same image; labels are those of today.
fn reusable(records: &[Record], kept: HashMap<String, Kept>) -> Vec<Option<Prediction>> {
    let reuse = |record: &Record| {
        let kept = kept.get(&record.id)?;
        let image = image_hash(&record.image.read().unwrap_or_default());
        (image == kept.image).then(|| Prediction {
            truth: record.expression,
            subject: record.subject.clone(),
            ..kept.prediction.clone()
        })
    };
    records.par_iter().map(reuse).collect()
}

/// First 16 hexadecimal digits of the SHA-256 of an image; empty for an empty one.
fn image_hash(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

fn predict(batch: &[&Record], stages: &Stages, set: ExpressionSet) -> Vec<Kept> {
    let ready = batch.par_iter().map(|record| {
        let bytes = record.image.read();
        let image = bytes.as_deref().map(image_hash).unwrap_or_default();
        let ready = bytes.map_err(|e| e.to_string());
        (image, ready.and_then(|bytes| prepare(&bytes, stages)))
    });
    let (images, ready): (Vec<_>, Vec<Result<Ready, String>>) = ready.unzip();
    let (placed, pixels): (Vec<_>, Vec<_>) = (ready.iter().flatten())
        .map(|ready| (Ok(ready.placed.clone()), ready.pixels.clone()))
        .unzip();
    let outcomes = stages.reader.read_placed(placed);
    let mut answers = answers(outcomes, pixels, (stages, set)).into_iter();
    let missing = || Err("the stage gave no answer".to_owned());
    let predict = |(record, ready): (&&Record, Result<Ready, String>)| {
        let mut prediction = blank(record);
        let answered = ready.and_then(|ready| {
            prediction.face_box = Some(ready.placed.face_box);
            let answer = answers.next().unwrap_or_else(missing)?;
            answer.fill(&mut prediction, set);
            Ok(())
        });
        prediction.error = answered.err();
        prediction
    };
    let predictions = batch.iter().zip(ready).map(predict);
    let keep = |(image, prediction)| Kept { image, prediction };
    images.into_iter().zip(predictions).map(keep).collect()
}

/// A record about which nothing has been said yet.
pub fn blank(record: &Record) -> Prediction {
    Prediction {
        id: record.id.clone(),
        truth: record.expression,
        subject: record.subject.clone(),
        answer: None,
        probabilities: None,
        units: None,
        chain: None,
        unverified: None,
        face_box: None,
        error: None,
    }
}

/// Decodes the image, finds its largest face and turns it upright.
fn prepare(bytes: &[u8], stages: &Stages) -> Result<Ready, String> {
    let photo = PhotoReader::default().decode(bytes);
    let photo = photo.map_err(|e| e.to_string())?;
    let boxes = match stages.cropped {
        true => vec![FaceBox::whole(photo.width(), photo.height())],
        false => stages.reader.boxes(&photo).map_err(|e| e.to_string())?,
    };
    let largest = boxes.get(..1).ok_or("no face found")?;
    let placed = stages.reader.place(&photo, largest).pop();
    let placed = placed.ok_or("no face found")?.map_err(|e| e.to_string())?;
    let pixels = pixels(&photo, &placed, stages)?;
    Ok(Ready { placed, pixels })
}

/// The pixels that the explainer looks at, where they are others than those of the reading.
fn pixels(
    photo: &Photo,
    face: &PlacedFace,
    stages: &Stages,
) -> Result<Option<AlignedFace>, String> {
    let Judge::Explainer {
        explainer, view, ..
    } = &stages.judge
    else {
        return Ok(None);
    };
    match (view, explainer.crop_side(), &face.landmarks) {
        (View::Whole, ..) => Ok(Some(whole(photo, face.face_box))),
        (View::Aligned, Some(side), Some(marks)) if side != face.aligned.image.width() => {
            let crop = stages.reader.crop(photo, marks, side);
            crop.map(Some).map_err(|e| e.to_string())
        }
        _ => Ok(None),
    }
}

/// The pixels of a box as they are.
fn whole(photo: &Photo, face_box: FaceBox) -> AlignedFace {
    let side = face_box
        .width
        .max(face_box.height)
        .clamp(1.0, MAX_CROP as f32)
        .round();
    let middle = face_box.center();
    let to_photo = Similarity {
        tx: middle.x - side / 2.0,
        ty: middle.y - side / 2.0,
        ..Similarity::IDENTITY
    };
    AlignedFace {
        image: warp(photo, &to_photo, side as u32),
        to_photo,
        landmarks: None,
    }
}

/// What is said of one face.
struct Answer {
    reading: FaceReading,
    explanation: Option<Explanation>,
    unverified: Option<Explanation>,
}

impl Answer {
    fn fill(self, prediction: &mut Prediction, set: ExpressionSet) {
        let (label, shares) = match &self.explanation {
            Some(said) => (said.expression, said.probabilities),
            None => (None, self.reading.probabilities),
        };
        let probabilities = shares.map(|p| p.within(set));
        prediction.answer = label.or_else(|| probabilities.map(|p| p.top()));
        prediction.probabilities = probabilities;
        prediction.units = Some(self.reading.action_units);
        prediction.chain = self.explanation.map(|said| said.text);
        prediction.unverified = self.unverified.map(|said| said.text);
    }
}

/// What is said of faces that were read, in order.
fn answers(
    outcomes: Vec<FaceOutcome>,
    pixels: Vec<Option<AlignedFace>>,
    (stages, set): (&Stages, ExpressionSet),
) -> Vec<Result<Answer, String>> {
    let Judge::Explainer {
        explainer,
        unverified,
        question,
        ..
    } = &stages.judge
    else {
        let answer = |reading| Answer {
            reading,
            explanation: None,
            unverified: None,
        };
        let read = |outcome: FaceOutcome| outcome.map(answer).map_err(|e| e.to_string());
        return outcomes.into_iter().map(read).collect();
    };
    let request = |(outcome, pixels): (&FaceOutcome, Option<AlignedFace>)| {
        let request = ExplainRequest::of_reading(outcome.as_ref().ok()?, *question, set);
        Some(match pixels {
            Some(pixels) => request.with_crop(pixels),
            None => request,
        })
    };
    let requests: Vec<_> = outcomes.iter().zip(pixels).filter_map(request).collect();
    let said = explain_each(explainer.as_ref(), &requests);
    let plain = unverified
        .iter()
        .flat_map(|u| explain_each(u.as_ref(), &requests));
    let mut said = said
        .into_iter()
        .zip(plain.map(Result::ok).chain(repeat(None)));
    let missing = || (Err("the explainer gave no answer".to_owned()), None);
    let answer = |outcome: FaceOutcome| {
        let reading = outcome.map_err(|e| e.to_string())?;
        let (explanation, unverified) = said.next().unwrap_or_else(missing);
        Ok(Answer {
            reading,
            explanation: Some(explanation?),
            unverified,
        })
    };
    outcomes.into_iter().map(answer).collect()
}

/// Explains a batch; when the batch fails, each face alone, so that one cannot spoil the others.
fn explain_each(
    explainer: &dyn Explainer,
    requests: &[ExplainRequest],
) -> Vec<Result<Explanation, String>> {
    match explainer.explain_all(requests) {
        Ok(said) if said.len() == requests.len() => said.into_iter().map(Ok).collect(),
        Ok(_) if requests.len() == 1 => vec![Err("the explainer gave no answer".to_owned())],
        Err(reason) if requests.len() == 1 => vec![Err(reason.to_string())],
        _ => (requests.chunks(1))
            .flat_map(|one| explain_each(explainer, one))
            .collect(),
    }
}
