//! The other side, without its movement: "... and the right does not follow".

use expllm_core::Side;

use super::claims::Claim;
use super::lexicon::Mark;
use super::mood::Mood;
use super::movement::{PartKind, Share};
use super::pairing::is_aside;
use super::parts::NamedSide;
use super::sentence::Sentence;

/// What a sentence says of the other side of a claim, its own or one of the sentence before.
pub(super) fn claims(sentence: &Sentence, before: &[Claim], found: &[Claim]) -> Vec<Claim> {
    let told = (1..sentence.len()).filter(|&at| sentence.moods[at] == Mood::Told);
    told.filter_map(|at| {
        let (side, part) = other_side(sentence, at)?;
        let earlier = found.iter().filter(|c| c.at < at || is_aside(sentence, at));
        let mut models = before.iter().chain(earlier).rev();
        let of_part = |claim: &Claim| part.is_none_or(|part| part == claim.part);
        let model = models.find(|c| c.claimed && is_of(c, side) && of_part(c))?;
        follow(model, side, polarity(sentence, at)?)
    })
    .collect()
}

/// The side that a word names without a movement, and the part that it names with it.
fn other_side(sentence: &Sentence, at: usize) -> Option<(Side, Option<PartKind>)> {
    if let Some(part) = sentence.part_at(at).filter(|p| p.end == at) {
        let side = match part.side? {
            NamedSide::Left => Side::Left,
            NamedSide::Right => Side::Right,
            NamedSide::Both | NamedSide::One => return None,
        };
        let follows = sentence.word(at + 1).starts_with("follow");
        return follows.then_some((side, Some(part.kind)));
    }
    let side = match sentence.word(at) {
        "left" => Side::Left,
        "right" => Side::Right,
        _ => return None,
    };
    let is_alone = sentence.word(at - 1) == "the"
        && sentence.part_at(at + 1).is_none()
        && !matches!(sentence.word(at + 1), "side" | "lip" | "upper" | "lower")
        && !matches!(
            sentence.word(at.saturating_sub(2)),
            "on" | "to" | "at" | "of"
        );
    is_alone.then_some((side, None))
}

/// Whether a claim is about the other side alone.
fn is_of(claim: &Claim, side: Side) -> bool {
    matches!(claim.units[..], [unit] if unit.side() != Side::Both && unit.side() != side)
}

fn follow(model: &Claim, side: Side, claimed: bool) -> Option<Claim> {
    let unit = model.units.first()?.mirrored();
    (unit.side() == side).then(|| Claim {
        units: vec![unit],
        share: Share::Each,
        claimed,
        strengths: vec![None],
        ..*model
    })
}

/// Whether the side moves too; `None` where the sentence says neither.
fn polarity(sentence: &Sentence, at: usize) -> Option<bool> {
    let clause = sentence.clause_of(at);
    let until = (at + 1..clause.end)
        .find(|&i| sentence.breaks(i))
        .unwrap_or(clause.end);
    let denies = |i: usize| {
        sentence.is(i, Mark::Deny)
            || sentence.is(i, Mark::Still)
            || sentence.word(i).starts_with("stay")
    };
    let denied = (clause.start..at)
        .rev()
        .take(4)
        .any(|i| sentence.is(i, Mark::Deny))
        || (at + 1..until.min(at + 5)).any(denies);
    let follows = (at + 1..until.min(at + 4)).any(|i| sentence.word(i).starts_with("follow"));
    match (denied, follows) {
        (true, _) => Some(false),
        (_, true) => Some(true),
        _ => None,
    }
}
