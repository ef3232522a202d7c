//! Parts of the face in a sentence.

use super::lexicon::{self, Mark};
use super::movement::PartKind;
use super::tokens::Token;

/// The side that a phrase names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedSide {
    Left,
    Right,
    Both,
    /// One of the two, without saying which: "a lopsided smile".
    One,
}

/// One phrase that names a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub kind: PartKind,
    /// First and last token of the phrase.
    pub start: usize,
    pub end: usize,
    pub side: Option<NamedSide>,
}

/// All phrases that name a part, in order.
pub(super) fn parts(tokens: &[Token]) -> Vec<Part> {
    let mut found: Vec<Part> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some((kind, start, end)) = phrase(tokens, at) else {
            at += 1;
            continue;
        };
        let area = word(tokens, end + 1);
        if !matches!(area, "area" | "areas" | "region" | "regions") {
            // "The upper and lower lip" names two parts.
            if kind == PartKind::LowerLip && word(tokens, end.wrapping_sub(2)) == "and" {
                let upper = end.wrapping_sub(3);
                if word(tokens, upper) == "upper" {
                    let side = None;
                    found.push(Part {
                        kind: PartKind::UpperLip,
                        start: upper,
                        end: upper,
                        side,
                    });
                }
            }
            let side = side_before(tokens, start)
                .or_else(|| side_within(tokens, start, end))
                .or_else(|| single(tokens, start, end));
            found.push(Part {
                kind,
                start,
                end,
                side,
            });
        }
        at = end + 1;
    }
    found
}

pub(super) fn word(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |t| t.text.as_str())
}

/// The part phrase whose first noun stands at `at`.
fn phrase(tokens: &[Token], at: usize) -> Option<(PartKind, usize, usize)> {
    let text = word(tokens, at);
    let before = at.checked_sub(1).map_or("", |b| word(tokens, b));
    let of = |from: usize| {
        let mut next = from + 1;
        if !matches!(word(tokens, next), "of" | "on" | "at") {
            return None;
        }
        next += 1;
        while matches!(word(tokens, next), "the" | "his" | "her" | "their") {
            next += 1;
        }
        Some(next)
    };
    let corner = |text: &str| text == "corner" || text == "corners";
    Some(match text {
        "eye" | "eyes" | "eyed" => (PartKind::Eye, at, at),
        "eyelid" | "eyelids" | "lid" | "lids" => {
            let kind = if before == "lower" {
                PartKind::LowerLid
            } else {
                PartKind::Lid
            };
            let start = if matches!(before, "upper" | "lower") {
                at - 1
            } else {
                at
            };
            (kind, start, at)
        }
        "brow" | "brows" | "eyebrow" | "eyebrows" => brow(tokens, at),
        "jaw" | "jaws" => (PartKind::Jaw, at, at),
        "cheek" | "cheeks" => (PartKind::Cheek, at, at),
        "chin" => (PartKind::Chin, at, at),
        "nose" => (PartKind::Nose, at, at),
        "lip" | "lips" | "mouth" if corner(word(tokens, at + 1)) => (PartKind::Corner, at, at + 1),
        "corner" | "corners" => match of(at) {
            Some(noun) if matches!(word(tokens, noun), "mouth" | "lips" | "lip") => {
                (PartKind::Corner, at, noun)
            }
            _ => (PartKind::Corner, at, at),
        },
        "side" => match of(at) {
            Some(noun) if matches!(word(tokens, noun), "mouth" | "lips" | "lip") => {
                (PartKind::Mouth, at, noun)
            }
            _ => (PartKind::Side, at, at),
        },
        "lip" | "lips" if before == "upper" => (PartKind::UpperLip, at - 1, at),
        "lip" | "lips" if before == "lower" => (PartKind::LowerLip, at - 1, at),
        "lip" if is_head(tokens, at) => (PartKind::Lip, at, at),
        "lip" | "lips" => (PartKind::Lips, at, at),
        "mouth" => (PartKind::Mouth, at, at),
        _ => return None,
    })
}

/// "Inner brows", "the inner sections of the eyebrows", "the inner ends of the brows".
fn brow(tokens: &[Token], at: usize) -> (PartKind, usize, usize) {
    let inner = |from: usize| word(tokens, from) == "inner";
    let sections = at
        .checked_sub(4)
        .filter(|&from| inner(from) && word(tokens, from + 2) == "of");
    match (at.checked_sub(1).filter(|&b| inner(b)), sections) {
        (Some(start), _) | (None, Some(start)) => (PartKind::InnerBrow, start, at),
        _ => (PartKind::Brow, at, at),
    }
}

/// Whether a noun stands for itself and does not describe the next one ("lip corner", "eye
/// closure").
fn is_head(tokens: &[Token], at: usize) -> bool {
    let describes = |next: &Token| {
        let words = [next.text.as_str()];
        lexicon::sense(&words, 0).is(Mark::Compound)
    };
    !tokens.get(at + 1).is_some_and(describes)
}

/// "A stretched corner", "one eye", "the eye that moves": one side, without saying which.
fn single(tokens: &[Token], start: usize, end: usize) -> Option<NamedSide> {
    let noun = word(tokens, end);
    let is_paired = matches!(
        noun,
        "eye" | "brow" | "eyebrow" | "corner" | "lid" | "eyelid" | "cheek"
    );
    let counted = (start.saturating_sub(3)..start)
        .any(|at| matches!(word(tokens, at), "a" | "one" | "single" | "the" | "that"));
    (is_paired && counted && is_head(tokens, end)).then_some(NamedSide::One)
}

/// "left", "left and right" or "both" in front of a phrase.
fn side_before(tokens: &[Token], start: usize) -> Option<NamedSide> {
    let mut side = None;
    for at in (start.saturating_sub(6)..start).rev() {
        match word(tokens, at) {
            "left" => side = merge(side, NamedSide::Left),
            "right" => side = merge(side, NamedSide::Right),
            "both" | "two" => return Some(NamedSide::Both),
            "and" | "the" | "of" | "or" | "outer" | "upper" | "inner" => {}
            _ => break,
        }
    }
    side
}

fn side_within(tokens: &[Token], start: usize, end: usize) -> Option<NamedSide> {
    (start..=end).fold(None, |side, at| side_of(word(tokens, at), side))
}

/// Adds what a word says about the side.
pub(super) fn side_of(word: &str, side: Option<NamedSide>) -> Option<NamedSide> {
    match word {
        "left" | "leftward" => merge(side, NamedSide::Left),
        "right" | "rightward" => merge(side, NamedSide::Right),
        "both" => Some(NamedSide::Both),
        "lopsided" | "crooked" | "one-sided" | "onesided" | "half" | "smirk" | "smirks" => {
            side.or(Some(NamedSide::One))
        }
        _ => side,
    }
}

fn merge(side: Option<NamedSide>, new: NamedSide) -> Option<NamedSide> {
    match side {
        None => Some(new),
        Some(NamedSide::One) => Some(new),
        Some(old) if old == new => Some(old),
        Some(_) => Some(NamedSide::Both),
    }
}
