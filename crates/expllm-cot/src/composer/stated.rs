//! Holds the observations against the units by their own words, without the reader of chains.

use expllm_core::{ActionUnit, AuVector, Expression, ExpressionSet};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Composer;
use super::bank::{Bank, CueWords};
use crate::knowledge::Knowledge;
use crate::reasoning::{Analysis, Extent};

/// Words of strength by band, as the guide has them.
fn strengths(level: f32) -> &'static [&'static str] {
    match level {
        v if v < 0.25 => &["barely", "very slight", "faint", "slight at most"],
        v if v < 0.35 => &["slight", "a little"],
        v if v < 0.6 => &["moderate"],
        v if v < 0.85 => &["marked", "strong"],
        _ => &["fully", "extreme"],
    }
}

/// The part of the face as a clause names it, without articles.
fn parts(words: &CueWords) -> Vec<String> {
    let subjects = words.subjects.iter();
    let bare = subjects.map(|s| s.replacen("both ", "", 1).replacen("the ", "", 1));
    let one =
        ["left", "right"].map(|side| words.one.replace("{side}", side).replacen("the ", "", 1));
    bare.chain(one).filter(|part| !part.is_empty()).collect()
}

/// What the part does: states, verbs and nouns.
fn movements(words: &CueWords) -> Vec<String> {
    let verbs = words.verbs.iter().flat_map(|v| v.split('/'));
    let nouns = words.nouns.iter().map(|n| n.replace("{of}", "of the jaw"));
    // Brows that rise and are lowered as well are knit by a frown.
    let frown = words
        .nouns
        .contains(&"lowering".to_owned())
        .then_some("frown");
    let states = words.state.iter().map(String::as_str).chain(frown);
    states
        .chain(verbs)
        .map(str::to_owned)
        .chain(nouns)
        .collect()
}

fn words(cue: usize, level: f32) -> &'static CueWords {
    let closed = Knowledge::builtin().cues()[cue].name == "eyes" && level >= 0.85;
    Bank::get().cue(cue, closed)
}

fn analysis(units: &AuVector) -> Analysis {
    let set = ExpressionSet::Eight;
    Analysis::new(Knowledge::builtin(), units, Expression::Fear, None, set)
}

/// Every active cue stands in a sentence with its part, its movement and its strength.
fn check_stated(text: &str, units: &AuVector) {
    let face = analysis(units).face;
    let lower = text.to_lowercase();
    let sentences: Vec<&str> = lower.split('.').collect();
    for cue in face.acting.iter() {
        let state = face.state(cue);
        let levels = match state.extent {
            Extent::Uneven => vec![state.left, state.right],
            Extent::Even if (state.left - state.right).abs() >= 0.1 => {
                vec![state.left, state.right]
            }
            _ => vec![state.level()],
        };
        for level in levels {
            let words = words(cue, state.level());
            let stated = sentences.iter().any(|sentence| {
                let has = |list: &[String]| list.iter().any(|w| sentence.contains(w.as_str()));
                has(&parts(words))
                    && has(&movements(words))
                    && strengths(level).iter().any(|w| sentence.contains(w))
            });
            let name = &Knowledge::builtin().cues()[cue].name;
            assert!(stated, "{name} at {level} is not in: {text}");
        }
    }
}

/// No inactive cue is told in any of the forms that the composer has for it.
fn check_nothing_else(text: &str, units: &AuVector) {
    let face = analysis(units).face;
    // The inner brows are another part than the brows.
    let apart = |text: &str| {
        let inner = [
            "inner brows",
            "corners of the brows",
            "corner of the left brow",
            "corner of the right brow",
        ];
        inner.iter().fold(text.to_owned(), |text, part| {
            text.replace(part, "inner~part")
        })
    };
    let lower = apart(&text.to_lowercase());
    let inactive = (0..Knowledge::builtin().cues().len()).filter(|&c| !face.acting.contains(c));
    for cue in inactive {
        let words = words(cue, 0.0);
        for part in parts(words) {
            let part = apart(&part);
            for state in &words.state {
                for how in [
                    "",
                    "barely ",
                    "very slightly ",
                    "slightly ",
                    "moderately ",
                    "markedly ",
                    "strongly ",
                    "fully ",
                ] {
                    for be in ["is", "are"] {
                        let clause = format!("{part} {be} {how}{state}");
                        assert!(!lower.contains(&clause), "{clause} is in: {text}");
                    }
                }
            }
            for noun in &words.nouns {
                let phrase = format!("{noun} of the {part}");
                assert!(!lower.contains(&phrase), "{phrase} is in: {text}");
            }
        }
    }
}

fn random_face(rng: &mut ChaCha8Rng) -> AuVector {
    let share = rng.random_range(0.0..0.4);
    let mut units = AuVector::REST;
    for unit in ActionUnit::ALL.into_iter().filter(|u| u.mirrored() >= *u) {
        if rng.random_bool(share) {
            let value: f32 = rng.random_range(0.0..1.0);
            let other = value + [0.0, 0.02, 0.12, 0.2, -0.3][rng.random_range(0..5)];
            units.set(unit, expllm_core::Intensity::clamped(value));
            units.set(unit.mirrored(), expllm_core::Intensity::clamped(other));
        }
    }
    units
}

#[test]
fn every_active_unit_is_told_with_its_strength_and_no_other() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for seed in 0..1500 {
        let units = random_face(&mut rng);
        let chain = Composer.compose(&units, Expression::Fear, ExpressionSet::Eight, seed);
        let told = &chain.key_observations;
        let listed = [
            "Extreme", "Fully", "Marked", "Moderate", "Slight", "Barely", "Faint",
        ];
        if listed.iter().any(|word| told.starts_with(word))
            || analysis(&units).face.acting.len() > 7
        {
            continue; // A list takes the place of sentences.
        }
        check_stated(&chain.key_observations, &units);
        check_nothing_else(&chain.key_observations, &units);
    }
}
