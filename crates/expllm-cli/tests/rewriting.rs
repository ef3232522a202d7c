//! Chains that the action units contradict are written again.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::path::Path;

use expllm::au::{AuDetector, FaceReader};
use expllm::core::{
    AlignedFace, AuVector, ExplainQuestion, ExplainRequest, Explainer, Explanation,
    ExplanationEvent, ExpressionSet, Photo,
};
use expllm::cot::ground;
use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm::face::PhotoReader;
use expllm::rewriting::RewritingExplainer;

fn reader() -> FaceReader {
    FaceReader::pretrained().unwrap()
}

fn faces() -> Vec<AlignedFace> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png");
    let photo = PhotoReader::default().read(path).unwrap();
    let face = reader().read(&photo).unwrap().remove(0).unwrap().aligned;
    let turned = AlignedFace {
        image: face.image.mirrored(),
        ..face.clone()
    };
    [0.3, 0.5, 0.8, 1.0, 1.4, 2.0]
        .into_iter()
        .flat_map(|power| [lit(&face, power), lit(&turned, power)])
        .collect()
}

fn request(face: &AlignedFace, units: AuVector, question: ExplainQuestion) -> ExplainRequest {
    ExplainRequest {
        action_units: units,
        probabilities: None,
        confidence: expllm::core::Confidence::FULL,
        crop: Some(face.clone()),
        question,
        set: ExpressionSet::Eight,
        seed: 0,
    }
}

/// A face in other light.
fn lit(face: &AlignedFace, power: f32) -> AlignedFace {
    let image = &face.image;
    let pixels = (image.pixels().iter())
        .map(|&value| (255.0 * (f32::from(value) / 255.0).powf(power)) as u8)
        .collect();
    AlignedFace {
        image: Photo::new(image.width(), image.height(), pixels).unwrap(),
        ..face.clone()
    }
}

fn explainer(attempts: u32) -> RewritingExplainer {
    let model = ModelSource::Shipped
        .load(&ExplainerOptions::default())
        .unwrap();
    RewritingExplainer::new(model, attempts)
}

fn agreement(explanation: &Explanation, units: &AuVector) -> f64 {
    let report = ground(explanation.chain.as_ref().unwrap(), units);
    report.precision().unwrap_or(0.0) + report.recall().unwrap_or(0.0)
}

#[test]
fn more_attempts_never_agree_less_and_keep_the_label() {
    let faces = faces();
    let question = ExplainQuestion::LabelFirst;
    let units = reader().units.detect_units(&faces).unwrap();
    let units: Vec<_> = units
        .into_iter()
        .map(|reading| reading.action_units)
        .collect();
    let requests: Vec<_> = (faces.iter().zip(&units))
        .map(|(face, &units)| request(face, units, question))
        .collect();
    let mut before: Option<Vec<Explanation>> = None;
    for attempts in [1, 2, 4] {
        let said = explainer(attempts).explain_all(&requests).unwrap();
        for (at, old) in before.iter().flatten().enumerate() {
            let [new, old] = [&said[at], old].map(|said| agreement(said, &units[at]));
            assert!(new >= old, "{new} after {old}");
        }
        // Probabilities may differ in their last digits: fewer faces are asked again together.
        let label = |said: &Explanation| said.expression;
        let labels = |said: &[Explanation]| said.iter().map(label).collect::<Vec<_>>();
        assert!(before.is_none_or(|before| labels(&before) == labels(&said)));
        before = Some(said);
    }
}

#[test]
fn one_attempt_is_the_model_itself() {
    let faces = &faces()[..2];
    let model = ModelSource::Shipped
        .load(&ExplainerOptions::default())
        .unwrap();
    let expected = model
        .explain_batch(faces, ExplainQuestion::LabelFirst)
        .unwrap();
    // Nothing moves, so whatever the model claims is contradicted.
    let asked = |face| request(face, AuVector::REST, ExplainQuestion::LabelFirst);
    let requests: Vec<_> = faces.iter().map(asked).collect();
    assert_eq!(explainer(1).explain_all(&requests).unwrap(), expected);
}

#[test]
fn a_chain_comes_whole_after_its_label_or_before_it() {
    let faces = faces();
    let rewriting = explainer(3);
    for (question, label_at) in [
        (ExplainQuestion::LabelFirst, 0),
        (ExplainQuestion::ChainFirst, 1),
    ] {
        let asked = request(&faces[0], AuVector::REST, question);
        let whole = rewriting.explain_all(std::slice::from_ref(&asked));
        let whole = whole.unwrap().remove(0);
        let events = rewriting.explain(&asked).unwrap();
        let events: Vec<_> = events.map(Result::unwrap).collect();
        let label = ExplanationEvent::Label {
            expression: whole.expression.unwrap(),
            probabilities: whole.probabilities.unwrap(),
        };
        let mut expected = vec![ExplanationEvent::Text(whole.text)];
        expected.insert(label_at, label);
        assert_eq!(events, expected, "{question:?}");
    }
}
