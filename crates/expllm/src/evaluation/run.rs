//! From records to predictions, in batches.

use std::collections::HashMap;

use expllm_core::{
    AlignedFace, AuVector, CotRequest, Explanation, Expression, ExpressionProbabilities,
    ExpressionSet, FaceBox, HeadPose, LANDMARK_COUNT, Landmarks, Photo, Point, Similarity,
};
use expllm_data::Record;
use expllm_face::{MAX_CROP, PhotoReader, warp};
use rayon::prelude::*;

use super::prediction::{Journal, Prediction};
use super::stages::{Judge, Stages, View};
use crate::evaluation::EvaluationError;

/// Faces that go through the network at once; the journal is written after each batch.
const BATCH: usize = 64;

/// One face ready to be judged, and where it was.
struct Ready {
    face: Face,
    face_box: FaceBox,
}

/// What the stages look at.
#[derive(Clone)]
struct Face {
    /// Turned upright.
    aligned: AlignedFace,
    /// The box as it is, for a stage that wants it.
    whole: Option<AlignedFace>,
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
    (mut journal, mut done): (Journal, HashMap<String, Prediction>),
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Prediction>, EvaluationError> {
    let todo: Vec<_> = records
        .iter()
        .filter(|r| !done.contains_key(&r.id))
        .collect();
    let mut finished = records.len() - todo.len();
    progress(finished);
    for batch in todo.chunks(BATCH) {
        let predictions = predict(batch, stages, set);
        journal.append(&predictions)?;
        done.extend(predictions.into_iter().map(|p| (p.id.clone(), p)));
        finished += batch.len();
        progress(finished);
    }
    Ok(records.iter().filter_map(|r| done.remove(&r.id)).collect())
}

fn predict(batch: &[&Record], stages: &Stages, set: ExpressionSet) -> Vec<Prediction> {
    let prepared: Vec<Result<Ready, String>> = batch
        .par_iter()
        .map(|record| prepare(record, stages))
        .collect();
    let faces: Vec<_> = prepared.iter().flatten().map(|r| r.face.clone()).collect();
    let mut answers = judge_each(&faces, stages, set).into_iter();
    batch
        .iter()
        .zip(prepared)
        .map(|(record, prepared)| {
            let mut prediction = blank(record);
            match prepared {
                Ok(ready) => {
                    prediction.face_box = Some(ready.face_box);
                    match answers.next() {
                        Some(Ok(answer)) => answer.fill(&mut prediction, set),
                        Some(Err(reason)) => prediction.error = Some(reason),
                        None => prediction.error = Some("the stage gave no answer".into()),
                    }
                }
                Err(reason) => prediction.error = Some(reason),
            }
            prediction
        })
        .collect()
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
        face_box: None,
        error: None,
    }
}

/// Reads the image, finds its largest face and turns it upright.
fn prepare(record: &Record, stages: &Stages) -> Result<Ready, String> {
    let bytes = record.image.read().map_err(|e| e.to_string())?;
    let photo = PhotoReader::default().decode(&bytes);
    let photo = photo.map_err(|e| e.to_string())?;
    let face_box = match &stages.detector {
        None => FaceBox::whole(photo.width(), photo.height()),
        Some(detector) => {
            let faces = detector.detect(&photo).map_err(|e| e.to_string())?;
            *faces.first().ok_or("no face found")?
        }
    };
    let wants_whole = matches!(
        stages.judge,
        Judge::Explainer {
            view: View::Whole,
            ..
        }
    );
    let face = Face {
        aligned: aligned(&photo, face_box, stages)?,
        whole: wants_whole.then(|| whole(&photo, face_box)),
    };
    Ok(Ready { face, face_box })
}

fn aligned(photo: &Photo, face_box: FaceBox, stages: &Stages) -> Result<AlignedFace, String> {
    let landmarks = stages.landmarks.landmarks(photo, &[face_box]);
    let landmarks = landmarks.map_err(|e| e.to_string())?;
    let faces = stages.aligner.align(photo, &landmarks);
    let face = faces.map_err(|e| e.to_string())?.into_iter().next();
    face.ok_or_else(|| "the aligner gave no face".to_owned())
}

/// The pixels of a box as they are; the landmarks are all in its middle.
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
        landmarks: Landmarks {
            points: [Point::new(side / 2.0, side / 2.0); LANDMARK_COUNT],
            head_pose: HeadPose::default(),
        },
    }
}

/// What a stage says of one face.
#[derive(Default)]
struct Answer {
    label: Option<Expression>,
    probabilities: Option<ExpressionProbabilities>,
    units: Option<AuVector>,
    chain: Option<String>,
}

impl Answer {
    fn fill(self, prediction: &mut Prediction, set: ExpressionSet) {
        let probabilities = self.probabilities.map(|p| p.within(set));
        prediction.answer = self.label.or_else(|| probabilities.map(|p| p.top()));
        prediction.probabilities = probabilities;
        prediction.units = self.units;
        prediction.chain = self.chain;
    }
}

/// Judges a batch; when the batch fails, each face alone, so that one cannot spoil the others.
fn judge_each(faces: &[Face], stages: &Stages, set: ExpressionSet) -> Vec<Result<Answer, String>> {
    match judge(faces, stages, set) {
        Ok(answers) if answers.len() == faces.len() => answers.into_iter().map(Ok).collect(),
        Ok(_) if faces.len() == 1 => vec![Err("the stage gave no answer".to_owned())],
        Err(reason) if faces.len() == 1 => vec![Err(reason)],
        _ => faces
            .iter()
            .flat_map(|face| judge_each(std::slice::from_ref(face), stages, set))
            .collect(),
    }
}

fn judge(faces: &[Face], stages: &Stages, set: ExpressionSet) -> Result<Vec<Answer>, String> {
    let upright: Vec<_> = faces.iter().map(|face| face.aligned.clone()).collect();
    match &stages.judge {
        Judge::Units { units, writer } => {
            let readings = units.detect_units(&upright).map_err(|e| e.to_string())?;
            let requests: Vec<_> = readings
                .into_iter()
                .map(|reading| CotRequest {
                    expression: reading.probabilities.within(set).top(),
                    reading,
                    set,
                    seed: 0,
                })
                .collect();
            let chains = writer.write(&requests).map_err(|e| e.to_string())?;
            let answer = |(request, chain): (CotRequest, expllm_core::ChainOfThought)| Answer {
                label: Some(request.expression),
                probabilities: Some(request.reading.probabilities),
                units: Some(request.reading.action_units),
                chain: Some(chain.to_string()),
            };
            Ok(requests.into_iter().zip(chains).map(answer).collect())
        }
        Judge::Classifier(classifier) => {
            let probabilities = classifier.classify(&upright).map_err(|e| e.to_string())?;
            let answer = |probabilities| Answer {
                probabilities: Some(probabilities),
                ..Answer::default()
            };
            Ok(probabilities.into_iter().map(answer).collect())
        }
        Judge::Explainer {
            explainer,
            question,
            view,
            units,
        } => {
            let seen: Vec<_> = match view {
                View::Aligned => upright.clone(),
                View::Whole => faces.iter().filter_map(|face| face.whole.clone()).collect(),
            };
            let explanations = explainer.explain_all(&seen, *question);
            let explanations = explanations.map_err(|e| e.to_string())?;
            let readings = units.detect_units(&upright).map_err(|e| e.to_string())?;
            let answer = |(explained, reading): (Explanation, expllm_core::AuReading)| Answer {
                label: explained.label.map(|(label, _)| label),
                probabilities: explained.label.map(|(_, probabilities)| probabilities),
                units: Some(reading.action_units),
                chain: Some(explained.text),
            };
            Ok(explanations.into_iter().zip(readings).map(answer).collect())
        }
    }
}
