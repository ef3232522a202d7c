//! The conclusion: one sentence with the label, the cue that decides and a fitting certainty.
//!
//! The sentence is not drawn: the seed walks through all sentences that fit the face, so that one
//! returns only after the others. Records of a data set have seeds that follow one another, and
//! with drawn sentences those of a rare label would repeat.

use std::ops::RangeInclusive;

use expllm_core::Expression;

use super::bank::{Bank, Phrase, Role};
use super::runs;
use super::telling::{Told, capital};
use super::voice::{Voice, filled};
use crate::knowledge::Knowledge;
use crate::reasoning::{Analysis, Certainty, Extent, Support};

/// Words of a conclusion.
const LENGTH: RangeInclusive<usize> = 10..=20;
/// Probability below which only what is missing is worth telling.
const DOUBTFUL: f32 = 0.35;
/// Steps of the walk; a prime that is larger than any number of sentences.
const STRIDE: u64 = 2_654_435_761;

pub(super) struct Closer<'a, 'v> {
    pub bank: &'static Bank,
    pub analysis: &'a Analysis,
    pub voice: &'v Voice,
    pub seed: u64,
    /// Whether there is room for the claim alone.
    pub brief: bool,
}

/// A clause or a noun phrase, of the bank or of the face's own movements.
struct Text {
    phrase: Option<&'static Phrase>,
    text: String,
    words: usize,
}

/// Claims or predicates, and how many of them have each number of words.
struct Firsts {
    texts: Vec<Text>,
    counts: [usize; *LENGTH.end() + 1],
}

/// How a claim, or a predicate, and a reason become a sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// The claim alone.
    Alone,
    /// The claim, these words, the reason.
    Behind(&'static str),
    /// These words, the reason, a comma, the claim.
    Before(&'static str),
    /// The reason, these words, the claim.
    Then(&'static str),
    /// The reason as subject, and a predicate.
    Makes,
}

/// Forms for a reason that is a clause.
const CLAUSES: [Form; 10] = [
    Form::Behind(", because "),
    Form::Behind(", since "),
    Form::Behind(": "),
    Form::Behind(", as "),
    Form::Behind(", for "),
    Form::Before("since "),
    Form::Before("because "),
    Form::Before("as "),
    Form::Then(", and so "),
    Form::Then(", so "),
];
/// Forms for a reason that is a noun phrase.
const NOUNS: [Form; 5] = [
    Form::Behind(", given "),
    Form::Behind(" on account of "),
    Form::Before("given "),
    Form::Before("with "),
    Form::Makes,
];

impl Firsts {
    fn new(texts: Vec<Text>) -> Self {
        let mut counts = [0; *LENGTH.end() + 1];
        for text in &texts {
            if let Some(count) = counts.get_mut(text.words) {
                *count += 1;
            }
        }
        Self { texts, counts }
    }

    /// Whether a text has the right length beside so many other words.
    fn fits(words: usize, others: usize) -> bool {
        LENGTH.contains(&(words + others))
    }

    fn fitting(&self, others: usize) -> usize {
        let counts = self.counts.iter().enumerate();
        let fitting = counts.filter(|(words, _)| Self::fits(*words, others));
        fitting.map(|(_, count)| count).sum()
    }

    fn nth(&self, others: usize, place: usize) -> Option<&Text> {
        let mut fitting = self.texts.iter().filter(|t| Self::fits(t.words, others));
        fitting.nth(place)
    }
}

impl Closer<'_, '_> {
    pub(super) fn conclusion(&self) -> String {
        let claims = Firsts::new(self.texts(Role::Claim));
        let argued = match self.brief {
            true => None,
            false => self.argued(&claims),
        };
        argued.unwrap_or_else(|| self.alone(&claims))
    }

    /// The claim and nothing else.
    fn alone(&self, claims: &Firsts) -> String {
        let place = turn(self.seed, claims.texts.len());
        let claim = claims.texts.get(place);
        claim.map_or_else(String::new, |claim| self.sentence(Form::Alone, claim, None))
    }

    /// The sentence whose turn it is; `None` where no reason makes one of the right length.
    fn argued(&self, claims: &Firsts) -> Option<String> {
        let makes = Firsts::new(self.texts(Role::Makes));
        let reasons = self.reasons();
        let mut groups = Vec::new();
        for (role, reason) in &reasons {
            for &form in self.forms(*role, &reason.text) {
                let firsts = if form == Form::Makes { &makes } else { claims };
                let others = reason.words + form.words();
                groups.push((form, firsts, reason, others, firsts.fitting(others)));
            }
        }
        let all: usize = groups.iter().map(|(.., count)| count).sum();
        let mut place = turn(self.seed, all);
        for (form, firsts, reason, others, count) in groups {
            if place < count {
                let first = firsts.nth(others, place)?;
                return Some(self.sentence(form, first, Some(reason)));
            }
            place -= count;
        }
        None
    }

    /// The forms for a reason. One that denies something stands behind the claim: before it, it
    /// would seem to deny the label too. What speaks for a label is no reason to doubt it.
    fn forms(&self, role: Role, reason: &str) -> &'static [Form] {
        let doubted = self.analysis.certainty == Certainty::Tentatively;
        match (role, denies(reason.trim_start_matches('+'))) {
            (Role::Noun, true) if doubted => &[],
            (Role::Noun, true) => &NOUNS[..1],
            (Role::Noun, false) if doubted => &NOUNS[4..],
            (Role::Noun, false) if reason.contains(" with ") => &NOUNS[..3],
            (Role::Noun, false) => &NOUNS,
            (_, true) => &CLAUSES[..5],
            (_, false) => &CLAUSES,
        }
    }

    /// Texts of the bank that fit about as well as the best.
    fn texts(&self, role: Role) -> Vec<Text> {
        let phrases = self.voice.phrases(self.bank, role, self.analysis, 0);
        let texts = phrases.into_iter().flat_map(|phrase| {
            let texts = phrase.texts.iter();
            texts.map(move |text| Text {
                phrase: Some(phrase),
                text: text.clone(),
                words: match role {
                    Role::Makes => runs(&agreeing(text, false)),
                    _ => runs(text),
                },
            })
        });
        texts.collect()
    }

    /// What speaks for the label, or against it, each with its role.
    fn reasons(&self) -> Vec<(Role, Text)> {
        let roles: &[Role] = match (self.analysis.stance, self.analysis.certainty) {
            (Support::Unsupported, _) => &[Role::Against],
            (Support::Rest, _) if self.analysis.label != Expression::Neutral => &[Role::Against],
            (Support::Supported, _) if self.analysis.probability < DOUBTFUL => &[Role::Doubt],
            (Support::Supported, Certainty::Tentatively) => &[Role::Doubt, Role::Noun],
            _ => &[Role::Because, Role::Noun],
        };
        let of = |&role: &Role| self.texts(role).into_iter().map(move |text| (role, text));
        let mut reasons: Vec<_> = roles.iter().flat_map(of).collect();
        if roles.contains(&Role::Because) && self.analysis.label != Expression::Neutral {
            let own = self.movements().into_iter();
            reasons.extend(own.map(|text| (Role::Because, text)));
        }
        reasons
    }

    /// The two movements that say most for the label, as they are: "the brows are lowered and the
    /// lids are tightened".
    fn movements(&self) -> Vec<Text> {
        let favour = self.analysis.favour.iter();
        let even = favour.filter(|&&cue| {
            let extent = self.analysis.face.state(cue).extent;
            matches!(extent, Extent::Single | Extent::Even)
        });
        let clauses = even.map(|&cue| self.plain(cue));
        let mut clauses = clauses.filter(|plain| !plain.is_empty());
        let Some(first) = clauses.next() else {
            return Vec::new();
        };
        let texts = match clauses.next() {
            Some(second) => {
                let pair = |one: &String| -> Vec<String> {
                    second
                        .iter()
                        .map(|two| format!("{one} and {two}"))
                        .collect()
                };
                first.iter().flat_map(pair).collect()
            }
            None => first,
        };
        let own = texts.into_iter().map(|text| Text {
            phrase: None,
            words: runs(&text),
            text,
        });
        own.collect()
    }

    /// Plain clauses for a movement of both sides or of the middle.
    fn plain(&self, cue: usize) -> Vec<String> {
        let told = Told::new(Knowledge::builtin(), self.analysis, cue);
        let words = told.words(self.bank);
        let be = if words.plural { "are" } else { "is" };
        let subject = words.subjects.iter().find(|s| s.starts_with("the "));
        let subject = subject.unwrap_or(&words.subjects[0]);
        let mut states: Vec<&String> = words.state.iter().collect();
        states.dedup();
        // Beside a jaw, "sideways" is read as a movement of it.
        states.retain(|state| !state.contains("sideways"));
        states
            .iter()
            .map(|state| format!("{subject} {be} {state}"))
            .collect()
    }

    fn sentence(&self, form: Form, first: &Text, reason: Option<&Text>) -> String {
        let first = self.filled(first);
        let reason = reason.map(|text| self.filled(text)).unwrap_or_default();
        let noun = reason.strip_prefix('+');
        let (reason, plural) = (noun.unwrap_or(&reason), noun.is_some());
        let clause = match form {
            Form::Alone => first,
            Form::Behind(words) => format!("{first}{words}{reason}"),
            Form::Before(words) => format!("{words}{reason}, {first}"),
            Form::Then(words) => format!("{reason}{words}{first}"),
            Form::Makes => format!("{reason} {}", agreeing(&first, plural)),
        };
        format!("{}.", capital(&clause))
    }

    fn filled(&self, text: &Text) -> String {
        match text.phrase {
            Some(phrase) => filled(&text.text, phrase, self.analysis),
            None => text.text.clone(),
        }
    }
}

impl Form {
    fn words(self) -> usize {
        match self {
            Self::Alone | Self::Makes => 0,
            Self::Behind(words) | Self::Before(words) | Self::Then(words) => runs(words),
        }
    }
}

/// A predicate such as `points/point to {label}` for a singular or a plural subject.
fn agreeing(predicate: &str, plural: bool) -> String {
    let words = predicate.split(' ').map(|word| match word.split_once('/') {
        Some((_, many)) if plural => many,
        Some((one, _)) => one,
        None => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The place whose turn it is: seeds that follow one another take places far apart, and none twice
/// before all were taken.
fn turn(seed: u64, places: usize) -> usize {
    let places = places.max(1) as u64;
    let step = STRIDE % places;
    ((u128::from(seed % places) * u128::from(step)) % u128::from(places)) as usize
}

/// Whether a reason denies or compares something.
fn denies(reason: &str) -> bool {
    const DENIALS: [&str; 12] = [
        "no", "not", "nothing", "neither", "nor", "none", "never", "without", "missing", "absence",
        "absent", "than",
    ];
    reason.split(' ').any(|word| DENIALS.contains(&word))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use expllm_core::{ActionUnit as Au, AuVector, ExpressionSet, Intensity};

    use super::*;

    #[test]
    fn every_place_has_its_turn() {
        for places in [1, 2, 7, 300, 4096] {
            let taken: HashSet<_> = (0..places as u64).map(|seed| turn(seed, places)).collect();
            assert_eq!(taken.len(), places);
        }
        assert!(turn(u64::MAX, 12) < 12);
    }

    /// Conclusions of faces with these units under seeds that follow one another.
    fn conclusions(label: Expression, units: &[(Au, f32)], seeds: u64) -> Vec<String> {
        let mut face = AuVector::REST;
        for &(unit, value) in units {
            face.set(unit, Intensity::clamped(value));
            face.set(unit.mirrored(), Intensity::clamped(value));
        }
        let compose =
            |seed| super::super::Composer.compose(&face, label, ExpressionSet::Seven, seed);
        (0..seeds).map(|seed| compose(seed).conclusion).collect()
    }

    #[test]
    fn typical_faces_have_a_thousand_conclusions() {
        let surprise = [
            (Au::LeftBrowRaise, 0.8),
            (Au::LeftLidRaise, 0.7),
            (Au::JawDrop, 0.6),
        ];
        let anger = [
            (Au::LeftBrowLower, 0.8),
            (Au::LeftLidTighten, 0.5),
            (Au::LipPress, 0.5),
        ];
        let disgust = [(Au::NoseWrinkle, 0.8), (Au::UpperLipRaise, 0.6)];
        for (label, units) in [
            (Expression::Surprise, &surprise[..]),
            (Expression::Anger, &anger[..]),
            (Expression::Disgust, &disgust[..]),
        ] {
            let all = conclusions(label, units, 1000);
            let distinct: HashSet<_> = all.iter().collect();
            assert!(distinct.len() >= 985, "{label}: {}", distinct.len());
        }
    }

    #[test]
    fn conclusions_keep_their_length() {
        for text in conclusions(Expression::Anger, &[(Au::LeftBrowLower, 0.5)], 400) {
            assert!(LENGTH.contains(&runs(&text)), "{text}");
        }
    }
}
