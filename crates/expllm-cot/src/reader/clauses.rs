//! Where clauses of a sentence begin.

use std::ops::Range;

use super::lexicon::Mark;
use super::mood;
use super::sentence::Sentence;

/// A finite verb this far behind its subject makes a clause.
const REACH: usize = 10;

/// The clauses of a sentence, in order and without gaps.
pub(super) fn clauses(sentence: &Sentence) -> Vec<Range<usize>> {
    let mut starts: Vec<usize> = Vec::new();
    for at in 0..sentence.len() {
        if begins(sentence, at, starts.last().copied().unwrap_or_default()) {
            starts.push(at);
        }
    }
    starts.push(sentence.len());
    starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

fn begins(sentence: &Sentence, at: usize, last: usize) -> bool {
    let Some(before) = at.checked_sub(1) else {
        return true;
    };
    match sentence.word(before) {
        ";" | ":" | "—" | "(" | ")" => return true,
        // "An angry yell, though, comes with a frown."
        "," if sentence.word(at + 1) == "," => return false,
        "," if matches!(
            sentence.word(at),
            "and" | "or" | "so" | "for" | "as" | "nor"
        ) =>
        {
            return opens(sentence, at + 1);
        }
        "," => return sentence.is(at, Mark::Clause) || opens(sentence, at),
        _ => {}
    }
    match sentence.word(at) {
        // "A wrinkled nose or a raised lip would ..." is one clause.
        "and" | "or" => (last..at).any(|i| sentence.is(i, Mark::Finite)) && opens(sentence, at + 1),
        _ => sentence.is(at, Mark::Clause),
    }
}

/// Whether a subject with its verb begins here.
fn opens(sentence: &Sentence, at: usize) -> bool {
    let first = sentence.is(at, Mark::Determiner)
        || sentence.part_at(at).is_some()
        || mood::is_mood(sentence, at)
        || sentence.part_at(at + 1).is_some() && sentence.sense(at).action.is_some();
    first
        && (at + 1..sentence.len().min(at + REACH))
            .take_while(|&i| !sentence.breaks(i) && !sentence.is(i, Mark::Clause))
            .any(|i| sentence.is(i, Mark::Finite) || is_verb_of_part(sentence, i))
}

/// "... and the wrinkled nose reinforces it": a word in -s right behind a part or its movement.
fn is_verb_of_part(sentence: &Sentence, at: usize) -> bool {
    let word = sentence.word(at);
    let is_noun_before =
        sentence.part_at(at - 1).is_some() || sentence.sense(at - 1).action.is_some();
    is_noun_before && word.ends_with('s') && word.len() > 4 && sentence.part_at(at).is_none()
}
