//! The reader against sixty official texts annotated by hand, and against the composer.
//!
//! `data/statements.csv` holds what a person read in each sentence (a movement claimed or denied,
//! per unit); the texts themselves are not part of the project. A movement without a side counts
//! for both sides, movement without a direction ("minimal brow movement") is no statement, and a
//! smile is a pull of the lip corners.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use std::collections::{BTreeMap, BTreeSet};

use expllm_core::{AuVector, ChainOfThought, Expression, ExpressionSet, Intensity, Polarity};
use expllm_cot::{Checker, Composer, CotRecord, Grader, Row, chain_sentences, ground, statements};

type Found = BTreeSet<(usize, String, bool)>;

struct Record {
    file_name: String,
    label: Expression,
    units: AuVector,
    description: String,
}

fn official() -> Option<Vec<Record>> {
    let path = expllm_testing::shared("data/rafdb_cot_dev.json")?;
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    Some(rows.iter().map(record).collect())
}

fn record(row: &serde_json::Value) -> Record {
    let text = |key: &str| row[key].as_str().unwrap().to_owned();
    let values: Vec<f32> = serde_json::from_value(row["au"].clone()).unwrap();
    Record {
        file_name: text("file_name"),
        label: text("emo").parse().unwrap(),
        units: AuVector::from_feafa(&values).unwrap(),
        description: text("description"),
    }
}

fn annotated() -> BTreeMap<String, Found> {
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    let mut rows = csv::Reader::from_reader(&include_bytes!("data/statements.csv")[..]);
    for row in rows.records() {
        let row = row.unwrap();
        let found = all.entry(row[0].to_owned()).or_default();
        if !row[1].is_empty() {
            found.insert((
                row[1].parse().unwrap(),
                row[2].to_owned(),
                &row[3] == "present",
            ));
        }
    }
    all
}

#[test]
fn hand_annotations_are_found() {
    let Some(records) = official() else { return };
    let annotated = annotated();
    assert_eq!(annotated.len(), 60);
    let (mut hits, mut wanted, mut given) = (0, 0, 0);
    for record in records
        .iter()
        .filter(|r| annotated.contains_key(&r.file_name))
    {
        let chain: ChainOfThought = record.description.parse().unwrap();
        let sentences = chain_sentences(&chain);
        let expected = &annotated[&record.file_name];
        let found: Found = statements(&sentences, &record.units)
            .into_iter()
            .map(|s| {
                (
                    s.sentence,
                    s.unit.snake_case().to_owned(),
                    s.polarity == Polarity::Present,
                )
            })
            .collect();
        for extra in found.difference(expected) {
            println!("extra   {extra:?} in {}", sentences[extra.0]);
        }
        for missed in expected.difference(&found) {
            println!("missed  {missed:?} in {}", sentences[missed.0]);
        }
        hits += found.intersection(expected).count();
        wanted += expected.len();
        given += found.len();
    }
    let (recall, precision) = (hits as f64 / wanted as f64, hits as f64 / given as f64);
    println!("recall {recall:.4} precision {precision:.4} of {wanted} statements");
    assert!(
        recall >= 0.95 && precision >= 0.95,
        "{recall:.4} {precision:.4}"
    );
}

#[test]
fn composed_chains_claim_the_active_units_and_no_other() {
    let Some(records) = official() else { return };
    let mut unlike = 0;
    for (seed, record) in records.iter().enumerate() {
        let set = ExpressionSet::Seven;
        let chain = Composer.compose(&record.units, record.label, set, seed as u64);
        let report = ground(&chain, &record.units);
        let bad = report.offending_sentences();
        let sentences: Vec<_> = bad.iter().map(|&i| &report.sentences[i]).collect();
        assert!(
            bad.is_empty(),
            "{}: {sentences:?} {:?}",
            record.file_name,
            report.statements
        );
        assert!(
            report.omitted.is_empty(),
            "{:?} not in {chain}",
            report.omitted
        );
        for statement in &report.statements {
            // The bands of the guide are not those of the core; between the two a word may differ.
            let near = |apart: f32| {
                let value = record.units[statement.unit].get() + apart;
                Intensity::clamped(value).strength()
            };
            let Some(claimed) = statement.strength else {
                continue;
            };
            if !(near(-0.1)..=near(0.1)).contains(&claimed) {
                println!("{statement:?}: {}", report.sentences[statement.sentence]);
                unlike += 1;
            }
        }
    }
    assert_eq!(unlike, 0, "words of strength that do not fit");
}

/// The figures that the composer promises over the official faces, by the grader of `cot check`.
#[test]
fn composed_chains_of_the_official_faces_are_varied_and_short() {
    let Some(records) = official() else { return };
    let set = ExpressionSet::Seven;
    let mut grader = Grader::new(Checker {
        set,
        ..Checker::default()
    });
    for (seed, record) in records.iter().enumerate() {
        let chain = Composer.compose(&record.units, record.label, set, seed as u64);
        let record = CotRecord {
            file_name: record.file_name.clone(),
            label: record.label,
            units: Some(record.units),
            description: Some(chain.to_string()),
        };
        grader.add(&Row {
            line: seed as u64 + 1,
            record: Ok(record),
            raw: serde_json::Value::Null,
        });
    }
    let grade = grader.finish();
    println!(
        "distinct-2 {:?}, words {:?}",
        grade.distinct_2, grade.mean_words
    );
    assert_eq!((grade.parsed, grade.over_limit), (2500, 0));
    assert_eq!(grade.label_in_conclusion, Some(1.0));
    assert_eq!(grade.grounding_precision, Some(1.0));
    assert_eq!(grade.grounding_recall, Some(1.0));
    // Whole sentences share more pairs of words than shuffled ones do.
    assert!(grade.distinct_2 >= Some(0.04), "{:?}", grade.distinct_2);
    let repeated = grade.findings.get("repetition");
    println!("nearly the same text as another: {repeated:?} of 2500");
    let others = grade.findings.keys().filter(|&&c| c != "repetition");
    assert_eq!(others.count(), 0, "{:?}", grade.findings);
}

/// Of the conclusions of one label, at most one in two hundred is the same sentence (three where
/// the label has fewer than six hundred faces).
#[test]
fn conclusions_do_not_repeat() {
    let Some(records) = official() else { return };
    let mut all: BTreeMap<Expression, BTreeMap<String, usize>> = BTreeMap::new();
    for (seed, record) in records.iter().enumerate() {
        let set = ExpressionSet::Seven;
        let chain = Composer.compose(&record.units, record.label, set, seed as u64);
        let label = all.entry(record.label).or_default();
        *label.entry(chain.conclusion).or_default() += 1;
    }
    for (label, conclusions) in all {
        let faces: usize = conclusions.values().sum();
        let (text, most) = conclusions.iter().max_by_key(|(_, n)| **n).unwrap();
        println!(
            "{label}: {} conclusions of {faces} faces",
            conclusions.len()
        );
        assert!(*most <= 3.max(faces / 200), "{most} times: {text}");
    }
}

/// Random faces, also with many active units and uneven sides, without any data.
#[test]
fn composed_chains_of_random_faces_are_grounded() {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    for seed in 0..3000 {
        let share = rng.random_range(0.0..0.9);
        let values = std::array::from_fn(|_| match rng.random_bool(share) {
            true => rng.random_range(0.0..=1.0),
            false => 0.0,
        });
        let units = AuVector::from_feafa_clamped(values);
        let label = Expression::ALL[rng.random_range(0..8)];
        let chain = Composer.compose(&units, label, ExpressionSet::Eight, seed);
        let report = ground(&chain, &units);
        assert_eq!(
            report.recall().unwrap_or(1.0),
            1.0,
            "{:?} {chain}",
            report.omitted
        );
        assert_eq!(
            report.precision().unwrap_or(1.0),
            1.0,
            "{:?} {chain}",
            report.statements
        );
    }
}
