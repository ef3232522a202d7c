//! Words that mean something else in company: "no doubt" denies nothing, and lips that are "pulled
//! taut to the sides" are stretched.

use super::lexicon::{self, Action, Mark, Sense};

/// How far a direction may stand behind its verb.
const DIRECTION: usize = 4;

/// What each word means among the others.
pub(super) fn senses(words: &[&str]) -> Vec<Sense> {
    let own = |at| lexicon::sense(words, at);
    let mut senses: Vec<Sense> = (0..words.len()).map(own).collect();
    for at in 0..words.len() {
        if senses[at].is(Mark::Deny) && denies_nothing(words, at) {
            senses[at] = Sense::default();
        }
        // "Frown or no frown".
        if at >= 2
            && words[at] == "no"
            && words[at - 1] == "or"
            && words.get(at + 1) == Some(&words[at - 2])
        {
            for same in [at - 2, at, at + 1] {
                senses[same] = Sense::default();
            }
        }
        let question = |word: &&str| matches!(*word, "question" | "questions" | "doubt" | "doubts");
        if words[at].starts_with("rais") && words[at + 1..].iter().take(2).any(question) {
            senses[at].action = None;
        }
        let pulls = matches!(senses[at].action, Some(Action::Pull | Action::Bare));
        if pulls && goes_sideways(words, at) {
            senses[at].action = Some(Action::Stretch);
        }
    }
    senses
}

/// "Leaves no doubt", "without question", "changes nothing", "no more than", "but not for a mouth".
fn denies_nothing(words: &[&str], at: usize) -> bool {
    let next = |by: usize| words.get(at + by).copied().unwrap_or_default();
    let before = at.checked_sub(1).map_or("", |i| words[i]);
    match words[at] {
        "no" | "without" | "never" => {
            let outdone = |by| matches!(next(by), "equals" | "exceeds" | "matches" | "beyond");
            matches!(next(1), "doubt" | "question" | "matter")
                || next(1) == "movement" && (2..6).any(outdone)
                || next(1) == "more" && next(2) == "than"
                || next(1) == "a" && next(2) == "doubt"
        }
        "nothing" => before.starts_with("change") || next(1) == "but" || next(1) == "more",
        "not" => {
            matches!(next(1), "for" | "merely" | "simply" | "just" | "much")
                || next(1) == "so" && next(2) == "much"
        }
        _ => false,
    }
}

fn goes_sideways(words: &[&str], at: usize) -> bool {
    let behind = &words[at + 1..words.len().min(at + 1 + DIRECTION)];
    behind
        .iter()
        .take_while(|word| !matches!(**word, "," | ";" | ":" | "and" | "up" | "down"))
        .any(|word| matches!(*word, "sides" | "sideways" | "outward" | "outwards"))
}
