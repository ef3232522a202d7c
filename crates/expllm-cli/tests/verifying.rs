//! Chains of the shipped model are held against the face while they are written.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::path::Path;

use expllm::au::{AuDetector, FaceReader};
use expllm::core::{
    AlignedFace, AuVector, ExplainQuestion, ExplainRequest, Explainer, Explanation,
    ExplanationEvent, ExplanationParts, ExpressionSet, Photo,
};
use expllm::cot::ground;
use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm::face::PhotoReader;
use expllm::model::ExpLlmExplainer;

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

fn explainer(draws: Option<u32>) -> ExpLlmExplainer {
    let options = ExplainerOptions {
        draws,
        ..ExplainerOptions::default()
    };
    ModelSource::Shipped.load(&options).unwrap()
}

/// The faces with what was read of them.
fn requests(question: ExplainQuestion) -> Vec<ExplainRequest> {
    let faces = faces();
    let read = reader().units.detect_units(&faces).unwrap();
    let units = read.into_iter().map(|reading| reading.action_units);
    (faces.iter().zip(units))
        .map(|(face, units)| request(face, units, question))
        .collect()
}

/// Sentences that the units contradict, and active units that none names.
fn faults(said: &Explanation, units: &AuVector) -> (Vec<String>, usize) {
    let report = ground(said.chain.as_ref().unwrap(), units);
    let wrong = report.offending_sentences().into_iter();
    let wrong = wrong.map(|index| report.sentences[index].clone());
    (wrong.collect(), report.omitted.len())
}

#[test]
fn nothing_contradicted_is_shown_unmarked_and_candidates_leave_less_of_it() {
    for question in [ExplainQuestion::LabelFirst, ExplainQuestion::ChainFirst] {
        let mut requests = requests(question);
        // The model says what was read; of a face that is said to rest, every movement is a fault.
        for request in requests.iter_mut().step_by(2) {
            request.action_units = AuVector::REST;
        }
        let [plain, marked, drawn] =
            [None, Some(0), Some(4)].map(|draws| explainer(draws).explain_all(&requests).unwrap());
        let mut counts = [(0, 0); 2];
        for (at, request) in requests.iter().enumerate() {
            assert_eq!(plain[at].text, marked[at].text);
            assert_eq!(plain[at].marked, Vec::<String>::new());
            for (said, count) in [&marked[at], &drawn[at]].into_iter().zip(&mut counts) {
                let (wrong, omitted) = faults(said, &request.action_units);
                for sentence in &wrong {
                    let is_marked = said.marked.iter().any(|text| text.ends_with(sentence));
                    assert!(is_marked, "{sentence} in {}", said.text);
                }
                *count = (count.0 + wrong.len(), count.1 + omitted);
            }
            if question == ExplainQuestion::LabelFirst {
                assert_eq!(plain[at].expression, drawn[at].expression);
            }
        }
        assert!(counts[0].0 > 0, "nothing to mend");
        assert!(
            counts[1].0 <= counts[0].0 && counts[1].1 <= counts[0].1,
            "{counts:?}"
        );
    }
}

#[test]
fn what_is_streamed_is_what_is_returned() {
    let explainer = explainer(Some(4));
    for question in [ExplainQuestion::LabelFirst, ExplainQuestion::ChainFirst] {
        for request in &requests(question)[..4] {
            let mut parts = ExplanationParts::new(question);
            let mut pieces = 0;
            for event in explainer.explain(request).unwrap() {
                let event = event.unwrap();
                parts.take(&event);
                pieces += usize::from(matches!(
                    event,
                    ExplanationEvent::Text(_) | ExplanationEvent::Unsupported(_)
                ));
            }
            let whole = explainer
                .explain_all(std::slice::from_ref(request))
                .unwrap();
            assert_eq!([parts.finish()], whole[..]);
            assert!(pieces > 2, "sentence by sentence");
        }
    }
}
