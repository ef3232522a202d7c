//! Which labels a conclusion claims, and whether a text is English.

use std::ops::Range;

use expllm_core::Expression;

use crate::reader::{Mark, Mood, Sentence, sentences, words};

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

/// How a conclusion stands to an expression that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stance {
    /// "This is probably fear."
    Claimed,
    /// "It could be fear", in place of a claim.
    Supposed,
    /// "A label of fear must draw on something else": the label is named, and what the face
    /// shows does not bear it out.
    Unsupported,
    /// "... and not fear", "with fear close behind", "where fear would stretch the lips".
    Rival,
}

/// Each expression that a conclusion names, with its stance, in the order of the text.
#[must_use]
pub fn stances(conclusion: &str) -> Vec<(Expression, Stance)> {
    let by_name = collect(conclusion, |word| word.parse().ok());
    match by_name.is_empty() {
        false => by_name,
        true => collect(conclusion, family),
    }
}

fn collect(text: &str, name: impl Fn(&str) -> Option<Expression>) -> Vec<(Expression, Stance)> {
    let mut found: Vec<(Expression, Stance)> = Vec::new();
    for text in sentences(text) {
        let sentence = Sentence::read(text);
        for at in 0..sentence.len() {
            if let Some(expression) = name(sentence.word(at)) {
                let claims = |s: &Stance| matches!(s, Stance::Claimed | Stance::Supposed);
                let is_first = !found.iter().any(|(_, stance)| claims(stance));
                found.push((expression, stance(&sentence, at, is_first)));
            }
        }
    }
    found
}

fn stance(sentence: &Sentence, at: usize, is_first: bool) -> Stance {
    if is_refused(sentence, at) {
        match refuses_label(sentence, at) {
            true => Stance::Unsupported,
            false => Stance::Rival,
        }
    } else if is_unsupported(sentence, at) {
        Stance::Unsupported
    } else if is_compared(sentence, at) || !is_first && is_second(sentence, at) {
        Stance::Rival
    } else if is_denied(sentence, at) {
        match speaks_of_label(sentence) {
            true => Stance::Unsupported,
            false => Stance::Rival,
        }
    } else if sentence.mood(at) != Mood::Told && is_conditional(sentence, at) {
        Stance::Supposed
    } else {
        Stance::Claimed
    }
}

/// "Not fear", "rather than fear", "without any fear", "with no evidence of fear".
fn is_refused(sentence: &Sentence, at: usize) -> bool {
    let before = |by: usize| at.checked_sub(by).map_or("", |i| sentence.word(i));
    let filler = matches!(before(1), "any" | "a" | "of" | "the" | "true" | "real");
    let near = if filler { 2 } else { 1 };
    let refuses = |word: &str| matches!(word, "not" | "no" | "without" | "nor" | "never");
    refuses(before(near))
        || matches!(
            (before(2), before(1)),
            ("rather", "than") | ("instead", "of")
        )
        || (1..6).any(|by| before(by + 1) == "with" && refuses(before(by)))
}

/// "Amounts to no fear", "is not fear, and the label must rest on the scene": the label is refused to
/// the face, and no other takes its place.
fn refuses_label(sentence: &Sentence, at: usize) -> bool {
    let clause = sentence.clause_of(at);
    speaks_of_label(sentence)
        || is_refuted_by_relative(sentence, clause.end)
        || (clause.start..at)
            .any(|i| sentence.word(i).starts_with("amount") || sentence.word(i) == "support")
}

/// Whether the sentence says of a label that something else must stand behind it.
fn speaks_of_label(sentence: &Sentence) -> bool {
    let names = (0..sentence.len()).any(|i| matches!(sentence.word(i), "label" | "which"));
    let elsewhere = |i: usize| {
        matches!(
            sentence.word(i),
            "must" | "unsupported" | "elsewhere" | "another" | "other" | "beyond" | "outside"
        )
    };
    names && (0..sentence.len()).any(elsewhere)
}

/// Whether the clause says what could or would be.
fn is_conditional(sentence: &Sentence, at: usize) -> bool {
    let clause = sentence.clause_of(at);
    let mut words = clause.clone();
    words.any(|i| sentence.is(i, Mark::Modal) || sentence.is(i, Mark::Condition))
        || sentence.is(clause.start, Mark::Clause)
}

/// An expression behind the one that is claimed: in a clause that gives a reason, as a mere adjective,
/// or as what "is not far off".
fn is_second(sentence: &Sentence, at: usize) -> bool {
    let clause = sentence.clause_of(at);
    let near = (at + 1..clause.end).any(|i| sentence.is(i, Mark::Near));
    let word = sentence.word(at);
    let noun = Expression::ALL
        .iter()
        .any(|e| e.name().eq_ignore_ascii_case(word));
    let neutral_look = word == "neutral"
        && matches!(sentence.word(at - 1), "a" | "the")
        && sentence.word(at + 1).parse::<Expression>().is_err()
        && !sentence.breaks(at + 1)
        && at + 1 < clause.end;
    let beside = (at.saturating_sub(5)..at).any(|i| sentence.word(i) == "beside");
    let too_little = sentence.word(at + 1) == "too";
    is_aside(sentence, at) || near || !noun || neutral_look || beside || too_little
}

/// A denial of what would bear the label out, or a word of where else it comes from.
fn is_unsupported(sentence: &Sentence, at: usize) -> bool {
    let clause = sentence.clause_of(at);
    is_refuted_before(sentence, clause.start, at)
        || is_refuted_after(sentence, at, clause.end)
        || is_refuted_by_relative(sentence, clause.end)
        || is_from_elsewhere(sentence, at, clause)
}

/// "Gives no support to fear", "does not amount to fear", "speaks against fear".
fn is_refuted_before(sentence: &Sentence, from: usize, at: usize) -> bool {
    let supports = |i: usize| (i + 1..at).any(|k| sentence.is(k, Mark::Support));
    (from..at).any(|i| {
        let without =
            sentence.word(i) == "without" && !(i + 1..at).any(|k| sentence.word(k) == "support");
        let denies = sentence.is(i, Mark::Deny) && !without;
        denies && supports(i) || sentence.is(i, Mark::Against)
    })
}

/// "Fear cannot be read from it", "fear has little support", "fear has no basis".
fn is_refuted_after(sentence: &Sentence, at: usize, end: usize) -> bool {
    const NEAR: usize = 3;
    (at + 1..end.min(at + 1 + NEAR)).any(|i| {
        let denies = sentence.is(i, Mark::Deny) || sentence.is(i, Mark::Against);
        let supports = (i + 1..end.min(i + 1 + NEAR)).any(|k| sentence.is(k, Mark::Support));
        denies && supports || sentence.word(i) == "unsupported"
    })
}

/// "A label of fear", "fear is a label from elsewhere", "fear must have been inferred".
fn is_from_elsewhere(sentence: &Sentence, at: usize, clause: Range<usize>) -> bool {
    let before = |by: usize| at.checked_sub(by).map_or("", |i| sentence.word(i));
    let label_of = before(1) == "of" && before(2) == "label";
    let elsewhere = clause.clone().any(|i| sentence.word(i) == "elsewhere");
    label_of || elsewhere || (at + 1..clause.end.min(at + 3)).any(|i| sentence.word(i) == "must")
}

/// "... fear, which its movements do not support".
fn is_refuted_by_relative(sentence: &Sentence, next: usize) -> bool {
    let clause = sentence.clause_of(next);
    let any = |mark: Mark| clause.clone().any(|i| sentence.is(i, mark));
    let must = sentence.word(next + 1) == "must";
    sentence.word(next) == "which" && (must || any(Mark::Deny) && any(Mark::Support))
}

/// "Better than fear", "from surprise to fear", "with fear close behind".
fn is_compared(sentence: &Sentence, at: usize) -> bool {
    let before = |by: usize| at.checked_sub(by).map_or("", |i| sentence.word(i));
    let beside = (1..3).any(|by| matches!(before(by), "beside" | "over" | "behind"));
    let no_more = before(1) == "than" && before(2) == "more" && before(3) == "no";
    let than = beside || !no_more && (1..4).any(|by| before(by) == "than");
    let with = before(1) == "with" || before(2) == "with" && matches!(before(1), "a" | "an");
    let close = |i: usize| sentence.is(i, Mark::Near) || matches!(sentence.word(i), "a" | "still");
    let near = with && (at + 1..sentence.len().min(at + 6)).any(close);
    // "Clearly from disgust" names a cause.
    let cause = matches!(before(2), "clearly" | "probably");
    let from = before(1) == "from" && !cause || before(2) == "from";
    than || near || from
}

/// Whether a word stands in a clause that gives a reason or a rival.
fn is_aside(sentence: &Sentence, at: usize) -> bool {
    let clause = sentence.clause_of(at);
    (clause.start..at).any(|i| sentence.is(i, Mark::Aside))
}

/// A denial reaches five words within its clause; "a face without movement is fear" denies no fear.
fn is_denied(sentence: &Sentence, at: usize) -> bool {
    let mut verb = false;
    for i in (at.saturating_sub(5)..at).rev() {
        if sentence.breaks(i) || matches!(sentence.word(i), "but" | "while") {
            return false;
        }
        if sentence.is(i, Mark::Deny) && !(verb && sentence.word(i) == "without") {
            return true;
        }
        verb |= sentence.is(i, Mark::Finite);
    }
    false
}

fn with_stance(conclusion: &str, wanted: Stance) -> Vec<Expression> {
    let found = stances(conclusion).into_iter();
    let mut found: Vec<_> = found
        .filter(|(_, s)| *s == wanted)
        .map(|(e, _)| e)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Expressions that a conclusion claims (not those it denies or compares), in expression order.
///
/// Words of a family ("joy") count when no label is written by its name or adjective; what is
/// only supposed counts when nothing is claimed.
#[must_use]
pub fn claimed(conclusion: &str) -> Vec<Expression> {
    match with_stance(conclusion, Stance::Claimed) {
        found if found.is_empty() => with_stance(conclusion, Stance::Supposed),
        found => found,
    }
}

/// Whether a conclusion is one about this label: it claims it, or names it as the given label
/// and says that the face does not bear it out.
#[must_use]
pub fn concludes(conclusion: &str, label: Expression) -> bool {
    claimed(conclusion).contains(&label)
        || with_stance(conclusion, Stance::Unsupported).contains(&label)
}

/// Other expressions that a conclusion claims in place of the label.
///
/// Beside a label that is not borne out, and where readings are left open, others may stand.
#[must_use]
pub fn claimed_instead(conclusion: &str, label: Expression) -> Vec<Expression> {
    let unsupported = with_stance(conclusion, Stance::Unsupported).contains(&label);
    let is_open = words(conclusion).iter().any(|word| word == "open");
    let mut others = claimed(conclusion);
    others.retain(|&e| e != label && !unsupported && !is_open);
    others
}

pub(crate) fn family(word: &str) -> Option<Expression> {
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
pub(crate) fn is_english(texts: &[&str]) -> bool {
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
    use Expression::{Anger, Disgust, Fear, Happiness, Neutral, Sadness, Surprise};

    #[test]
    fn names_beat_families_and_denials_are_skipped() {
        assert_eq!(claimed("This is happiness rather than anger."), [Happiness]);
        assert_eq!(claimed("A joyful face."), [Happiness]);
        assert_eq!(claimed("Sadness, with a trace of joyful mood."), [Sadness]);
        assert_eq!(claimed("Anger and sadness."), [Sadness, Anger]);
        assert_eq!(claimed("A face without fear."), []);
    }

    #[test]
    fn a_label_may_be_given_and_not_borne_out() {
        for text in [
            "A slack jaw does not establish sadness.",
            "What the face shows is a smile; sadness cannot be read from it.",
            "The face suggests happiness, and a label of sadness must draw on something beyond it.",
            "The lowered brows speak against sadness.",
            "The label of sadness has no basis in a face without movement.",
        ] {
            assert!(concludes(text, Sadness), "{text}");
            assert!(!claimed(text).contains(&Sadness), "{text}");
            assert_eq!(claimed_instead(text, Sadness), [], "{text}");
        }
    }

    #[test]
    fn rivals_are_not_claimed() {
        let text = "The tension in the lips makes this probably fear, with surprise not far off.";
        assert_eq!(claimed(text), [Fear]);
        assert!(!concludes(text, Surprise));
        let text = "Neutral is the choice, since the jaw explains it better than surprise does.";
        assert_eq!(claimed(text), [Neutral]);
        assert_eq!(claimed_instead(text, Surprise), [Neutral]);
        let open = "Anger and disgust are both open.";
        assert_eq!(claimed(open), [Disgust, Anger]);
        assert_eq!(claimed_instead(open, Anger), []);
    }
}
