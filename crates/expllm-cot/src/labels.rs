//! Which labels a conclusion claims, and whether a text is English.

use expllm_core::Expression;

use crate::reader::{denied_words, words};

/// Stems that name an expression in free text; Latin words that share a stem are spelt out.
const FAMILIES: [(Expression, &[&str]); Expression::COUNT] = [
    (
        Expression::Neutral,
        &["neutral", "calm", "composed", "composure"],
    ),
    (Expression::Happiness, &["happ", "joy", "delight", "cheer"]),
    (
        Expression::Sadness,
        &["sad", "sorrow", "grief", "melanchol", "dejection"],
    ),
    (Expression::Surprise, &["surpris", "astonish", "amaze"]),
    (
        Expression::Fear,
        &["fear", "afraid", "terror", "dread", "fright"],
    ),
    (Expression::Disgust, &["disgust", "revulsion", "repuls"]),
    (
        Expression::Anger,
        &["anger", "angry", "rage", "fury", "furious"],
    ),
    (Expression::Contempt, &["contempt", "disdain", "scorn"]),
];

/// Expressions that a conclusion claims (not those it denies), in expression order.
///
/// Words of a family ("joy") count when no label is written by its name or adjective.
#[must_use]
pub fn claimed(conclusion: &str) -> Vec<Expression> {
    let words = words(conclusion);
    let denied = denied_words(&words);
    let collect = |names: &dyn Fn(&str) -> Option<Expression>| {
        let mut found: Vec<_> = words
            .iter()
            .zip(&denied)
            .filter(|(_, denied)| !**denied)
            .filter_map(|(word, _)| names(word))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let exact = collect(&|word| word.parse().ok());
    match exact.is_empty() {
        false => exact,
        true => collect(&family),
    }
}

fn family(word: &str) -> Option<Expression> {
    if word.starts_with("emotionless") || word.starts_with("expressionless") {
        return Some(Expression::Neutral);
    }
    FAMILIES
        .iter()
        .find(|(_, stems)| stems.iter().any(|stem| word.starts_with(stem)))
        .map(|(expression, _)| *expression)
}

/// The commonest English words; a quarter of running text, hardly any of other languages.
const COMMON: &[&str] = &[
    "the", "a", "an", "of", "and", "is", "are", "in", "to", "as", "this", "that", "with", "by",
    "it", "its", "on", "both", "which", "while", "at", "for", "not", "no", "these", "from",
];

/// Whether at least one word in twelve is among the commonest of English.
pub(crate) fn is_english(texts: &[&String]) -> bool {
    let (mut all, mut common) = (0, 0);
    for text in texts {
        for word in words(text) {
            all += 1;
            common += usize::from(COMMON.contains(&word.as_str()));
        }
    }
    common * 12 >= all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beat_families_and_denials_are_skipped() {
        use Expression::{Anger, Happiness, Sadness};
        assert_eq!(claimed("This is happiness rather than anger."), [Happiness]);
        assert_eq!(claimed("A joyful face."), [Happiness]);
        assert_eq!(claimed("Sadness, with a trace of joyful mood."), [Sadness]);
        assert_eq!(claimed("Anger and sadness."), [Sadness, Anger]);
        assert_eq!(claimed("A face without fear."), []);
    }
}
