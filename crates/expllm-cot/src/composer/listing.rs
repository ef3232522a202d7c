//! Movements by strength, for faces in which so much moves that sentences do not fit.

use expllm_core::Side;

use super::bank::Bank;
use super::telling::{Degree, capital, name, told_extent};
use crate::knowledge::Knowledge;
use crate::reasoning::{Analysis, Extent};

/// Each band with its adverb and its adjective.
const DEGREES: [(Degree, &str, &str); 5] = [
    (Degree::Extreme, "fully", "extreme"),
    (Degree::Marked, "markedly", "marked"),
    (Degree::Moderate, "moderately", "moderate"),
    (Degree::Slight, "slightly", "slight"),
    (Degree::Trace, "barely", "faint"),
];

/// For example `Markedly: both brows raised, left lip corner pulled up.`
pub(super) fn clauses(bank: &Bank, analysis: &Analysis) -> String {
    let mut text = Vec::new();
    for (degree, adverb, _) in DEGREES {
        let mut clauses = Vec::new();
        for side in [Side::Both, Side::Left, Side::Right] {
            let cues = cues(analysis, side, degree);
            clauses.extend(cues.iter().map(|&cue| clause(bank, cue, side, degree)));
        }
        if !clauses.is_empty() {
            text.push(capital(&format!("{adverb}: {}.", clauses.join(", "))));
        }
    }
    text.join(" ")
}

fn clause(bank: &Bank, cue: usize, side: Side, degree: Degree) -> String {
    let words = bank.cue(cue, shut(cue, degree));
    let part = match side {
        Side::Both => words.subjects[0].clone(),
        _ => words.one.replace("{side}", name(side)),
    };
    format!("{} {}", part.replace("the ", ""), words.state[0])
}

/// For example `Extreme: left brow raise, lid raise.`, which is shorter still.
pub(super) fn listing(bank: &Bank, analysis: &Analysis) -> String {
    let mut text = Vec::new();
    for (degree, _, word) in DEGREES {
        let mut names = Vec::new();
        for (side, place) in [
            (Side::Both, ""),
            (Side::Left, "left "),
            (Side::Right, "right "),
        ] {
            let cues = cues(analysis, side, degree);
            let short = |cue: usize| bank.cue(cue, shut(cue, degree)).short.as_str();
            names.extend(cues.iter().map(|&cue| format!("{place}{}", short(cue))));
        }
        if !names.is_empty() {
            text.push(capital(&format!("{word}: {}.", names.join(", "))));
        }
    }
    text.join(" ")
}

/// Closed eyes have words of their own.
fn shut(cue: usize, degree: Degree) -> bool {
    Knowledge::builtin().cues()[cue].name == "eyes" && degree == Degree::Extreme
}

/// Cues that act on a side with a degree.
fn cues(analysis: &Analysis, side: Side, degree: Degree) -> Vec<usize> {
    let acting = analysis.face.acting.iter();
    let fitting = acting.filter(|&cue| {
        let state = analysis.face.state(cue);
        let (acts, level) = match (told_extent(state), side) {
            (Extent::Single | Extent::Even, Side::Both) => (true, state.level()),
            (Extent::Uneven, Side::Left) => (true, state.left),
            (Extent::Uneven, Side::Right) => (true, state.right),
            (Extent::OneSided(own) | Extent::Leaning(own), _) => (own == side, state.level()),
            _ => (false, 0.0),
        };
        acts && Degree::of(level) == degree
    });
    fitting.collect()
}
