//! What a sentence claims of each unit, and what it denies.

use expllm_core::{ActionUnit, Side};

use super::followers;
use super::lexicon::{Action, Degree, Mark};
use super::mood::Mood;
use super::movement::{PartKind, Share};
use super::pairing::{Pair, is_aside, pairs};
use super::parts::{NamedSide, Part, side_of};
use super::sentence::Sentence;

/// A denial reaches this many words.
const DENIAL_REACH: usize = 5;

/// What a face lacks may be a list.
const LACK_REACH: usize = 9;

/// Units claimed or denied by one phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// The units on the sides that are named.
    pub units: Vec<ActionUnit>,
    /// Whether all of them are spoken of, or at least one.
    pub share: Share,
    pub claimed: bool,
    /// The strength of each unit, where a word for it stands there.
    pub strengths: Vec<Option<Degree>>,
    /// The part that is said to move.
    pub part: PartKind,
    /// Where the action stands, in words.
    pub at: usize,
    /// What the part does.
    pub action: Action,
}

/// What the sentence before was about.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub parts: Vec<Part>,
    pub claims: Vec<Claim>,
}

/// Every claim of a sentence.
pub(super) fn claims(sentence: &Sentence, before: &Before) -> Vec<Claim> {
    let mut pairs = pairs(sentence, &before.parts);
    pairs.sort_by_key(|pair| pair.at);
    let mut found: Vec<Claim> = pairs
        .iter()
        .filter_map(|pair| claim(sentence, pair))
        .collect();
    let has_pull = |own: &Claim| {
        let units = &own.units;
        found
            .iter()
            .any(|c| c.at != own.at && c.claimed && units.iter().any(|u| c.units.contains(u)))
    };
    // "The left corner rises, indicating a smile" tells one movement.
    let told: Vec<bool> = found
        .iter()
        .map(|c| c.action == Action::Smile && has_pull(c))
        .collect();
    let mut told = told.into_iter();
    found.retain(|_| told.next() != Some(true));
    let others = followers::claims(sentence, &before.claims, &found);
    found.extend(others);
    found
}

fn claim(sentence: &Sentence, pair: &Pair) -> Option<Claim> {
    let claimed = match sentence.moods[pair.at] {
        Mood::Supposed => return None,
        Mood::Missing => !pair.movement.claimed,
        Mood::Told => pair.movement.claimed != is_denied(sentence, pair),
    };
    let action = pair.action;
    let is_opinion = action == Action::Smile && !claimed && names_kind(sentence, pair.at);
    if is_opinion || is_nearly(sentence, pair) {
        return None;
    }
    let side = side(sentence, pair);
    let mut share = match side {
        Some(NamedSide::One) => Share::Any,
        _ => pair.movement.share,
    };
    if side.is_none() && is_gesture_noun(sentence.word(pair.at)) {
        share = Share::Any;
    }
    let units: Vec<_> = pair
        .movement
        .units
        .iter()
        .copied()
        .filter(|&u| on_side(u, side))
        .collect();
    let strengths = units
        .iter()
        .map(|u| strength(sentence, pair, u.side()))
        .collect();
    let (part, at) = (pair.part.kind, pair.at);
    Some(Claim {
        units,
        share,
        claimed,
        strengths,
        part,
        at,
        action,
    })
}

/// A squint or a frown may be one-sided; a smile that is needs a word for it.
fn is_gesture_noun(word: &str) -> bool {
    matches!(word, "squint" | "frown" | "wink" | "scowl")
}

/// "It is no smile", "not a complete smile": an opinion on what a movement amounts to.
fn names_kind(sentence: &Sentence, at: usize) -> bool {
    (at.saturating_sub(4)..at).any(|i| {
        matches!(
            sentence.word(i),
            "is" | "isn't" | "forming" | "form" | "forms" | "quite" | "makes"
        )
    }) && !(at.saturating_sub(4)..at).any(|i| sentence.word(i) == "there")
}

/// "Barely any smile", "hardly pulled".
fn is_nearly(sentence: &Sentence, pair: &Pair) -> bool {
    let (first, last) = pair.span();
    (first.saturating_sub(2)..=last).any(|at| {
        sentence.is(at, Mark::Nearly)
            && (sentence.word(at) != "barely"
                || matches!(sentence.word(at + 1), "any" | "a" | "an"))
    })
}

fn on_side(unit: ActionUnit, side: Option<NamedSide>) -> bool {
    !matches!(
        (unit.side(), side),
        (Side::Left, Some(NamedSide::Right)) | (Side::Right, Some(NamedSide::Left))
    )
}

fn is_denied(sentence: &Sentence, pair: &Pair) -> bool {
    let (first, last) = pair.span();
    for (reach, at) in (0..first).rev().enumerate() {
        let opens = sentence.is(at, Mark::Clause) || sentence.is(at, Mark::Soft);
        if sentence.breaks(at) || opens || reach >= LACK_REACH {
            break;
        }
        let lacks = sentence.word(at).starts_with("lack") || sentence.word(at) == "misses";
        if denies(sentence, at) && (reach < DENIAL_REACH || lacks) {
            return true;
        }
    }
    goes_on_denying(sentence, first)
        || (first..=last).any(|at| {
            denies(sentence, at) && !is_aside(sentence, at) && !is_put_right(sentence, at, last)
        })
        || is_missed(sentence, last)
}

/// "Nothing pinches the brows or stretches the lips".
fn goes_on_denying(sentence: &Sentence, first: usize) -> bool {
    let start = sentence.clause_of(first).start;
    matches!(sentence.word(start), "nothing" | "neither")
        && (start..=first).any(|at| sentence.word(at) == "or")
}

/// "Not lowered but raised": behind "but" the denial has ended.
fn is_put_right(sentence: &Sentence, denial: usize, last: usize) -> bool {
    (denial + 1..last).any(|at| sentence.word(at) == "but")
}

/// "Lowered brows are missing", "the wrinkled nose that disgust calls for is absent".
fn is_missed(sentence: &Sentence, last: usize) -> bool {
    const FAR: usize = 8;
    (last + 1..sentence.len().min(last + 1 + FAR))
        .take_while(|&at| !sentence.breaks(at) || matches!(sentence.word(at + 1), "is" | "are"))
        .filter(|&at| sentence.is(at, Mark::Missing))
        .any(|at| {
            at <= last + 3 || matches!(sentence.word(at - 1), "is" | "are" | "remains" | "remain")
        })
}

fn denies(sentence: &Sentence, at: usize) -> bool {
    let next = sentence.word(at + 1);
    sentence.is(at, Mark::Deny)
        || matches!(
            (sentence.word(at), next),
            ("rather", "than") | ("instead", "of")
        )
}

fn side(sentence: &Sentence, pair: &Pair) -> Option<NamedSide> {
    let own = pair.part.side.filter(|&s| s != NamedSide::One);
    if own.is_some() && pair.part.kind != PartKind::Jaw {
        return own;
    }
    let (first, last) = pair.span();
    let stops = |at: usize| stops(sentence, pair, at);
    let before = (0..first).rev().take_while(|&at| !stops(at)).take(5);
    let after = (last + 1..sentence.len())
        .take_while(|&at| !stops(at))
        .take(9);
    before
        .chain(first..=last)
        .chain(after)
        .filter(|&at| !is_aside(sentence, at))
        .fold(None, |side, at| side_of(sentence.word(at), side))
        .or(pair.part.side)
}

/// Back to the start of the phrase, on to the end of the clause, but not into another part's.
fn stops(sentence: &Sentence, pair: &Pair, at: usize) -> bool {
    let own = |p: &Part| *p == pair.part || p.kind == PartKind::Side;
    let joins = sentence.word(at) == "and" && !joins_sides(sentence, at + 1);
    sentence.breaks(at)
        || joins
        || sentence.is(at, Mark::Clause)
        || sentence.is(at, Mark::Soft)
        || sentence.part_at(at).is_some_and(|p| !own(p))
}

/// "... on the left and on the right".
fn joins_sides(sentence: &Sentence, at: usize) -> bool {
    matches!(sentence.word(at), "right" | "left" | "to")
        || sentence.word(at) == "on" && matches!(sentence.word(at + 2), "right" | "left")
}

/// The nearest word of strength, first beside the unit's side, then around the pair.
fn strength(sentence: &Sentence, pair: &Pair, unit_side: Side) -> Option<Degree> {
    let (first, last) = pair.span();
    let other_part = |at: usize| sentence.part_at(at).is_some_and(|p| *p != pair.part);
    let stop = |at: usize| sentence.breaks(at) || other_part(at);
    let strength = |at: usize| sentence.sense(at).strength;
    beside_side(sentence, pair, unit_side)
        .or_else(|| nearest_strength(sentence, pair))
        .or_else(|| (first..=last).find_map(strength))
        .or_else(|| {
            (0..first)
                .rev()
                .take_while(|&at| !stop(at) && !parts_phrases(sentence.word(at)))
                .take(4)
                .find_map(strength)
        })
        .or_else(|| {
            let filler = |at: &usize| {
                matches!(
                    sentence.word(*at),
                    "to" | "the" | "left" | "right" | "sides" | "an" | "a"
                )
            };
            (last + 1..sentence.len())
                .take_while(|&at| !stop(at))
                .filter(|at| !filler(at))
                .take(2)
                .filter(|&at| !describes_next(sentence, at))
                .find_map(strength)
        })
        .or_else(|| list_strength(sentence, first))
}

/// The word of strength that stands nearest to the movement: "lowered moderately and raised slightly".
fn nearest_strength(sentence: &Sentence, pair: &Pair) -> Option<Degree> {
    const NEAR: usize = 3;
    let ends = |i: usize| {
        sentence.breaks(i)
            || parts_phrases(sentence.word(i))
            || sentence.part_at(i).is_some_and(|part| *part != pair.part)
    };
    let free = |from: usize, to: usize| !(from..to).any(ends);
    let before = (pair.at.saturating_sub(NEAR)..pair.at).filter(|&i| free(i + 1, pair.at));
    let after = (pair.at + 1..sentence.len().min(pair.at + 1 + NEAR))
        .filter(|&i| free(pair.at + 1, i + 1) && !describes_next(sentence, i));
    let has =
        |i: &usize| sentence.sense(*i).strength.is_some() && !describes_other(sentence, pair, *i);
    let mut found: Vec<usize> = before.chain(after).filter(has).collect();
    found.sort_by_key(|&i| i.abs_diff(pair.at));
    found.first().and_then(|&i| sentence.sense(i).strength)
}

/// Words between two phrases of which each has a strength of its own.
fn parts_phrases(word: &str) -> bool {
    matches!(
        word,
        "and" | "while" | "with" | "over" | "above" | "under" | "below" | "beneath" | "beside"
    )
}

/// A word of strength right before another movement than that of the pair.
fn describes_other(sentence: &Sentence, pair: &Pair, at: usize) -> bool {
    at + 1 != pair.at && sentence.sense(at + 1).action.is_some()
}

/// "Rounded lips over a slightly open jaw": the word belongs to what follows it.
fn describes_next(sentence: &Sentence, at: usize) -> bool {
    sentence.part_at(at + 1).is_some() || sentence.sense(at + 1).action.is_some()
}

/// "..., slightly on the left and markedly on the right" after the pair.
fn beside_side(sentence: &Sentence, pair: &Pair, unit_side: Side) -> Option<Degree> {
    let side = match unit_side {
        Side::Left => "left",
        Side::Right => "right",
        Side::Both => return None,
    };
    let (_, last) = pair.span();
    let other_part = |at: usize| sentence.part_at(at).is_some_and(|p| *p != pair.part);
    (last + 1..sentence.len().min(last + 14))
        .take_while(|&at| sentence.word(at) != ";" && !other_part(at))
        .filter(|&at| sentence.word(at) == side)
        .filter(|&at| matches!(sentence.word(at.saturating_sub(2)), "on" | "to"))
        .find_map(|at| sentence.sense(at.saturating_sub(3)).strength)
}

/// "Strongly active: left eye closed, jaw dropped; ..." puts one word before a list.
fn list_strength(sentence: &Sentence, first: usize) -> Option<Degree> {
    let start = (0..first)
        .rev()
        .find(|&at| sentence.word(at) == ";")
        .map_or(0, |at| at + 1);
    let is_list = sentence.word(start + 1) == "active" && sentence.word(start + 2) == ":";
    is_list.then(|| sentence.sense(start).strength).flatten()
}
