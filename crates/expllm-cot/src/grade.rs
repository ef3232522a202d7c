//! Grades a data set as a whole.

use std::collections::BTreeMap;

use expllm_core::{ActionUnit, AuVector, Polarity};
use serde::Serialize;

use crate::judge::{ChainScore, ScoreSums, Variety};
use crate::repetition::Repetitions;
use crate::{Check, Checker, CotRecord, Finding, Row, Status};

/// How many of the worst records are kept for reading.
const WORST: usize = 10;

/// Claims of one unit over a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UnitGrade {
    /// Records in which the unit is active.
    pub active: u64,
    /// Of these, records that claim it.
    pub named: u64,
    /// Statements about the unit, claims and denials.
    pub statements: u64,
    /// Of these, statements that its intensity supports.
    pub supported: u64,
}

impl UnitGrade {
    /// Share of statements that are supported; `None` without statements.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        share(self.supported, self.statements)
    }

    /// Share of active occurrences that are named; `None` when it is never active.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        share(self.named, self.active)
    }
}

/// One record with what was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// Path of the image.
    pub file_name: String,
    /// The text.
    pub description: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// The grade of a data set. Shares are from 0 to 1, and `None` where nothing was counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Grade {
    /// Rows, also those that cannot be used.
    pub records: u64,
    /// Rows that cannot be used, with line and reason (the first hundred).
    pub bad_rows: Vec<(u64, String)>,
    /// Number of rows that cannot be used.
    pub bad: u64,
    /// Usable rows without any text.
    pub without_text: u64,
    /// Rows that a build set aside; their texts failed the checks and are not graded.
    pub set_aside: u64,
    /// Texts in which all three parts were found.
    pub parsed: u64,
    /// Parsed texts above the word limit.
    pub over_limit: u64,
    /// Share of parsed texts that conclude on the label.
    pub label_in_conclusion: Option<f64>,
    /// Mean over texts of the share of statements about units that the intensities support.
    pub grounding_precision: Option<f64>,
    /// Mean over texts of the share of active units that are claimed.
    pub grounding_recall: Option<f64>,
    /// Statements about units that were not measured: neither supported nor unsupported.
    pub not_checkable: u64,
    /// Parsed texts whose conclusion stands more than once in two hundred of its label.
    pub repeated_conclusions: u64,
    /// Different pairs of neighbouring words (lower-case runs of letters, headings included)
    /// over all such pairs.
    pub distinct_2: Option<f64>,
    /// Mean words of parsed texts, headings included, split at white space.
    pub mean_words: Option<f64>,
    /// Parsed texts that are nearly the same as an earlier one.
    pub near_duplicates: u64,
    /// Records with at least one finding of each check.
    pub findings: BTreeMap<&'static str, u64>,
    /// Per unit, in AU order.
    pub units: BTreeMap<&'static str, UnitGrade>,
    /// Records with the most findings.
    pub worst: Vec<Example>,
}

/// Grades rows one by one.
#[derive(Debug)]
pub struct Grader {
    checker: Checker,
    grade: Grade,
    units: [UnitGrade; ActionUnit::COUNT],
    scores: ScoreSums,
    words: u64,
    variety: Variety,
    repetitions: Repetitions,
}

impl Grader {
    /// A grader with these checks.
    #[must_use]
    pub fn new(checker: Checker) -> Self {
        Self {
            checker,
            grade: Grade::default(),
            units: [UnitGrade::default(); ActionUnit::COUNT],
            scores: ScoreSums::default(),
            words: 0,
            variety: Variety::default(),
            repetitions: Repetitions::default(),
        }
    }

    /// Counts one row.
    pub fn add(&mut self, row: &Row) {
        self.grade.records += 1;
        if row.raw["status"] == Status::SetAside.name() {
            self.grade.set_aside += 1;
            return;
        }
        match &row.record {
            Err(reason) => {
                self.grade.bad += 1;
                if self.grade.bad_rows.len() < 100 {
                    self.grade.bad_rows.push((row.line, reason.clone()));
                }
            }
            Ok(record) => match &record.description {
                Some(text) => self.add_text(record, text),
                None => self.grade.without_text += 1,
            },
        }
    }

    fn add_text(&mut self, record: &CotRecord, text: &str) {
        let units = record.units.unwrap_or_default();
        let checked = self.checker.check(text, record.label, &units);
        let mut findings = checked.findings;
        if let Some(chain) = &checked.chain {
            self.grade.parsed += 1;
            let words = chain.word_count();
            self.words += words as u64;
            self.grade.over_limit += u64::from(words > self.checker.word_limit);
            let report = record.units.is_some().then_some(&checked.report);
            let score = ChainScore::from_report(chain, report, Some(record.label));
            self.grade.not_checkable += score.not_checkable as u64;
            self.scores.add(&score);
            if record.units.is_some() {
                self.count_units(&units, &checked.report.statements);
            } else {
                findings.retain(|f| !f.check.is_about_units());
            }
            let canonical = chain.to_string();
            self.variety.add(chain, Some(record.label));
            if let Some(earlier) = self.repetitions.add(&canonical, &record.file_name) {
                self.grade.near_duplicates += 1;
                let detail = format!("nearly the same text as {earlier}");
                findings.push(Finding::new(Check::Repetition, detail));
            }
        }
        let mut names: Vec<_> = findings.iter().map(|f| f.check.name()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            *self.grade.findings.entry(name).or_default() += 1;
        }
        self.keep_if_bad(record, text, findings);
    }

    fn count_units(&mut self, units: &AuVector, statements: &[expllm_core::AuStatement]) {
        let mut named = [false; ActionUnit::COUNT];
        for statement in statements {
            let unit = &mut self.units[statement.unit.index()];
            unit.statements += 1;
            unit.supported += u64::from(statement.supported);
            named[statement.unit.index()] |= statement.polarity == Polarity::Present;
        }
        for (unit, _) in units.active() {
            self.units[unit.index()].active += 1;
            self.units[unit.index()].named += u64::from(named[unit.index()]);
        }
    }

    fn keep_if_bad(&mut self, record: &CotRecord, text: &str, findings: Vec<Finding>) {
        let fewest = self.grade.worst.last().map_or(0, |e| e.findings.len());
        if findings.is_empty() || (self.grade.worst.len() >= WORST && findings.len() <= fewest) {
            return;
        }
        self.grade.worst.push(Example {
            file_name: record.file_name.clone(),
            description: text.to_owned(),
            findings,
        });
        self.grade
            .worst
            .sort_by_key(|e| std::cmp::Reverse(e.findings.len()));
        self.grade.worst.truncate(WORST);
    }

    /// The grade of everything counted.
    #[must_use]
    pub fn finish(mut self) -> Grade {
        let mean = self.scores.mean();
        self.grade.grounding_precision = mean.grounding_precision;
        self.grade.grounding_recall = mean.grounding_recall;
        self.grade.label_in_conclusion = mean.label_in_conclusion;
        self.grade.distinct_2 = self.variety.distinct_2();
        let repeated = self.variety.repeated_conclusions() as u64;
        self.grade.repeated_conclusions = repeated;
        if self.checker.guide && repeated > 0 {
            let name = Check::RepeatedConclusion.name();
            self.grade.findings.insert(name, repeated);
        }
        self.grade.mean_words = share(self.words, self.grade.parsed);
        let names = ActionUnit::ALL.map(ActionUnit::snake_case);
        self.grade.units = names.into_iter().zip(self.units).collect();
        self.grade
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
