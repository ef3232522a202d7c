//! What a text says does not move at all: "the upper face is still", "nothing else moves".

use expllm_core::{ActionUnit as Au, Side};

use super::lexicon::Mark;
use super::mood::Mood;
use super::movement::PartKind;
use super::parts::{NamedSide, Part};
use super::rest;
use super::sentence::Sentence;

/// Part of a face that is said to be still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stillness {
    /// The units that would move it.
    pub units: Vec<Au>,
    /// Whether the movements that the text tells are excepted: "nothing else", "the rest".
    pub but_for_told: bool,
    /// Whether only a visible movement would contradict it: "the mouth hangs loosely".
    pub loosely: bool,
}

/// Everything that a sentence says is still.
pub(super) fn stillness(sentence: &Sentence) -> Vec<Stillness> {
    let parts = sentence.parts.iter().filter(|part| {
        sentence.moods[part.start] == Mood::Told && is_still(sentence, part.end + 1)
    });
    let mut found: Vec<_> = parts.map(of_part).collect();
    found.extend(whole(sentence));
    found.extend(rest::phrases(sentence));
    found.retain(|still| !still.units.is_empty());
    found
}

/// Whether the verb behind a subject says that it rests.
fn is_still(sentence: &Sentence, from: usize) -> bool {
    let clause_end = sentence.clause_of(from.saturating_sub(1)).end;
    let Some(verb) = verb_behind(sentence, from, clause_end) else {
        return false;
    };
    let rests = |at: usize| {
        sentence.is(at, Mark::Still) || sentence.word(at) == "part" && sentence.word(at - 1) == "no"
    };
    match sentence.word(verb) {
        "do" | "does" => sentence.word(verb + 1) == "not" && sentence.is(verb + 2, Mark::Moving),
        "is" | "are" | "stay" | "stays" | "remain" | "remains" | "take" | "takes" => {
            let near = verb + 1..clause_end.min(verb + 4);
            !near.clone().any(|i| sentence.word(i) == "not") && near.clone().any(rests)
        }
        _ => false,
    }
}

/// The verb of a subject that ends here, behind further parts joined to it.
fn verb_behind(sentence: &Sentence, from: usize, end: usize) -> Option<usize> {
    (from..end)
        .find(|&at| sentence.is(at, Mark::Finite))
        .filter(|&verb| {
            (from..verb).all(|at| {
                let word = sentence.word(at);
                let joins = matches!(
                    word,
                    "and" | "," | "or" | "the" | "both" | "nor" | "upper" | "lower"
                );
                joins
                    || sentence.part_at(at).is_some()
                    || word.ends_with("ly")
                    || sentence.is(at, Mark::Determiner)
            })
        })
}

fn of_part(part: &Part) -> Stillness {
    use PartKind as P;
    let beside = match part.side {
        Some(NamedSide::Left) => Some(Side::Right),
        Some(NamedSide::Right) => Some(Side::Left),
        _ => None,
    };
    let on_side = |unit: &Au| beside != Some(unit.side());
    let units = Au::ALL
        .into_iter()
        .filter(on_side)
        .filter(|&unit| match part.kind {
            P::Brow | P::InnerBrow => is_of(unit, &["brow"]),
            P::Eye | P::Lid | P::LowerLid => is_of(unit, &["eye", "lid"]),
            P::Jaw => is_of(unit, &["jaw"]),
            P::Mouth => is_of(unit, &["lip", "jaw", "dimple"]),
            P::Corner => is_of(unit, &["lip corner", "dimple"]),
            P::Lips | P::Lip => is_of(unit, &["lip"]) && !is_of(unit, &["corner"]),
            P::UpperLip => is_of(unit, &["upper lip"]),
            P::LowerLip => is_of(unit, &["lower lip"]),
            P::Cheek => is_of(unit, &["cheek"]),
            P::Chin => is_of(unit, &["chin"]),
            P::Nose => is_of(unit, &["nose"]),
            P::Side => false,
        });
    Stillness {
        units: units.collect(),
        but_for_told: false,
        loosely: false,
    }
}

fn is_of(unit: Au, words: &[&str]) -> bool {
    words.iter().any(|word| unit.info().movement.contains(word))
}

const UPPER_FACE: &[&str] = &["brow", "eye", "lid"];

/// "Nothing else moves", "the upper face is still", "no other movement is visible".
fn whole(sentence: &Sentence) -> Option<Stillness> {
    // "No movement reaches a visible level" denies nothing below that level.
    // "No movement is more than slight" denies none.
    let bounded = |at: usize| {
        let word = sentence.word(at);
        word.starts_with("visibl")
            || matches!(
                word,
                "more" | "beyond" | "equals" | "exceeds" | "made" | "plain" | "named"
            )
    };
    if (0..sentence.len()).any(bounded) {
        return None;
    }
    let found = (0..sentence.len()).find_map(|at| at_word(sentence, at))?;
    let (region, but_for_told) = found;
    let units = Au::ALL.into_iter().filter(|&unit| match region {
        Region::Face => true,
        Region::Upper => is_of(unit, UPPER_FACE),
        Region::Lower => !is_of(unit, UPPER_FACE),
    });
    Some(Stillness {
        units: units.collect(),
        but_for_told,
        loosely: false,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Region {
    Face,
    Upper,
    Lower,
}

fn at_word(sentence: &Sentence, at: usize) -> Option<(Region, bool)> {
    if sentence.moods[at] != Mood::Told {
        return None;
    }
    let next = |by: usize| sentence.word(at + by);
    let moves = |from: usize| sentence.is(from, Mark::Moving);
    match sentence.word(at) {
        "nothing" if next(1) == "else" && moves(at + 2) => Some((Region::Face, true)),
        "nothing" if moves(at + 1) && next(2) == "below" => Some((Region::Lower, false)),
        "nothing" if moves(at + 1) && next(2) == "above" => Some((Region::Upper, false)),
        "nothing" if moves(at + 1) => Some((Region::Face, false)),
        "no" if next(1) == "other" && matches!(next(2), "movement" | "part") => {
            Some((Region::Face, true))
        }
        "no" if next(1) == "movement" && next(2) != "of" && next(2) != "in" => {
            Some((Region::Face, false))
        }
        "no" if next(1) == "part" && next(4) == "face" => Some((Region::Face, false)),
        "only" if next(1) == "movement" => Some((Region::Face, true)),
        "rest" if next(1) == "of" && next(3) == "face" && is_still(sentence, at + 4) => {
            Some((Region::Face, true))
        }
        "face" if is_still(sentence, at + 1) => {
            let before = sentence.word(at.saturating_sub(1));
            match before {
                "upper" => Some((Region::Upper, false)),
                "lower" => Some((Region::Lower, false)),
                "the" | "whole" | "this" if sentence.word(at.saturating_sub(2)) != "of" => {
                    Some((Region::Face, false))
                }
                _ => None,
            }
        }
        _ => None,
    }
}
