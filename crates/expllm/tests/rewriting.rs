//! Chains that the action units contradict are written again.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::path::Path;

use expllm::au::AuNet;
use expllm::core::{
    AlignedFace, AuDetector, AuReading, AuVector, ExplainQuestion, Explanation, ExplanationEvent,
    ExpressionProbabilities, ExpressionSet, FaceExplainer, HeadPose, Photo, Pipeline, StageError,
};
use expllm::cot::ground;
use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm::face::device::default_device;
use expllm::face::{LandmarkNet, PhotoReader, RustfaceDetector, SimilarityAligner};
use expllm::rewriting::RewritingExplainer;

/// Reads no movement from any face.
struct Nothing;

impl AuDetector for Nothing {
    fn detect_units(&self, faces: &[AlignedFace]) -> Result<Vec<AuReading>, StageError> {
        let reading = AuReading {
            action_units: AuVector::default(),
            probabilities: ExpressionProbabilities::from_scores([0.0; 8]),
            head_pose: HeadPose::default(),
        };
        Ok(vec![reading; faces.len()])
    }
}

fn faces() -> Vec<AlignedFace> {
    let device = default_device();
    let pipeline = Pipeline {
        detector: RustfaceDetector::new().unwrap(),
        landmarks: LandmarkNet::pretrained(&device).unwrap(),
        aligner: SimilarityAligner,
        units: AuNet::pretrained(&device).unwrap(),
        writer: (),
        set: ExpressionSet::Eight,
        seed: 0,
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png");
    let photo = PhotoReader::default().read(path).unwrap();
    let face = pipeline.read(&photo).unwrap().remove(0).aligned;
    let turned = AlignedFace {
        image: face.image.mirrored(),
        ..face.clone()
    };
    [0.3, 0.5, 0.8, 1.0, 1.4, 2.0]
        .into_iter()
        .flat_map(|power| [lit(&face, power), lit(&turned, power)])
        .collect()
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

fn explainer(units: Box<dyn AuDetector>, attempts: u32) -> RewritingExplainer {
    let model = ModelSource::Shipped
        .load(&ExplainerOptions::default())
        .unwrap();
    RewritingExplainer::new(model, units, attempts)
}

fn agreement(explanation: &Explanation, units: &AuVector) -> f64 {
    let report = ground(explanation.chain.as_ref().unwrap(), units);
    report.precision().unwrap_or(0.0) + report.recall().unwrap_or(0.0)
}

#[test]
fn more_attempts_never_agree_less_and_keep_the_label() {
    let faces = faces();
    let question = ExplainQuestion::LabelFirst;
    let read = AuNet::pretrained(&default_device()).unwrap();
    let units: Vec<_> = read.detect_units(&faces).unwrap();
    let units: Vec<_> = units
        .into_iter()
        .map(|reading| reading.action_units)
        .collect();
    let mut before: Option<Vec<Explanation>> = None;
    for attempts in [1, 2, 4] {
        let said = explainer(Box::new(read.clone()), attempts)
            .explain_all(&faces, question)
            .unwrap();
        for (at, old) in before.iter().flatten().enumerate() {
            let [new, old] = [&said[at], old].map(|said| agreement(said, &units[at]));
            assert!(new >= old, "{new} after {old}");
        }
        // Probabilities may differ in their last digits: fewer faces are asked again together.
        let label = |said: &Explanation| said.label.map(|(label, _)| label);
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
    let once = explainer(Box::new(Nothing), 1);
    assert_eq!(
        once.explain_all(faces, ExplainQuestion::LabelFirst)
            .unwrap(),
        expected
    );
}

#[test]
fn a_chain_comes_whole_after_its_label_or_before_it() {
    let faces = faces();
    let rewriting = explainer(Box::new(Nothing), 3);
    for (question, label_at) in [
        (ExplainQuestion::LabelFirst, 0),
        (ExplainQuestion::ChainFirst, 1),
    ] {
        let whole = rewriting
            .explain_all(&faces[..1], question)
            .unwrap()
            .remove(0);
        let events = rewriting.explain(&faces[0], question).unwrap();
        let events: Vec<_> = events.map(Result::unwrap).collect();
        let (expression, probabilities) = whole.label.unwrap();
        let label = ExplanationEvent::Label {
            expression,
            probabilities,
        };
        let mut expected = vec![ExplanationEvent::Text(whole.text)];
        expected.insert(label_at, label);
        assert_eq!(events, expected, "{question:?}");
    }
}
