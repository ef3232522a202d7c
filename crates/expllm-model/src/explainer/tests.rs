//! Tests of explanations with random weights and a small vocabulary.

use burn::tensor::DType;
use expllm_core::{AuVector, Similarity};

use expllm_core::{ExplainRequest, Explainer};

use super::*;
use crate::tokenizer::testing::small;
use crate::{ExpLlm, LlamaOptions, LoadOptions, ModelConfig, RandomWeights, default_device};

fn model(vocab: usize) -> ExpLlm {
    let mut config = ModelConfig::tiny();
    config.llm.vocab_size = vocab;
    config.llm.max_positions = 4096;
    config.image_token_id = 268;
    let source = RandomWeights::new(&config, DType::F32, 11).unwrap();
    let device = default_device();
    ExpLlm::load(&config, &source, &LoadOptions::default(), &device).unwrap()
}

fn explainer(settings: GenerationSettings) -> ExpLlmExplainer {
    let words = (small(LlamaOptions::default()), PromptTemplate::default());
    let pixels = |face: &Photo, side: usize| {
        let value = |i: usize| f32::from(face.pixels()[i % face.pixels().len()]) / 255.0;
        (0..3 * side * side).map(value).collect::<Vec<_>>()
    };
    ExpLlmExplainer::new(model(268), words, settings, ExpressionSet::Seven, pixels).unwrap()
}

fn face(seed: u8) -> AlignedFace {
    let pixels = (0..=74_u8).map(|i| i.wrapping_mul(seed)).collect();
    AlignedFace {
        image: Photo::new(5, 5, pixels).unwrap(),
        to_photo: Similarity {
            a: 1.0,
            b: 0.0,
            tx: 0.0,
            ty: 0.0,
        },
        landmarks: None,
    }
}

fn request(face: &AlignedFace, question: ExplainQuestion) -> ExplainRequest {
    ExplainRequest {
        action_units: AuVector::default(),
        probabilities: None,
        confidence: expllm_core::Confidence::FULL,
        crop: Some(face.clone()),
        question,
        set: ExpressionSet::Seven,
        seed: 0,
    }
}

fn short() -> GenerationSettings {
    GenerationSettings {
        max_new_tokens: 24,
        ..GenerationSettings::default()
    }
}

#[test]
fn the_label_comes_first_and_conditions_the_chain() {
    let explainer = explainer(short());
    let first = explainer
        .explain_to_end(&face(3), ExplainQuestion::LabelFirst)
        .unwrap();
    let (label, probabilities) = (first.expression.unwrap(), first.probabilities.unwrap());
    assert_eq!(probabilities, explainer.classify(&face(3).image).unwrap());
    assert_eq!(probabilities.get(Expression::Contempt).get(), 0.0);
    assert!((probabilities.values().iter().sum::<f32>() - 1.0).abs() < 1e-5);
    // A prefix that was reused gives what a new one gives.
    let given = explainer
        .explain_to_end(&face(3), ExplainQuestion::Given(label))
        .unwrap();
    assert_eq!((given.probabilities, &given.text), (None, &first.text));
    let other = ExpressionSet::Seven
        .expressions()
        .iter()
        .find(|e| **e != label)
        .unwrap();
    let other = explainer
        .explain_to_end(&face(3), ExplainQuestion::Given(*other))
        .unwrap();
    assert_ne!(other.text, first.text);
}

#[test]
fn the_chain_comes_first_and_conditions_the_label() {
    let explainer = explainer(short());
    let events: Vec<_> = explainer
        .explain(&request(&face(5), ExplainQuestion::ChainFirst))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let (last, texts) = events.split_last().unwrap();
    let mut text = String::new();
    for event in texts {
        match event {
            ExplanationEvent::Text(piece) => text.push_str(piece),
            other => panic!("{other:?} before the end"),
        }
    }
    assert!(!text.is_empty());
    let turns = [Turn::new(Task::Explanation, text.trim_end())];
    let image = explainer.encode(&face(5).image).unwrap();
    let (_, fresh, _) = explainer.label(None, &turns, Some(image)).unwrap();
    let values = |event: &ExplanationEvent| match event {
        ExplanationEvent::Label { probabilities, .. } => probabilities.values(),
        other => panic!("{other:?} is no label"),
    };
    for (reused, fresh) in values(last).iter().zip(values(&fresh)) {
        assert!((reused - fresh).abs() < 1e-4);
    }
}

/// Judges sentences of random text, which end at spaces and capitals.
struct Fussy;

impl expllm_core::SentenceJudge for Fussy {
    fn ends(&self, text: &str, place: usize) -> Option<bool> {
        let next = text[place..].chars().next()?;
        Some(u32::from(next).is_multiple_of(3))
    }

    fn judge(&self, new: &expllm_core::NewSentence<'_>, face: &JudgedFace) -> expllm_core::Verdict {
        assert_eq!(face.action_units, AuVector::default());
        match new.text[new.start..].chars().count() % 2 {
            0 => expllm_core::Verdict::Contradicted,
            _ => expllm_core::Verdict::Stands { new_units: 0 },
        }
    }
}

#[test]
fn what_is_streamed_is_what_is_returned_with_its_marks() {
    let with = |draws| {
        let judge = Arc::new(Fussy);
        explainer(short()).verified(Verification { judge, draws })
    };
    let mut marks = Vec::new();
    for draws in [0, 3] {
        let explainer = with(draws);
        for question in [
            ExplainQuestion::LabelFirst,
            ExplainQuestion::ChainFirst,
            ExplainQuestion::Given(Expression::Fear),
        ] {
            let asked = request(&face(3), question);
            let whole = explainer.explain_all(std::slice::from_ref(&asked)).unwrap();
            let mut parts = expllm_core::ExplanationParts::new(question);
            let mut marked = Vec::new();
            for event in explainer.explain(&asked).unwrap() {
                let event = event.unwrap();
                parts.take(&event);
                if let ExplanationEvent::Unsupported(text) = event {
                    marked.push(text.trim().to_owned());
                }
            }
            assert_eq!([parts.finish()], whole[..]);
            assert_eq!(whole[0].marked, marked);
            if draws == 0 {
                let plain = self::explainer(short());
                let plain = plain.explain_to_end(&face(3), question).unwrap();
                assert_eq!(plain.text, whole[0].text);
            }
            marks.push(marked.len());
        }
    }
    assert!(marks[3..].iter().sum::<usize>() < marks[..3].iter().sum());
}

#[test]
fn faces_side_by_side_get_what_each_gets_alone() {
    let faces: Vec<_> = (1..6).map(|seed| face(2 * seed + 1)).collect();
    let whole = explainer(short());
    let whole = whole
        .explain_to_end(&faces[0], ExplainQuestion::ChainFirst)
        .unwrap()
        .text;
    let middle = whole.char_indices().nth(3).unwrap().0;
    let mut stopped = short();
    stopped
        .stop_strings
        .push(whole[middle..].chars().take(2).collect());
    for explainer in [explainer(short()), explainer(stopped)] {
        for question in [
            ExplainQuestion::LabelFirst,
            ExplainQuestion::ChainFirst,
            ExplainQuestion::Given(Expression::Fear),
        ] {
            let requests: Vec<_> = faces.iter().map(|face| request(face, question)).collect();
            let together = explainer.explain_all(&requests).unwrap();
            assert_eq!(together.len(), faces.len());
            for (face, found) in faces.iter().zip(together) {
                let alone = explainer.explain_to_end(face, question).unwrap();
                assert_eq!((&alone.text, &alone.chain), (&found.text, &found.chain));
                let shares = |said: &Explanation| {
                    said.probabilities.map(|p| p.values()).into_iter().flatten()
                };
                let label = alone.expression.or(question.given());
                assert_eq!(label, found.expression);
                for (a, b) in shares(&alone).zip(shares(&found)) {
                    assert!((a - b).abs() < 1e-4);
                }
            }
        }
    }
    assert!(explainer(short()).explain_all(&[]).unwrap().is_empty());
}

#[test]
fn text_ends_at_a_stop_string_wherever_tokens_end() {
    let whole = explainer(short());
    let whole = whole
        .explain_to_end(&face(7), ExplainQuestion::ChainFirst)
        .unwrap()
        .text;
    let places: Vec<_> = whole.char_indices().map(|(place, _)| place).collect();
    for pair in places.windows(3).step_by(3) {
        let stop = whole[pair[0]..pair[2]].to_owned();
        let expected = whole.find(&stop).map(|place| &whole[..place]);
        let mut settings = short();
        settings.stop_strings.push(stop);
        let cut = explainer(settings);
        let cut = cut
            .explain_to_end(&face(7), ExplainQuestion::ChainFirst)
            .unwrap();
        assert_eq!(Some(cut.text.as_str()), expected);
    }
}

#[test]
fn cancelling_ends_the_text() {
    let explainer = explainer(short());
    let cancel = CancelToken::default();
    let question = ExplainQuestion::Given(Expression::Fear);
    let mut run = explainer.start(&face(3), question, cancel.clone()).unwrap();
    assert!(run.next().is_some());
    cancel.cancel();
    // At most what was held back is left.
    assert!(run.count() <= 1);
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let refusal = |change: fn(&mut ModelConfig)| {
        let mut config = model(268).config().clone();
        change(&mut config);
        let model = ExpLlm::init(&config, &default_device()).unwrap();
        let words = (small(LlamaOptions::default()), PromptTemplate::default());
        let pixels = |_: &Photo, _: usize| Vec::new();
        let set = ExpressionSet::Seven;
        let error = ExpLlmExplainer::new(model, words, short(), set, pixels).err();
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refusal(|_| {}), "");
    assert!(refusal(|config| config.llm.vocab_size = 260).contains("another model"));
    assert!(refusal(|config| config.image_token_id = 200).contains("<im_patch>"));
    assert!(refusal(|config| config.eos_token_id = 7).contains("ends texts"));
}
