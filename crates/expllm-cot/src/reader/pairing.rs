//! Pairs words of movement with parts of the face within one sentence.

use super::lexicon::{Action, Mark};
use super::movement::{Movement, PartKind, movement};
use super::parts::Part;
use super::sentence::Sentence;

/// A part and an action further apart than this do not belong together.
const FARTHEST: i32 = 9;

/// What it costs to reach from one clause or mood into another.
const OTHER_CLAUSE: i32 = 4;

/// What it costs to reach behind a word with which a clause begins unmarked.
const NEW_CLAUSE: i32 = 5;

/// An action of a part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub part: Part,
    /// The word that names the action.
    pub at: usize,
    pub action: Action,
    pub movement: Movement,
}

impl Pair {
    /// First and last word of part and action.
    pub(super) fn span(&self) -> (usize, usize) {
        (self.at.min(self.part.start), self.at.max(self.part.end))
    }
}

/// Every action of a sentence with its part; `before` is what the sentence before was about.
pub(super) fn pairs(sentence: &Sentence, before: &[Part]) -> Vec<Pair> {
    let mut found: Vec<Pair> = Vec::new();
    for at in 0..sentence.len() {
        let Some(action) = sentence.sense(at).action else {
            continue;
        };
        if sentence.part_at(at).is_some() {
            continue;
        }
        let pair = best_part(sentence, at, action)
            .or_else(|| standing_alone(sentence, at, action))
            .or_else(|| referring(sentence, before, at, action));
        found.extend(pair.filter(|pair| !is_carried_on(sentence, pair)));
    }
    let shared: Vec<_> = found
        .iter()
        .flat_map(|pair| coordinated(sentence, &found, pair))
        .collect();
    found.extend(shared);
    found
}

fn best_part(sentence: &Sentence, at: usize, action: Action) -> Option<Pair> {
    if belongs_to_neighbour(sentence, at, action) {
        return None;
    }
    let parts = sentence.parts.iter();
    parts
        .filter_map(|&part| {
            let movement = movement(part.kind, action)?;
            let weak = if part.kind == PartKind::Side { 6 } else { 0 };
            let cost = cost(sentence, part, at) + weak;
            let farthest = match action {
                Action::Widen => 4,
                Action::Open | Action::Close => 5,
                _ => FARTHEST,
            };
            (cost <= farthest).then_some((
                cost,
                Pair {
                    part,
                    at,
                    action,
                    movement,
                },
            ))
        })
        .min_by_key(|(cost, _)| *cost)
        .map(|(_, pair)| pair)
}

/// "The brows press hard": a verb right behind a part that it says nothing of is not another part's.
fn belongs_to_neighbour(sentence: &Sentence, at: usize, action: Action) -> bool {
    let word = sentence.word(at);
    let finite = !word.ends_with("ed") && !word.ends_with("ing") && !word.ends_with("ly");
    let subject = at
        .checked_sub(1)
        .and_then(|before| sentence.part_at(before));
    finite
        && action == Action::Press
        && subject.is_some_and(|part| movement(part.kind, action).is_none())
}

/// Words, marks and other parts between an action and a part.
fn cost(sentence: &Sentence, part: Part, at: usize) -> i32 {
    let (from, to) = match at < part.start {
        true => (at + 1, part.start),
        false => (part.end + 1, at),
    };
    let other_mood = sentence.moods[at] != sentence.moods[part.start];
    let start = if other_mood { OTHER_CLAUSE } else { 0 };
    let between = (from..to).filter(|&i| !is_aside(sentence, i));
    start + between.map(|i| step(sentence, i)).sum::<i32>()
}

fn step(sentence: &Sentence, at: usize) -> i32 {
    let word = match sentence.word(at) {
        ";" => 50,
        "," | ":" | "—" => OTHER_CLAUSE,
        "(" | ")" => 1,
        _ if sentence.is(at, Mark::Clause) || sentence.is(at, Mark::Soft) => OTHER_CLAUSE,
        "and" => 2,
        _ => 1,
    };
    let opens = opens_unmarked(sentence, at);
    let word = word + if opens { NEW_CLAUSE } else { 0 };
    let other = |p: &&Part| p.start == at && p.kind != PartKind::Side;
    word + if sentence.parts.iter().any(|p| other(&p)) {
        3
    } else {
        0
    }
}

/// Whether a clause begins here without a word for it, behind another that has its own verb.
fn opens_unmarked(sentence: &Sentence, at: usize) -> bool {
    let mut clauses = sentence.clauses.windows(2);
    let has_verb =
        |pair: &[std::ops::Range<usize>]| pair[0].clone().any(|i| sentence.is(i, Mark::Finite));
    !sentence.is(at, Mark::Clause)
        && !ends_opener(sentence, at)
        && clauses.any(|pair| pair[1].start == at && has_verb(pair))
}

/// "..., and subtly drawn up, the lip ...": what stands before the comma waits for its subject.
fn ends_opener(sentence: &Sentence, at: usize) -> bool {
    let Some(comma) = at.checked_sub(1).filter(|&c| sentence.word(c) == ",") else {
        return false;
    };
    let stretch = (0..comma).rev().take_while(|&i| !sentence.breaks(i));
    let waits = |i: usize| !sentence.is(i, Mark::Finite) && sentence.part_at(i).is_none();
    stretch.clone().all(waits)
        && stretch
            .into_iter()
            .any(|i| sentence.sense(i).action.is_some())
}

/// "The left eye, but not the right, is narrowed": what stands between the commas.
pub(super) fn is_aside(sentence: &Sentence, at: usize) -> bool {
    let opens = |from: usize| {
        sentence.word(from) == ","
            && sentence.word(from + 1) == "but"
            && sentence.word(from + 2) == "not"
            && (from + 3..from + 7).any(|i| sentence.word(i) == ",")
    };
    (at.saturating_sub(6)..=at)
        .any(|from| opens(from) && (from + 1..at).all(|i| sentence.word(i) != ","))
}

/// Smiles, squints and frowns need no part.
fn standing_alone(sentence: &Sentence, at: usize, action: Action) -> Option<Pair> {
    let word = sentence.word(at);
    let kind = match action {
        Action::Smile => PartKind::Corner,
        Action::Squint if word.starts_with("squint") || word.starts_with("wink") => PartKind::Eye,
        // "No smile or frown" is said of the mouth.
        Action::Furrow if sentence.word(at.saturating_sub(2)) == "smile" => return None,
        Action::Furrow if word.starts_with("frown") || word.starts_with("scowl") => PartKind::Brow,
        Action::Dimple => PartKind::Corner,
        Action::Slide if names_jaw(sentence) && word.ends_with("ward") => PartKind::Jaw,
        Action::Pucker if word.starts_with("puck") || word.starts_with("pout") => PartKind::Lips,
        _ => return None,
    };
    let part = Part {
        kind,
        start: at,
        end: at,
        side: None,
    };
    let movement = movement(kind, action)?;
    Some(Pair {
        part,
        at,
        action,
        movement,
    })
}

fn names_jaw(sentence: &Sentence) -> bool {
    sentence.parts.iter().any(|p| p.kind == PartKind::Jaw)
}

/// Parts that share the action of a neighbour: "elevated eyelids and brows".
fn coordinated(sentence: &Sentence, pairs: &[Pair], pair: &Pair) -> Vec<Pair> {
    let action = pair.action;
    sentence
        .parts
        .iter()
        .filter(|p| !pairs.iter().any(|other| other.part == **p))
        .filter(|p| {
            let leads = pair.at < pair.part.start && pair.part.end < p.start;
            let follows = p.end < pair.part.start && pair.part.end < pair.at;
            (leads && joined(sentence, pair.part.end, p.start))
                || (follows && joined(sentence, p.end, pair.part.start))
        })
        .filter_map(|&part| {
            let movement = movement(part.kind, action)?;
            let at = pair.at;
            Some(Pair {
                part,
                at,
                action,
                movement,
            })
        })
        .collect()
}

/// Whether only "and", a comma and words of side stand between.
fn joined(sentence: &Sentence, end: usize, start: usize) -> bool {
    // "Elevated eyelids, brows, and a dropped jaw".
    let in_list = start == end + 2 && sentence.word(end + 1) == ",";
    if in_list && matches!(sentence.word(start + 1), "," | "and") {
        return true;
    }
    let mut words = (end + 1..start).map(|at| sentence.word(at));
    (end + 1..start).any(|at| matches!(sentence.word(at), "and" | "or" | "nor"))
        && words.all(|w| {
            matches!(
                w,
                "and" | "or" | "nor" | "," | "both" | "the" | "left" | "right"
            )
        })
}

/// "Both are raised markedly", "but these are lowered": the nearest part before that can.
fn referring(sentence: &Sentence, before: &[Part], at: usize, action: Action) -> Option<Pair> {
    let clause = sentence.clause_of(at);
    let is_reference = (clause.start..at).take(3).any(|i| {
        let word = sentence.word(i);
        matches!(word, "both" | "they" | "these" | "those" | "it")
            && sentence.part_at(i + 1).is_none()
    });
    let names_part = sentence.parts.iter().any(|p| clause.contains(&p.start));
    if !is_reference || names_part {
        return None;
    }
    let own = sentence.parts.iter().filter(|p| p.end < at);
    before.iter().chain(own).rev().find_map(|part| {
        let movement = movement(part.kind, action)?;
        let (start, end) = (at, at);
        let part = Part {
            start,
            end,
            ..*part
        };
        Some(Pair {
            part,
            at,
            action,
            movement,
        })
    })
}

/// "Pull the corners down": the last word says what is done, not the first.
fn is_carried_on(sentence: &Sentence, pair: &Pair) -> bool {
    const PARTICLES: &[&str] = &[
        "down",
        "downward",
        "downwards",
        "together",
        "in",
        "apart",
        "forward",
    ];
    pair.action == Action::Pull
        && pair.at < pair.part.start
        && PARTICLES.contains(&sentence.word(pair.part.end + 1))
}
