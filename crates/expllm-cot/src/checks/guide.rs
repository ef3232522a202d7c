//! The points of the guide on style (`docs/cot_engine.md`) that a program can check.

use expllm_core::{ActionUnit, AuVector, ChainOfThought, ChainPart, Expression, Polarity, Side};

use super::{Check, Finding};
use crate::labels;
use crate::reader::{Action, NO_ASYMMETRY, Reading, Told, names_a_cue, sentences, words};

/// Movements from which on a face has enough to say for the shortest lengths.
const SAYS_SOMETHING: usize = 3;

/// Words that the shortest description of a movement takes.
const WORDS_A_MOVEMENT: usize = 5;

/// Intensities from here to the threshold are no evidence that a unit rests.
const UNCERTAIN: f32 = 0.1;

/// How far outside the band of its word an intensity may lie.
const TOLERANCE: f32 = 0.02;

/// Words that glue sentences or phrases without saying how they belong together.
const GLUE: &[&str] = &[
    "additionally",
    "besides",
    "further",
    "furthermore",
    "likewise",
    "meanwhile",
    "moreover",
    "overall",
];

/// What the guide finds is checked against.
pub(super) struct Subject<'a> {
    pub chain: &'a ChainOfThought,
    pub reading: &'a Reading,
    pub label: Expression,
    pub units: &'a AuVector,
    pub sentences: &'a [&'a str],
}

/// Everything that the guide objects to.
pub(super) fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    let checks = [
        lengths,
        glue,
        contradictions,
        empty_rivals,
        absences,
        asymmetries,
        certainty,
        degrees,
        felt,
    ];
    checks.iter().flat_map(|check| check(subject)).collect()
}

/// Least and most words of a part; the less moves, the less there is to say.
fn bounds(part: ChainPart, movements: usize) -> (usize, usize) {
    let least = |words| if movements < SAYS_SOMETHING { 0 } else { words };
    match part {
        ChainPart::KeyObservations => (least((WORDS_A_MOVEMENT * movements).min(35)), 60),
        ChainPart::Interpretation => (least(35), 55),
        ChainPart::Conclusion => (least(10), 20),
    }
}

fn lengths(subject: &Subject<'_>) -> Vec<Finding> {
    let movements: std::collections::BTreeSet<_> = subject
        .units
        .active()
        .iter()
        .map(|(unit, _)| unit.info().movement)
        .collect();
    let mut found: Vec<Finding> = Vec::new();
    for part in ChainPart::ALL {
        let count = subject.chain.part(part).split_whitespace().count();
        let (least, most) = bounds(part, movements.len());
        if !(least..=most).contains(&count) {
            let detail = format!(
                "the {} have {count} words; write {least} to {most}",
                name(part)
            );
            found.push(Finding::new(Check::PartLength, detail));
        }
    }
    if sentences(&subject.chain.conclusion).len() > 1 {
        found.push(Finding::new(
            Check::PartLength,
            "write the conclusion as one sentence",
        ));
    }
    found
}

fn name(part: ChainPart) -> &'static str {
    match part {
        ChainPart::KeyObservations => "observations",
        ChainPart::Interpretation => "words of the interpretation",
        ChainPart::Conclusion => "words of the conclusion",
    }
}

fn glue(subject: &Subject<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for text in subject.sentences {
        let words = words(text);
        let begins = |at: usize| at == 0 || matches!(words[at - 1].as_str(), ";" | "," | "and");
        let glues = |at: &usize| begins(*at) && GLUE.contains(&words[*at].as_str());
        let word = (0..words.len()).find(glues).map(|at| &words[at]);
        let as_if = words
            .windows(2)
            .any(|pair| pair[0] == "as" && pair[1] == "if");
        if let Some(word) = word {
            found.push(Finding::new(
                Check::Glue,
                format!("leave out \"{word}\": \"{text}\""),
            ));
        } else if as_if {
            found.push(Finding::new(
                Check::Glue,
                format!("leave out \"as if\": \"{text}\""),
            ));
        }
    }
    found
}

fn present<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = &'a Told> {
    let told = subject.reading.told.iter();
    told.filter(|t| t.statement.polarity == Polarity::Present)
}

fn absent<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = &'a Told> {
    let told = subject.reading.told.iter();
    told.filter(|t| t.statement.polarity == Polarity::Absent)
}

/// The same unit claimed and denied.
fn contradictions(subject: &Subject<'_>) -> Vec<Finding> {
    let denied = |unit: ActionUnit| absent(subject).any(|t| t.statement.unit == unit);
    let mut units: Vec<_> = present(subject)
        .map(|t| t.statement.unit)
        .filter(|&u| denied(u))
        .collect();
    units.sort_unstable();
    units.dedup();
    let detail = |unit| format!("{unit} is both claimed and denied");
    units
        .into_iter()
        .map(|u| Finding::new(Check::Contradiction, detail(u)))
        .collect()
}

/// A rival that is named without the cue that decides, there or in the next sentence.
fn empty_rivals(subject: &Subject<'_>) -> Vec<Finding> {
    let interpretation = sentences(&subject.chain.interpretation);
    let names_rival = |text: &str| {
        let rivals = labels::stances(text).into_iter();
        rivals
            .map(|(e, _)| e)
            .any(|e| e != subject.label && e != Expression::Neutral)
    };
    let has_cue = |at: usize| interpretation.get(at).is_some_and(|text| names_a_cue(text));
    let empty = (0..interpretation.len())
        .filter(|&at| names_rival(interpretation[at]))
        .filter(|&at| !has_cue(at) && !has_cue(at + 1) && (at == 0 || !has_cue(at - 1)));
    let detail = |at: usize| format!("say which cue decides: \"{}\"", interpretation[at]);
    empty
        .map(|at| Finding::new(Check::EmptyRival, detail(at)))
        .collect()
}

/// Whether a unit may be called absent: measured, and clearly below the threshold or above it
/// (which is another check's business).
fn is_uncertain(units: &AuVector, unit: ActionUnit) -> bool {
    units
        .get(unit)
        .is_none_or(|v| v.get() >= UNCERTAIN && !v.is_active())
}

fn absences(subject: &Subject<'_>) -> Vec<Finding> {
    let units = subject.units;
    // "It closes the mouth" claims something and denies nothing.
    let is_denial = |t: &&Told| !matches!(t.action, Some(Action::Close | Action::Open));
    let mut found: Vec<(ActionUnit, usize)> = absent(subject)
        .filter(is_denial)
        .map(|t| (t.statement.unit, t.statement.sentence))
        .filter(|(unit, _)| is_uncertain(units, *unit))
        .collect();
    for (sentence, still) in subject.reading.still.iter().filter(|(_, s)| !s.loosely) {
        let at_rest = subject.reading.units_at_rest(still);
        let is_measured = |unit: &ActionUnit| units.get(*unit).is_some();
        let any_measured = at_rest.iter().any(is_measured);
        let uncertain = |unit: &ActionUnit| is_uncertain(units, *unit);
        let counts = |unit: &ActionUnit| is_measured(unit) || !any_measured;
        found.extend(
            at_rest
                .into_iter()
                .filter(counts)
                .filter(uncertain)
                .map(|u| (u, *sentence)),
        );
    }
    let mut details: Vec<_> = found
        .into_iter()
        .map(|(u, at)| absence(subject, u, at))
        .collect();
    details.dedup();
    details
        .into_iter()
        .map(|detail| Finding::new(Check::Absence, detail))
        .collect()
}

fn absence(subject: &Subject<'_>, unit: ActionUnit, sentence: usize) -> String {
    let text = subject.sentences.get(sentence).copied().unwrap_or_default();
    match subject.units.get(unit) {
        None => format!("{unit} was not measured, so say nothing of it: \"{text}\""),
        Some(_) => format!("{unit} is too near to the threshold to be denied: \"{text}\""),
    }
}

/// One side told alone where the other is nearly as strong.
fn asymmetries(subject: &Subject<'_>) -> Vec<Finding> {
    // "A frown" names no side.
    let of_each = |t: &&Told| t.of_each;
    let told = |unit: ActionUnit| {
        let mut each = present(subject).filter(of_each);
        each.any(|t| t.statement.unit == unit)
    };
    let units = subject.units;
    let apart = |a: ActionUnit, b: ActionUnit| (units[a].get() - units[b].get()).abs();
    let is_lone = |unit: &ActionUnit| {
        let other = unit.mirrored();
        unit.side() != Side::Both
            && told(*unit)
            && !told(other)
            && apart(*unit, other) < NO_ASYMMETRY
    };
    let lone = ActionUnit::ALL.into_iter().filter(is_lone);
    let detail = |u: ActionUnit| format!("the sides differ too little to tell {u} alone");
    lone.map(|unit| Finding::new(Check::Asymmetry, detail(unit)))
        .collect()
}

/// One word of certainty, and none that is taken back.
fn certainty(subject: &Subject<'_>) -> Vec<Finding> {
    const CERTAINTIES: &[&str] = &[
        "clearly",
        "probably",
        "tentatively",
        "certainly",
        "possibly",
    ];
    let words = words(&subject.chain.conclusion);
    let said = |c: &&&str| words.iter().any(|word| word == **c);
    let count = CERTAINTIES.iter().filter(said).count();
    let detail = "one word of certainty is enough in the conclusion";
    (count > 1)
        .then(|| Finding::new(Check::Certainty, detail))
        .into_iter()
        .collect()
}

/// Words of strength against the finer bands of the guide; closed eyes are not "narrowed".
fn degrees(subject: &Subject<'_>) -> Vec<Finding> {
    let wrong = present(subject)
        .filter(|told| told.statement.supported)
        .filter_map(|told| {
            let unit = told.statement.unit;
            let (from, to) = told.degree?.band();
            let fits = |u| (from - TOLERANCE..=to + TOLERANCE).contains(&subject.units[u].get());
            // Both sides together may take the word of either.
            let fits = fits(unit) || fits(unit.mirrored());
            (!fits && subject.units[unit].is_active()).then_some((unit, told.statement.sentence))
        });
    let narrowed = present(subject).filter(|told| {
        let value = subject.units[told.statement.unit].get();
        let closes = told.statement.unit.info().movement == "eye close";
        told.action == Some(Action::Squint) && closes && value >= 0.85
    });
    let wrong = wrong.chain(narrowed.map(|told| (told.statement.unit, told.statement.sentence)));
    let detail = |(unit, at): (ActionUnit, usize)| {
        let text = subject.sentences.get(at).copied().unwrap_or_default();
        format!("another word of strength for {unit}: \"{text}\"")
    };
    wrong
        .map(|found| Finding::new(Check::Degree, detail(found)))
        .collect()
}

/// Lip corners alone make no smile genuine.
fn felt(subject: &Subject<'_>) -> Vec<Finding> {
    use ActionUnit as Au;
    let reaches_eyes = [
        Au::LeftEyeClose,
        Au::RightEyeClose,
        Au::LeftCheekRaise,
        Au::RightCheekRaise,
        Au::LeftLidTighten,
        Au::RightLidTighten,
    ];
    if reaches_eyes
        .iter()
        .any(|&unit| subject.units[unit].is_active())
    {
        return Vec::new();
    }
    let felt = |text: &&&str| {
        let words = words(text);
        words.windows(2).any(|pair| {
            matches!(
                pair[0].as_str(),
                "genuine" | "felt" | "sincere" | "authentic"
            ) && pair[1] == "smile"
        }) && !words
            .iter()
            .any(|w| matches!(w.as_str(), "not" | "no" | "than"))
    };
    let found = subject.sentences.iter().filter(felt);
    let detail = |text: &&str| format!("lip corners alone make no smile genuine: \"{text}\"");
    found
        .map(|text| Finding::new(Check::FeltSmile, detail(text)))
        .collect()
}
