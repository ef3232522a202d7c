//! Pairs words of movement with parts of the face within one sentence.

use expllm_core::{ActionUnit, Side, Strength};

use super::lexicon::{self, Action, Movement, PartKind};
use super::parts::{NamedSide, Part, parts, side_of, word};
use super::tokens::Token;

/// A part and an action further apart than this do not belong together.
const FARTHEST: i32 = 9;

/// A denial reaches this many words.
const DENIAL_REACH: usize = 5;

/// One unit claimed or denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub unit: ActionUnit,
    pub claimed: bool,
    pub strength: Option<Strength>,
}

/// An action of a part.
#[derive(Debug, Clone, Copy)]
struct Pair {
    part: Part,
    at: usize,
    movement: Movement,
}

/// Every claim of a sentence, each unit and polarity once.
pub(super) fn claims(tokens: &[Token]) -> Vec<Claim> {
    let parts = parts(tokens);
    let mut found: Vec<Claim> = Vec::new();
    for pair in pairs(tokens, &parts) {
        let claimed = pair.movement.claimed != is_denied(tokens, &pair);
        let side = side(tokens, &parts, &pair);
        for &unit in pair.movement.units.iter().filter(|u| on_side(**u, side)) {
            let strength = strength(tokens, &parts, &pair, unit.side());
            match found
                .iter_mut()
                .find(|c| c.unit == unit && c.claimed == claimed)
            {
                Some(same) => same.strength = same.strength.or(strength),
                None => found.push(Claim {
                    unit,
                    claimed,
                    strength,
                }),
            }
        }
    }
    found
}

fn on_side(unit: ActionUnit, side: Option<NamedSide>) -> bool {
    !matches!(
        (unit.side(), side),
        (Side::Left, Some(NamedSide::Right)) | (Side::Right, Some(NamedSide::Left))
    )
}

fn pairs(tokens: &[Token], parts: &[Part]) -> Vec<Pair> {
    let mut found: Vec<Pair> = Vec::new();
    for at in 0..tokens.len() {
        if parts.iter().any(|p| (p.start..=p.end).contains(&at)) {
            continue;
        }
        let before = at.checked_sub(1).map_or("", |b| word(tokens, b));
        let Some(action) = lexicon::action(before, word(tokens, at), word(tokens, at + 1)) else {
            continue;
        };
        match best_part(tokens, parts, at, action) {
            Some(pair) => found.push(pair),
            None => found.extend(standing_alone(tokens, at, action)),
        }
    }
    let shared: Vec<_> = found
        .iter()
        .flat_map(|p| coordinated(tokens, parts, &found, p))
        .collect();
    found.extend(shared);
    found
}

fn best_part(tokens: &[Token], parts: &[Part], at: usize, action: Action) -> Option<Pair> {
    parts
        .iter()
        .filter_map(|&part| {
            let movement = lexicon::movement(part.kind, action)?;
            let weak = if part.kind == PartKind::Side { 6 } else { 0 };
            let cost = cost(tokens, parts, part, at) + weak;
            let farthest = if action == Action::Open { 5 } else { FARTHEST };
            (cost <= farthest).then_some((cost, Pair { part, at, movement }))
        })
        .min_by_key(|(cost, _)| *cost)
        .map(|(_, pair)| pair)
}

/// Words, marks and other parts between an action and a part.
fn cost(tokens: &[Token], parts: &[Part], part: Part, at: usize) -> i32 {
    let (from, to) = if at < part.start {
        (at + 1, part.start)
    } else {
        (part.end + 1, at)
    };
    let mut cost = 0;
    for between in from..to {
        let text = word(tokens, between);
        cost += match text {
            ";" => 50,
            "," | ":" | "—" => 4,
            "(" | ")" => 1,
            _ if lexicon::starts_clause(text) => 4,
            "and" => 2,
            _ => 1,
        };
        let other = |p: &&Part| p.start == between && p.kind != PartKind::Side;
        cost += if parts.iter().any(|p| other(&p)) {
            3
        } else {
            0
        };
    }
    cost
}

/// Smiles and squints need no part.
fn standing_alone(tokens: &[Token], at: usize, action: Action) -> Option<Pair> {
    let kind = match action {
        Action::Smile => PartKind::Corner,
        Action::Squint if word(tokens, at).starts_with("squint") => PartKind::Eye,
        _ => return None,
    };
    let part = Part {
        kind,
        start: at,
        end: at,
        side: None,
    };
    let movement = lexicon::movement(kind, action)?;
    Some(Pair { part, at, movement })
}

/// Parts that share the action of a neighbour: "elevated eyelids and brows".
fn coordinated(tokens: &[Token], parts: &[Part], pairs: &[Pair], pair: &Pair) -> Vec<Pair> {
    let before = pair.at.checked_sub(1).map_or("", |b| word(tokens, b));
    let Some(action) = lexicon::action(before, word(tokens, pair.at), word(tokens, pair.at + 1))
    else {
        return Vec::new();
    };
    parts
        .iter()
        .filter(|p| !pairs.iter().any(|other| other.part == **p))
        .filter(|p| {
            let leads = pair.at < pair.part.start && pair.part.end < p.start;
            let follows = p.end < pair.part.start && pair.part.end < pair.at;
            (leads && joined(tokens, pair.part.end, p.start))
                || (follows && joined(tokens, p.end, pair.part.start))
        })
        .filter_map(|&part| {
            let movement = lexicon::movement(part.kind, action)?;
            Some(Pair {
                part,
                at: pair.at,
                movement,
            })
        })
        .collect()
}

/// Whether only "and", a comma and words of side stand between.
fn joined(tokens: &[Token], end: usize, start: usize) -> bool {
    let mut words = (end + 1..start).map(|at| word(tokens, at));
    (end + 1..start).any(|at| matches!(word(tokens, at), "and" | "or"))
        && words.all(|w| matches!(w, "and" | "or" | "," | "both" | "the" | "left" | "right"))
}

fn is_denied(tokens: &[Token], pair: &Pair) -> bool {
    let first = pair.at.min(pair.part.start);
    let last = pair.at.max(pair.part.end);
    for (reach, at) in (0..first).rev().enumerate() {
        let text = word(tokens, at);
        if tokens[at].is_break || lexicon::starts_clause(text) || reach >= DENIAL_REACH {
            break;
        }
        if lexicon::denies(text) || is_instead(tokens, at) {
            return true;
        }
    }
    (first..=last).any(|at| lexicon::denies(word(tokens, at)))
        || (last + 1..=last + 3)
            .take_while(|&at| tokens.get(at).is_some_and(|t| !t.is_break))
            .any(|at| lexicon::denies_before(word(tokens, at)))
}

/// "rather than" and "instead of".
fn is_instead(tokens: &[Token], at: usize) -> bool {
    let next = word(tokens, at + 1);
    matches!(
        (word(tokens, at), next),
        ("rather", "than") | ("instead", "of")
    )
}

fn side(tokens: &[Token], parts: &[Part], pair: &Pair) -> Option<NamedSide> {
    if pair.part.side.is_some() && pair.part.kind != PartKind::Jaw {
        return pair.part.side;
    }
    let first = pair.at.min(pair.part.start);
    let last = pair.at.max(pair.part.end);
    // Back to the start of the phrase, on to the end of the clause, but not into another part's.
    let stops = |at: usize| {
        let own = |p: &Part| *p == pair.part || p.kind == PartKind::Side;
        tokens[at].is_break
            || word(tokens, at) == "and" && !matches!(word(tokens, at + 1), "right" | "left" | "to")
            || lexicon::starts_clause(word(tokens, at))
            || parts
                .iter()
                .any(|p| !own(p) && (p.start..=p.end).contains(&at))
    };
    let before = (0..first).rev().take_while(|&at| !stops(at)).take(5);
    let after = (last + 1..tokens.len())
        .take_while(|&at| !stops(at))
        .take(9);
    before
        .chain(first..=last)
        .chain(after)
        .fold(None, |side, at| side_of(word(tokens, at), side))
}

/// The nearest word of strength, first beside the unit's side, then around the pair.
fn strength(tokens: &[Token], parts: &[Part], pair: &Pair, unit_side: Side) -> Option<Strength> {
    let first = pair.at.min(pair.part.start);
    let last = pair.at.max(pair.part.end);
    let side = match unit_side {
        Side::Left => "left",
        Side::Right => "right",
        Side::Both => "",
    };
    let other_part = |at: usize| {
        parts
            .iter()
            .any(|p| *p != pair.part && (p.start..=p.end).contains(&at))
    };
    // "..., slightly on the left and markedly on the right" after the pair.
    let tail = (last + 1..tokens.len().min(last + 14))
        .take_while(|&at| word(tokens, at) != ";" && !other_part(at))
        .filter(|&at| word(tokens, at) == side)
        .find_map(|at| {
            let from = at.saturating_sub(3);
            let on = matches!(word(tokens, at.saturating_sub(2)), "on" | "to");
            on.then(|| lexicon::strength(word(tokens, from))).flatten()
        });
    let stop = |at: usize| tokens[at].is_break || other_part(at);
    let inside = (first..=last).find_map(|at| lexicon::strength(word(tokens, at)));
    let before = (0..first)
        .rev()
        .take_while(|&at| !stop(at) && word(tokens, at) != "and")
        .take(4)
        .find_map(|at| lexicon::strength(word(tokens, at)));
    let after = (last + 1..tokens.len())
        .take_while(|&at| !stop(at))
        .filter(|&at| !matches!(word(tokens, at), "to" | "the" | "left" | "right" | "sides"))
        .take(2)
        .find_map(|at| lexicon::strength(word(tokens, at)));
    tail.or(inside)
        .or(before)
        .or(after)
        .or_else(|| list_strength(tokens, first))
}

/// "Strongly active: left eye closed, jaw dropped; ..." puts one word before a list.
fn list_strength(tokens: &[Token], first: usize) -> Option<Strength> {
    let start = (0..first)
        .rev()
        .find(|&at| word(tokens, at) == ";")
        .map_or(0, |at| at + 1);
    let is_list = word(tokens, start + 1) == "active" && word(tokens, start + 2) == ":";
    is_list
        .then(|| lexicon::strength(word(tokens, start)))
        .flatten()
}
