//! The figures of `metrics.json`.

use std::collections::{BTreeMap, BTreeSet};

use expllm_core::{ActionUnit, Expression, ExpressionSet};
use expllm_data::{FacsUnit, Record, Split};
use expllm_metrics::{
    Agreement, Bootstrap, Calibration, Confusion, Estimate, Groups, MetricError, Occurrence,
    average_precision, mean_f1, roc_auc, top_k_accuracy,
};
use serde::Serialize;

use super::prediction::Prediction;

/// Bins of the reliability diagram.
const BINS: usize = 15;
/// Everything that is counted and measured; `metrics.json` is this object.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Records graded: those with a label in the set, failures included.
    pub n: usize,
    /// Items left out: of the data set, or without a label.
    pub skipped: usize,
    /// Graded records without an answer; they count as wrong.
    pub failed: usize,
    /// Each metric by its name.
    #[serde(flatten)]
    pub metrics: BTreeMap<String, Estimate>,
    /// The confusion matrix behind them.
    pub confusion: Confusion,
    /// The reliability diagram, when there are probabilities.
    pub calibration: Calibration,
    /// One matrix per subject, when there are subjects.
    pub subjects: Vec<(String, Confusion)>,
    /// What a reader of the figures must know: mixed splits, subjects in several of them.
    pub notes: Vec<String>,
    /// Agreement per action unit, when the data set has them.
    pub units: Vec<UnitFigures>,
}

/// How well one unit is read.
#[derive(Debug, Clone, Serialize)]
pub struct UnitFigures {
    /// Name of the unit, or its FACS code.
    pub unit: String,
    /// Samples with a label.
    pub n: u64,
    /// F1 of occurrence.
    pub f1: Option<f64>,
    /// ICC(3,1) of intensity.
    pub icc: Option<f64>,
    /// Pearson's correlation.
    pub pcc: Option<f64>,
    /// Mean absolute error on [0, 1].
    pub mae: Option<f64>,
}

impl Figures {
    /// Measures predictions, which are in the order of their records.
    pub fn measure(
        records: &[Record],
        predictions: &[Prediction],
        set: ExpressionSet,
        skipped: usize,
    ) -> Result<Self, MetricError> {
        let classes = set.expressions().len();
        let mut figures = Self {
            n: 0,
            skipped,
            failed: 0,
            metrics: BTreeMap::new(),
            confusion: Confusion::new(classes),
            calibration: Calibration::new(BINS),
            subjects: Vec::new(),
            notes: notes(records),
            units: Vec::new(),
        };
        let mut subjects = Groups::new(classes);
        let mut ranked = Ranked::default();
        for prediction in predictions {
            let Some(truth) = prediction.truth.filter(|t| set.contains(*t)) else {
                figures.skipped += 1;
                continue;
            };
            let answer = prediction
                .answer
                .filter(|a| set.contains(*a))
                .map(Expression::index);
            figures.n += 1;
            figures.failed += usize::from(answer.is_none());
            figures.confusion.add(truth.index(), answer)?;
            if let Some(subject) = &prediction.subject {
                subjects.add(subject, truth.index(), answer)?;
            }
            if let Some(probabilities) = &prediction.probabilities {
                let row: Vec<f64> = probabilities.values()[..classes]
                    .iter()
                    .map(|&p| f64::from(p))
                    .collect();
                figures.calibration.add(truth.index(), &row)?;
                ranked.truth.push(truth.index());
                ranked.scores.push(row);
            }
        }
        figures.subjects = subjects
            .iter()
            .map(|(name, matrix)| (name.to_owned(), matrix.clone()))
            .collect();
        figures.add_classification();
        ranked.add_to(&mut figures.metrics, classes)?;
        figures.add_units(records, predictions)?;
        Ok(figures)
    }

    /// Puts a figure under its name, when there is one.
    pub fn put(&mut self, name: impl Into<String>, estimate: Option<Estimate>) {
        if let Some(estimate) = estimate {
            self.metrics.insert(name.into(), estimate);
        }
    }

    fn add_classification(&mut self) {
        type Figure = fn(&Confusion) -> Option<f64>;
        let all: [(&str, Figure); 7] = [
            ("accuracy", Confusion::accuracy),
            ("uar", Confusion::uar),
            ("macro_f1", Confusion::macro_f1),
            ("uf1", Confusion::uf1),
            ("weighted_f1", Confusion::weighted_f1),
            ("kappa", Confusion::kappa),
            ("mcc", Confusion::mcc),
        ];
        let bootstrap = Bootstrap::default();
        for (name, figure) in all {
            self.put(name, bootstrap.confusion(&self.confusion, figure));
        }
        self.put("ece", bootstrap.ece(&self.calibration));
        let of_subjects = self.subjects.iter();
        let of_subjects: Vec<_> = of_subjects.filter_map(|(_, m)| m.accuracy()).collect();
        self.put("subject_accuracy", bootstrap.mean(&of_subjects));
    }

    fn add_units(
        &mut self,
        records: &[Record],
        predictions: &[Prediction],
    ) -> Result<(), MetricError> {
        let mut pairs: BTreeMap<UnitKey, UnitPairs> = BTreeMap::new();
        for (record, prediction) in records.iter().zip(predictions) {
            let Some(found) = prediction.units else {
                continue;
            };
            if let Some(truth) = record.action_units {
                for (unit, truth) in truth.iter() {
                    let Some(found) = found.get(unit) else {
                        continue;
                    };
                    let (truth, found) = (f64::from(truth.get()), f64::from(found.get()));
                    let entry = pairs.entry(UnitKey::Feafa(unit.index())).or_default();
                    entry.occurrence.add(truth > 0.2, found > 0.2);
                    entry.intensity.add(truth, found)?;
                }
            }
            for (&unit, &label) in &record.facs {
                let code = unit.number().to_string();
                let found = found
                    .iter()
                    .filter(|(u, _)| u.info().facs.contains(&code.as_str()))
                    .map(|(_, intensity)| f64::from(intensity.get()))
                    .reduce(f64::max);
                let Some(found) = found else { continue };
                let entry = pairs.entry(UnitKey::Facs(unit)).or_default();
                match label.ordinal() {
                    Some(grade) if label != expllm_data::FacsLabel::Absent => {
                        entry.occurrence.add(grade >= 2, found >= 0.4);
                        entry.intensity.add(f64::from(grade) / 5.0, found)?;
                    }
                    _ => entry
                        .occurrence
                        .add(label == expllm_data::FacsLabel::Present, found > 0.2),
                }
            }
        }
        self.units = pairs
            .iter()
            .map(|(key, pairs)| pairs.figures(key))
            .collect();
        self.add_unit_means(pairs.values().map(|p| p.occurrence).collect());
        Ok(())
    }

    /// Means over units; their interval is over the units, not over the samples.
    fn add_unit_means(&mut self, occurrence: Vec<Occurrence>) {
        let bootstrap = Bootstrap::default();
        if mean_f1(&occurrence).is_some() {
            let scores: Vec<_> = occurrence.iter().filter_map(Occurrence::f1).collect();
            self.put("au_f1", bootstrap.mean(&scores));
        }
        type Figure = fn(&UnitFigures) -> Option<f64>;
        let means: [(&str, Figure); 3] = [
            ("au_icc", |u| u.icc),
            ("au_pcc", |u| u.pcc),
            ("au_mae", |u| u.mae),
        ];
        for (name, figure) in means {
            let values: Vec<_> = self.units.iter().filter_map(figure).collect();
            self.put(name, bootstrap.mean(&values));
        }
    }
}

/// Says when records of several splits are graded together, and whether subjects lie in more than
/// one of them.
fn notes(records: &[Record]) -> Vec<String> {
    let mut splits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut of_subject: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for record in records {
        let split = record.split.map_or("no split", Split::name);
        *splits.entry(split).or_default() += 1;
        if let Some(subject) = &record.subject {
            of_subject.entry(subject).or_default().insert(split);
        }
    }
    let mut notes = Vec::new();
    if splits.len() > 1 {
        let counts: Vec<_> = splits.iter().map(|(s, n)| format!("{s} {n}")).collect();
        notes.push(format!(
            "Records of several splits are graded together: {}. Choose one with --split.",
            counts.join(", ")
        ));
    }
    let mut several = of_subject.iter().filter(|(_, splits)| splits.len() > 1);
    if let Some((subject, _)) = several.next() {
        notes.push(format!(
            "{} subjects lie in more than one split, such as {subject:?}; figures of a model \
             trained on one of these splits are too good.",
            1 + several.count()
        ));
    }
    notes
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum UnitKey {
    Feafa(usize),
    Facs(FacsUnit),
}

#[derive(Default)]
struct UnitPairs {
    occurrence: Occurrence,
    intensity: Agreement,
}

impl UnitPairs {
    fn figures(&self, key: &UnitKey) -> UnitFigures {
        let unit = match key {
            UnitKey::Feafa(index) => ActionUnit::from_index(*index)
                .map_or("", ActionUnit::name)
                .to_owned(),
            UnitKey::Facs(unit) => format!("AU{unit}"),
        };
        UnitFigures {
            unit,
            n: self.occurrence.n(),
            f1: self.occurrence.f1(),
            icc: self.intensity.icc3(),
            pcc: self.intensity.pcc(),
            mae: self.intensity.mae(),
        }
    }
}

/// Probabilities row by row, for the metrics of ranking.
#[derive(Default)]
struct Ranked {
    truth: Vec<usize>,
    scores: Vec<Vec<f64>>,
}

impl Ranked {
    fn add_to(
        &self,
        metrics: &mut BTreeMap<String, Estimate>,
        classes: usize,
    ) -> Result<(), MetricError> {
        let bootstrap = Bootstrap::default();
        let mut per_row = |name: &str, values: Vec<f64>| {
            if let Some(estimate) = bootstrap.mean(&values) {
                metrics.insert(name.to_owned(), estimate);
            }
        };
        let mut hits = Vec::with_capacity(self.truth.len());
        let mut brier = Vec::with_capacity(self.truth.len());
        for (&truth, row) in self.truth.iter().zip(&self.scores) {
            let hit = top_k_accuracy(&[truth], std::slice::from_ref(row), 2)?;
            hits.push(hit.unwrap_or(0.0));
            let distance = |(c, p): (usize, &f64)| (p - f64::from(u8::from(c == truth))).powi(2);
            brier.push(row.iter().enumerate().map(distance).sum());
        }
        per_row("top_2_accuracy", hits);
        per_row("brier", brier);
        type Figure = fn(&[bool], &[f64]) -> Result<Option<f64>, MetricError>;
        let means: [(&str, Figure); 2] = [
            ("roc_auc", roc_auc),
            ("average_precision", average_precision),
        ];
        for (name, figure) in means {
            let mut values = Vec::new();
            for class in 0..classes {
                let positive: Vec<_> = self.truth.iter().map(|&t| t == class).collect();
                let scores: Vec<_> = self.scores.iter().map(|row| row[class]).collect();
                values.extend(figure(&positive, &scores)?);
            }
            per_row(name, values);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expllm_data::ImageSource;

    use super::*;
    use crate::evaluation::run::blank;

    fn record(id: &str, subject: &str, split: Split, truth: Expression) -> Record {
        Record {
            split: Some(split),
            subject: Some(subject.to_owned()),
            expression: Some(truth),
            ..Record::new(id, ImageSource::file("x"))
        }
    }

    #[test]
    fn mixed_splits_and_subjects_in_several_are_noted() {
        let (a, b) = (Expression::Anger, Expression::Fear);
        let records = [
            record("1", "ann", Split::Train, a),
            record("2", "ann", Split::Valid, a),
            record("3", "bob", Split::Valid, b),
        ];
        let predictions: Vec<_> = records.iter().map(blank).collect();
        let figures = Figures::measure(&records, &predictions, ExpressionSet::Seven, 0).unwrap();
        assert_eq!(figures.notes.len(), 2);
        assert!(
            figures.notes[0].contains("train 1, valid 2"),
            "{:?}",
            figures.notes
        );
        assert!(figures.notes[1].contains("1 subjects") && figures.notes[1].contains("\"ann\""));
        let one = Figures::measure(&records[1..], &predictions[1..], ExpressionSet::Seven, 0);
        assert!(one.unwrap().notes.is_empty());
    }

    #[test]
    fn failures_are_wrong_and_labels_outside_the_set_are_left_out() {
        let truths = [Expression::Anger, Expression::Anger, Expression::Contempt];
        let records: Vec<_> = truths
            .iter()
            .enumerate()
            .map(|(i, &t)| record(&i.to_string(), &format!("s{i}"), Split::Valid, t))
            .collect();
        let mut predictions: Vec<_> = records.iter().map(blank).collect();
        predictions[0].answer = Some(Expression::Anger);
        predictions[1].answer = Some(Expression::Contempt);
        let figures = Figures::measure(&records, &predictions, ExpressionSet::Seven, 4).unwrap();
        assert_eq!((figures.n, figures.failed, figures.skipped), (2, 1, 5));
        assert_eq!(figures.metrics["accuracy"].value, 0.5);
        assert_eq!(figures.metrics["subject_accuracy"].n, 2);
        let failure = predictions[1].failure(ExpressionSet::Seven).unwrap();
        assert!(failure.contains("Contempt"), "{failure}");
        assert_eq!(predictions[0].failure(ExpressionSet::Seven), None);
    }
}
