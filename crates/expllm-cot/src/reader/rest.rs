//! Phrases that call part of a face quiet without denying one movement by name, from `rest.txt`.

use std::collections::HashMap;
use std::sync::LazyLock;

use expllm_core::ActionUnit as Au;

use super::mood::Mood;
use super::sentence::Sentence;
use super::stillness::Stillness;

/// Words in their order, with the units that must not be active where they are true.
type Phrase = (Vec<&'static str>, Vec<Au>);

/// Phrases by their first word.
static PHRASES: LazyLock<HashMap<&'static str, Vec<Phrase>>> = LazyLock::new(|| {
    let mut all: HashMap<&str, Vec<Phrase>> = HashMap::new();
    for (words, units) in include_str!("rest.txt").lines().filter_map(entry).flatten() {
        if let Some(first) = words.first() {
            all.entry(first).or_default().push((words, units));
        }
    }
    all
});

/// The phrases of one line, as `brow = level brows | brows are level`.
fn entry(line: &'static str) -> Option<Vec<Phrase>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (movements, phrases) = line.split_once(" = ")?;
    let movements: Vec<&str> = movements.split(", ").collect();
    let is_of = |unit: &Au| movements.iter().any(|m| unit.info().movement.contains(m));
    let units: Vec<Au> = Au::ALL.into_iter().filter(is_of).collect();
    let words = |phrase: &'static str| phrase.split(' ').collect();
    Some(
        phrases
            .split(" | ")
            .map(|p| (words(p), units.clone()))
            .collect(),
    )
}

/// What the phrases of a sentence call quiet.
pub(super) fn phrases(sentence: &Sentence) -> Vec<Stillness> {
    let told = (0..sentence.len()).filter(|&at| sentence.moods[at] == Mood::Told);
    let at_word = |at: usize| {
        let known = PHRASES.get(sentence.word(at)).into_iter().flatten();
        known.filter(move |(words, _)| {
            let mut places = words.iter().enumerate();
            places.all(|(by, word)| sentence.word(at + by) == *word)
        })
    };
    told.flat_map(at_word)
        .map(|(_, units)| Stillness {
            units: units.clone(),
            but_for_told: false,
            loosely: true,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_units_that_there_are() {
        for line in include_str!("rest.txt").lines() {
            let blank = line.trim().is_empty() || line.starts_with('#');
            let phrases = entry(line).unwrap_or_default();
            assert!(blank || !phrases.is_empty(), "{line}");
            assert!(phrases.iter().all(|(_, units)| !units.is_empty()), "{line}");
        }
    }
}
