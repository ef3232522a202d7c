//! The reader against chains and sentences as a professional writes them.
//!
//! `data/chains_by_hand.jsonl` holds 64 chains written by hand for real intensities; each of
//! their statements is right. `data/sentences.csv` holds sentences with what each of them claims
//! of a face in which every unit is at rest (`-` before a unit that is denied).

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use std::collections::BTreeSet;

use expllm_core::{
    ActionUnit, AuStatement, AuVector, ChainOfThought, Expression, ExpressionSet, GroundingReport,
    Intensity, Polarity,
};
use expllm_cot::{Check, Checker, concludes, ground, sentences, statements};
use proptest::prelude::*;

struct Record {
    label: Expression,
    units: AuVector,
    chain: ChainOfThought,
}

fn by_hand() -> Vec<Record> {
    let lines = include_str!("data/chains_by_hand.jsonl").lines();
    lines
        .map(|line| record(&serde_json::from_str(line).unwrap()))
        .collect()
}

fn record(row: &serde_json::Value) -> Record {
    let values: Vec<f32> = serde_json::from_value(row["au"].clone()).unwrap();
    Record {
        label: row["emo"].as_str().unwrap().parse().unwrap(),
        units: AuVector::from_feafa(&values).unwrap(),
        chain: row["description"].as_str().unwrap().parse().unwrap(),
    }
}

/// Supported statements over all, and named units over active ones.
fn precision_and_recall<'a>(reports: impl Iterator<Item = &'a GroundingReport>) -> (f64, f64) {
    let [mut supported, mut all, mut named, mut active] = [0; 4];
    for report in reports {
        supported += report.statements.iter().filter(|s| s.supported).count();
        all += report.statements.len();
        named += report.active - report.omitted.len();
        active += report.active;
    }
    (
        f64::from(supported as u32) / all as f64,
        f64::from(named as u32) / active as f64,
    )
}

#[test]
fn chains_by_hand_are_found_right() {
    let records = by_hand();
    assert_eq!(records.len(), 64);
    let reports: Vec<_> = records.iter().map(|r| ground(&r.chain, &r.units)).collect();
    let (precision, recall) = precision_and_recall(reports.iter());
    let label = |r: &&Record| concludes(&r.chain.conclusion, r.label);
    let labelled = records.iter().filter(label).count() as f64 / 64.0;
    println!("precision {precision:.4}, recall {recall:.4}, label {labelled:.4} of 64 chains");
    assert!(precision >= 0.98 && recall >= 0.98 && labelled >= 0.98);
}

/// Held against the face of another record, the same chains are mostly wrong.
#[test]
fn chains_by_hand_do_not_fit_other_faces() {
    let records = by_hand();
    let reports: Vec<_> = (0..64)
        .map(|i| ground(&records[i].chain, &records[(i + 1) % 64].units))
        .collect();
    let (precision, recall) = precision_and_recall(reports.iter());
    println!("against other faces: precision {precision:.4}, recall {recall:.4}");
    assert!(precision < 0.65 && recall < 0.55);
}

/// Whatever a chain claims of one active unit is found wrong when that unit is at rest.
#[test]
fn a_movement_that_is_taken_away_is_missed() {
    for record in by_hand() {
        for (unit, _) in record.units.active() {
            let mut units = record.units;
            units.set(unit, Intensity::ZERO);
            let report = ground(&record.chain, &units);
            let wrong = report.statements.iter().filter(|s| !s.supported);
            assert!(
                wrong.clone().any(|s| s.unit == unit),
                "{unit}: {}",
                record.chain
            );
        }
    }
}

/// A chain that observes this and says no more.
fn observed(text: &str) -> ChainOfThought {
    ChainOfThought {
        key_observations: text.to_owned(),
        interpretation: String::new(),
        conclusion: String::new(),
    }
}

fn found(statements: &[AuStatement]) -> BTreeSet<String> {
    let name = |s: &AuStatement| match s.polarity {
        Polarity::Present => s.unit.snake_case().to_owned(),
        Polarity::Absent => format!("-{}", s.unit.snake_case()),
    };
    statements.iter().map(name).collect()
}

fn sentence_cases(file: &[u8]) -> Vec<(String, BTreeSet<String>)> {
    let mut rows = csv::Reader::from_reader(file);
    let case = |row: csv::StringRecord| {
        let claims = row[1].split_whitespace().map(str::to_owned).collect();
        (row[0].to_owned(), claims)
    };
    rows.records().map(|row| case(row.unwrap())).collect()
}

#[test]
fn sentences_claim_deny_and_suppose_as_a_person_reads_them() {
    let feafa = AuVector::from_feafa(&[0.0; 24]).unwrap();
    for (text, expected) in sentence_cases(include_bytes!("data/sentences.csv")) {
        let chain = observed(&text);
        let report = ground(&chain, &feafa);
        let all: Vec<_> = [report.statements, report.not_checkable].concat();
        assert_eq!(found(&all), expected, "{text}");
    }
}

/// Sentences of a language model that an earlier reader took amiss, judged by hand, on a face of which
/// every unit was measured and rests. What is still misread is printed.
#[test]
fn sentences_of_a_language_model_are_read_as_a_person_reads_them() {
    let cases = sentence_cases(include_bytes!("data/misread.csv"));
    let mut right = 0;
    for (text, expected) in &cases {
        let read = found(&ground(&observed(text), &AuVector::REST).statements);
        right += usize::from(read == *expected);
        if read != *expected {
            println!("{text}\n  read {read:?}\n  not  {expected:?}");
        }
    }
    println!("{right} of {} sentences", cases.len());
    assert!(right * 10 >= cases.len() * 9);
}

/// The same for conclusions: each is about its label, and claims no other.
#[test]
fn conclusions_of_a_language_model_are_about_their_labels() {
    let mut rows = csv::Reader::from_reader(&include_bytes!("data/conclusions.csv")[..]);
    let checker = Checker::default();
    let (mut right, mut all) = (0, 0);
    for row in rows.records() {
        let row = row.unwrap();
        let label: Expression = row[1].parse().unwrap();
        let mut chain = observed("The face.");
        chain.interpretation = "It moves.".to_owned();
        chain.conclusion = row[0].to_owned();
        let text = format!("{chain}");
        let findings = checker.check(&text, label, &AuVector::REST).findings;
        let wrong = findings
            .iter()
            .filter(|f| matches!(f.check, Check::Label | Check::OtherLabel));
        let wrong: Vec<_> = wrong.collect();
        right += usize::from(wrong.is_empty());
        all += 1;
        if !wrong.is_empty() {
            println!("{label}: {} {wrong:?}", &row[0]);
        }
    }
    println!("{right} of {all} conclusions");
    assert!(right * 10 >= all * 9);
}

/// The word of strength of narrowed eyes is not charged to lids that are tightened less.
#[test]
fn a_word_of_strength_belongs_to_its_own_movement() {
    let mut units = AuVector::REST;
    for (unit, value) in [
        (ActionUnit::LeftEyeClose, 0.5),
        (ActionUnit::RightEyeClose, 0.5),
        (ActionUnit::LeftLidTighten, 0.25),
        (ActionUnit::RightLidTighten, 0.25),
        (ActionUnit::LeftBrowLower, 0.5),
        (ActionUnit::RightBrowLower, 0.5),
        (ActionUnit::LeftBrowRaise, 0.25),
        (ActionUnit::RightBrowRaise, 0.25),
    ] {
        units.set(unit, Intensity::clamped(value));
    }
    for text in [
        "The eyes narrow moderately.",
        "The brows are lowered moderately and raised slightly.",
        "The eyes narrow moderately, with slightly tightened lower lids.",
    ] {
        let found = statements(&[text], &units);
        for statement in &found {
            let fits = statement
                .strength
                .is_none_or(|s| s == units[statement.unit].strength());
            assert!(statement.supported && fits, "{text} {statement:?}");
        }
        assert!(!found.is_empty());
    }
}

/// What was not measured is neither right nor wrong.
#[test]
fn units_that_were_not_measured_are_counted_apart() {
    let chain = observed("The lips are pressed together. The jaw drops.");
    let feafa = ground(&chain, &AuVector::from_feafa(&[0.0; 24]).unwrap());
    assert_eq!(feafa.statements.len(), 1);
    assert_eq!(feafa.not_checkable.len(), 1);
    assert_eq!(feafa.not_checkable[0].unit, ActionUnit::LipPress);
    let all = ground(&chain, &AuVector::REST);
    assert_eq!((all.statements.len(), all.not_checkable.len()), (2, 0));
    assert_eq!(all.precision(), Some(0.0));
}

/// Tightened lids narrow the eyes; parted lips open the mouth; raised inner brows raise brows.
#[test]
fn a_movement_may_be_seen_through_another_unit() {
    let cases = [
        ("The left eye is narrowed.", ActionUnit::LeftLidTighten),
        ("The mouth is open.", ActionUnit::LowerLipDepress),
        ("The left brow is raised.", ActionUnit::LeftInnerBrowRaise),
    ];
    for (text, unit) in cases {
        let mut units = AuVector::REST;
        let wrong = statements(&[text], &units);
        assert!(wrong.iter().all(|s| !s.supported), "{text}");
        units.set(unit, Intensity::clamped(0.5));
        let right = statements(&[text], &units);
        assert!(right.iter().all(|s| s.supported), "{text} {right:?}");
    }
}

fn swap_sides(text: &str) -> String {
    text.replace("left", "\0")
        .replace("right", "left")
        .replace('\0', "right")
}

/// Left and right may be exchanged in text and face alike.
#[test]
fn mirrored_chains_fit_mirrored_faces() {
    for record in by_hand() {
        for part in [&record.chain.key_observations, &record.chain.interpretation] {
            let here = statements(&sentences(part), &record.units);
            let swapped = swap_sides(part);
            let there = statements(&sentences(&swapped), &record.units.mirrored());
            let mirrored =
                |s: &AuStatement| (s.unit.mirrored(), s.polarity, s.sentence, s.supported);
            let key = |s: &AuStatement| (s.unit, s.polarity, s.sentence, s.supported);
            let mut expected: Vec<_> = here.iter().map(mirrored).collect();
            let mut got: Vec<_> = there.iter().map(key).collect();
            expected.sort_by_key(|k| (k.2, k.0));
            got.sort_by_key(|k| (k.2, k.0));
            assert_eq!(got, expected, "{swapped}");
        }
    }
}

proptest! {
    /// No text panics, and what is found points into it.
    #[test]
    fn any_text_can_be_read(text in "(?s).{0,300}") {
        let found = statements(&sentences(&text), &AuVector::REST);
        let count = sentences(&text).len();
        prop_assert!(found.iter().all(|s| s.sentence < count));
    }

    /// Words of the face in any order do not panic either.
    #[test]
    fn any_words_of_the_face_can_be_read(words in prop::collection::vec(
        prop::sample::select(vec![
            "the", "left", "right", "both", "brow", "brows", "eyes", "lip", "lips", "corner",
            "raised", "lowered", "drop", "not", "no", "neither", "would", "anger", "and", ",",
            "but", "which", "smile", "is", "it", "follows", "missing", "only", "as", ";",
        ]), 0..25)) {
        let text = words.join(" ");
        let found = statements(&[&text], &AuVector::REST);
        prop_assert!(found.iter().all(|s| s.sentence == 0));
    }

    /// What anger would do says nothing of the face.
    #[test]
    fn what_a_mood_would_do_is_no_claim(
        mood in prop::sample::select(vec!["Anger", "A laugh", "Surprise", "Fear", "A happy face"]),
        verb in prop::sample::select(vec!["would lower", "might raise", "could raise", "usually lowers"]),
        part in prop::sample::select(vec!["the brows", "the upper lip", "the lids", "both lip corners"]),
    ) {
        let text = format!("{mood} {verb} {part}.");
        prop_assert_eq!(statements(&[&text], &AuVector::REST), vec![]);
    }
}

/// Records by hand that deny what lies between 0.1 and the threshold, which is no evidence of
/// rest; they were written before the guide said so.
const DENY_TOO_MUCH: &[&str] = &[
    "0032", "0104", "0471", "0692", "0762", "1059", "1070", "1112", "1482", "1569", "1624", "1785",
    "1788", "1886", "1987", "2160", "2259", "2270", "2309", "2361", "2435", "2462",
];

/// Records by hand that tell one side where the other differs by less than 0.1.
const TELL_ONE_SIDE: &[&str] = &["0032", "0104", "1070", "1569", "2259", "2309", "2462"];

/// Every check of the guide passes, but for the two points that are younger than the chains.
#[test]
fn chains_by_hand_keep_to_the_guide() {
    let checker = Checker {
        guide: true,
        set: ExpressionSet::Seven,
        ..Checker::default()
    };
    for line in include_str!("data/chains_by_hand.jsonl").lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let known = record(&row);
        let text = row["description"].as_str().unwrap();
        let findings = checker.check(text, known.label, &known.units).findings;
        let name = row["file_name"].as_str().unwrap();
        let number = name.split('_').nth(1).unwrap();
        let has = |check| findings.iter().any(|f| f.check == check);
        assert_eq!(
            has(Check::Absence),
            DENY_TOO_MUCH.contains(&number),
            "{findings:?}"
        );
        assert_eq!(
            has(Check::Asymmetry),
            TELL_ONE_SIDE.contains(&number),
            "{findings:?}"
        );
        let others = findings
            .iter()
            .filter(|f| !matches!(f.check, Check::Absence | Check::Asymmetry));
        assert_eq!(others.count(), 0, "{name} {findings:?}");
    }
}
