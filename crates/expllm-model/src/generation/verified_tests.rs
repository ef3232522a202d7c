//! Properties of verified answers, with random weights and judges that know nothing of faces.

use std::sync::Arc;

use burn::tensor::DType;
use expllm_core::{AuVector, JudgedFace, NewSentence, SentenceJudge, Verdict};

use super::*;
use crate::tokenizer::testing::small;
use crate::{
    ExpLlm, LlamaOptions, LoadOptions, ModelConfig, Network, RandomWeights, Tokenizer,
    default_device,
};

/// Sentences end before characters that a number divides; their length decides about them.
#[derive(Clone, Copy)]
struct Toy {
    every: u32,
    verdict: fn(&str) -> Verdict,
}

impl SentenceJudge for Toy {
    fn ends(&self, text: &str, place: usize) -> Option<bool> {
        let next = text[place..].chars().next()?;
        Some(u32::from(next).is_multiple_of(self.every))
    }

    fn judge(&self, new: &NewSentence<'_>, _: &JudgedFace) -> Verdict {
        (self.verdict)(&new.text[new.start..])
    }
}

const STANDS: Verdict = Verdict::Stands { new_units: 0 };

fn by_length(text: &str) -> Verdict {
    match text.chars().count() % 4 {
        0 => Verdict::Contradicted,
        1 => Verdict::Hasty,
        2 => STANDS,
        _ => Verdict::Stands { new_units: 1 },
    }
}

fn config() -> ModelConfig {
    let mut config = ModelConfig::tiny();
    config.llm.vocab_size = 268;
    config.llm.max_positions = 1024;
    config.image_token_id = 268;
    config
}

/// The same random weights, computed by burn and packed.
fn models() -> [Network; 2] {
    let source = RandomWeights::new(&config(), DType::F32, 5).unwrap();
    let device = default_device();
    let burn = ExpLlm::load(&config(), &source, &LoadOptions::default(), &device).unwrap();
    let options = LoadOptions {
        kernels: Some(crate::Format::F32.into()),
        ..LoadOptions::default()
    };
    let packed = Network::load(&config(), &source, &options, &device).unwrap();
    [burn.into(), packed]
}

fn settings(max_new_tokens: usize) -> GenerationSettings {
    GenerationSettings {
        max_new_tokens,
        ..GenerationSettings::default()
    }
}

fn prefix(model: &Network, seed: u32) -> Prefix<'_> {
    let tokens = [1, 60 + seed, 70, 80 + 3 * seed];
    Prefix::new(model, &tokens, None).unwrap()
}

fn verification(toy: Toy, draws: u32) -> Verification {
    let judge = Arc::new(toy);
    Verification { judge, draws }
}

fn verified(
    (prefix, tokenizer): (Prefix<'_>, &Tokenizer),
    settings: &GenerationSettings,
    toy: Toy,
    draws: u32,
) -> Vec<VerifiedPiece> {
    let verification = verification(toy, draws);
    let face = JudgedFace {
        action_units: AuVector::REST,
        label: None,
    };
    let judged = (&verification, face);
    let begun = (prefix, tokenizer);
    // Two at a time, so that three come in two groups.
    let stream = VerifiedStream::new(begun, settings, judged, 2, CancelToken::default());
    stream.unwrap().map(Result::unwrap).collect()
}

fn plain(prefix: Prefix<'_>, tokenizer: &Tokenizer, settings: &GenerationSettings) -> String {
    let stream = TextStream::new(prefix, tokenizer, settings, CancelToken::default());
    stream.unwrap().map(Result::unwrap).collect()
}

fn joined(pieces: &[VerifiedPiece]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

/// Settings that differ in all that decides about tokens.
fn various(whole: &str) -> Vec<GenerationSettings> {
    let stop: String = whole.chars().skip(20).take(2).collect();
    vec![
        settings(60),
        GenerationSettings {
            temperature: 1.0,
            top_p: 0.9,
            repetition_penalty: 1.3,
            seed: 3,
            ..settings(60)
        },
        GenerationSettings {
            stop_strings: vec![stop],
            ..settings(60)
        },
    ]
}

#[test]
fn without_draws_the_text_is_that_of_plain_decoding() {
    let tokenizer = small(LlamaOptions::default());
    let mut several = false;
    for model in models() {
        for seed in 0..3 {
            let begun = || prefix(&model, seed);
            let whole = plain(begun(), &tokenizer, &settings(60));
            for settings in various(&whole) {
                let expected = plain(begun(), &tokenizer, &settings);
                for every in [2, 3, 5] {
                    let toy = Toy {
                        every,
                        verdict: by_length,
                    };
                    let pieces = verified((begun(), &tokenizer), &settings, toy, 0);
                    assert_eq!(joined(&pieces), expected);
                    several |= pieces.len() > 2;
                }
            }
        }
    }
    assert!(several, "no text has sentences");
}

#[test]
fn candidates_that_are_rejected_leave_no_trace() {
    let tokenizer = small(LlamaOptions::default());
    let never = Toy {
        every: 3,
        verdict: |_| Verdict::Contradicted,
    };
    for model in models() {
        for seed in 0..3 {
            let begun = || prefix(&model, seed);
            let whole = plain(begun(), &tokenizer, &settings(60));
            for settings in various(&whole) {
                let pieces = verified((begun(), &tokenizer), &settings, never, 3);
                assert_eq!(joined(&pieces), plain(begun(), &tokenizer, &settings));
                assert!(pieces.iter().all(|piece| !piece.stands));
            }
        }
    }
}

#[test]
fn what_is_not_marked_stands_and_what_came_before_the_first_fault_is_kept() {
    let tokenizer = small(LlamaOptions::default());
    let toy = Toy {
        every: 3,
        verdict: by_length,
    };
    let mut marked = [0, 0];
    for model in models() {
        for seed in 0..6 {
            let begun = || (prefix(&model, seed), &tokenizer);
            let plain = verified(begun(), &settings(80), toy, 0);
            let drawn = verified(begun(), &settings(80), toy, 3);
            assert_eq!(drawn, verified(begun(), &settings(80), toy, 3));
            let settled =
                |piece: &&VerifiedPiece| matches!(by_length(&piece.text), Verdict::Stands { .. });
            let kept = plain.iter().take_while(settled).count();
            assert_eq!(plain[..kept], drawn[..kept]);
            for pieces in [&plain, &drawn] {
                for piece in pieces {
                    assert_eq!(piece.stands, by_length(&piece.text).stands(), "{piece:?}");
                }
            }
            for (count, pieces) in marked.iter_mut().zip([&plain, &drawn]) {
                *count += pieces.iter().filter(|piece| !piece.stands).count();
            }
        }
    }
    assert!(marked[1] < marked[0], "{marked:?}");
}

#[test]
fn a_prefix_that_goes_on_from_a_candidate_is_one_that_never_saw_another() {
    for model in models() {
        let mut prefix = prefix(&model, 1);
        let (start, scores) = (prefix.tokens().len(), prefix.scores().to_vec());
        prefix.push(&[90, 91, 92]).unwrap();
        let mut batch = BatchPrefix::of_prefix(&prefix, start, &scores, 3);
        for next in [
            [Some(100), Some(101), Some(102)],
            [None, Some(104), Some(105)],
        ] {
            batch.push(&next).unwrap();
        }
        let end = batch.scores()[1].clone();
        batch.push(&[None, Some(106), None]).unwrap();
        batch.go_on_in(&mut prefix, 1, (start + 2, end));
        let tokens = [&[1, 61, 70, 83][..], &[101, 104]].concat();
        assert_eq!(prefix.tokens(), tokens);
        let mut fresh = Prefix::new(&model, &tokens, None).unwrap();
        for token in [110, 111] {
            for (a, b) in prefix.scores().iter().zip(fresh.scores()) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
            prefix.push(&[token]).unwrap();
            fresh.push(&[token]).unwrap();
        }
    }
}

#[test]
fn a_text_that_goes_astray_ends_and_is_marked() {
    let tokenizer = small(LlamaOptions::default());
    let [_, model] = models();
    let endless = Toy {
        every: u32::MAX,
        verdict: |_| Verdict::Astray,
    };
    let astray = Toy {
        every: 3,
        ..endless
    };
    // Texts that do not end of themselves at once.
    let long = GenerationSettings {
        repetition_penalty: 1.3,
        ..settings(900)
    };
    let mut cut = 0;
    for seed in 0..8 {
        let begun = || (prefix(&model, seed), &tokenizer);
        let whole = plain(prefix(&model, seed), &tokenizer, &long);
        for toy in [endless, astray] {
            let pieces = verified(begun(), &long, toy, 2);
            assert!(pieces.len() <= 2 && pieces.iter().all(|piece| !piece.stands));
            assert!(whole.starts_with(&joined(&pieces)));
            cut += u32::from(joined(&pieces).len() < whole.len());
            // Nothing is cut off where nothing is drawn.
            assert_eq!(joined(&verified(begun(), &long, toy, 0)), whole);
        }
    }
    assert!(cut > 0, "every text was short");
}
