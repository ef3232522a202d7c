//! One self-contained HTML page about an evaluation.

mod charts;
mod examples;
mod face;

use std::collections::BTreeMap;

use expllm_core::{Expression, ExpressionSet, LandmarkDetector};
use expllm_data::{Record, Skipped};
use expllm_metrics::{Confusion, Estimate};
use minijinja::{AutoEscape, Environment, Value, context};

use super::figures::{Figures, UnitFigures};
use super::prediction::{Prediction, Setup};
use crate::evaluation::EvaluationError;

/// Skipped items and failures that are listed by name; the rest is counted.
const LISTED: usize = 25;
/// Subjects that are drawn: those with the lowest accuracy.
const SUBJECTS: usize = 40;

/// Everything the page is about.
pub struct Report<'a> {
    /// What was run.
    pub setup: &'a Setup,
    /// The measured figures.
    pub figures: &'a Figures,
    /// The records, and what was said of each.
    pub records: &'a [Record],
    /// The predictions in record order.
    pub predictions: &'a [Prediction],
    /// What the data set left out.
    pub skipped: &'a [Skipped],
    /// The expressions in play.
    pub set: ExpressionSet,
    /// Finds the landmarks that are drawn on the examples.
    pub landmarks: &'a dyn LandmarkDetector,
}

/// Names that read better than the keys of `metrics.json`, in the order of the page.
const TITLES: [(&str, &str); 16] = [
    ("accuracy", "Accuracy"),
    ("uar", "Mean recall (UAR)"),
    ("subject_accuracy", "Accuracy, mean of subjects"),
    ("macro_f1", "Macro F1"),
    ("weighted_f1", "Weighted F1"),
    ("top_2_accuracy", "Top-2 accuracy"),
    ("kappa", "Cohen's kappa"),
    ("mcc", "Matthews correlation"),
    ("roc_auc", "ROC AUC, mean of classes"),
    ("average_precision", "Average precision, mean of classes"),
    ("ece", "Calibration error (ECE)"),
    ("brier", "Brier score"),
    ("au_f1", "AU F1, mean of units"),
    ("au_icc", "AU ICC(3,1), mean of units"),
    ("au_pcc", "AU Pearson correlation, mean of units"),
    ("au_mae", "AU absolute error, mean of units"),
];

/// The figures of explanations in the order of the page.
const EXPLAINED: [(&str, &str); 6] = [
    ("chain_parsed", "Texts with all three parts"),
    ("label_in_conclusion", "Answer claimed in the conclusion"),
    ("grounding_precision", "Statements that the units support"),
    ("grounding_recall", "Active units that are stated"),
    ("rouge_l", "ROUGE-L against the reference"),
    ("rege", "REGE (0 to 200)"),
];

impl Report<'_> {
    /// Renders the page; examples are drawn from the images themselves.
    pub fn render(&self) -> Result<String, EvaluationError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let template = include_str!("template.html");
        environment.add_template("report", template)?;
        let template = environment.get_template("report")?;
        Ok(template.render(self.context())?)
    }

    fn context(&self) -> Value {
        let names: Vec<_> = self.set.expressions().iter().map(|e| e.name()).collect();
        let figures = self.figures;
        context! {
            setup => self.setup_row(),
            version => env!("CARGO_PKG_VERSION"),
            n => figures.n,
            skipped => figures.skipped,
            failed => figures.failed,
            headline => self.headline(),
            explained => self.explained(),
            confusion => safe(charts::confusion(&figures.confusion, &names)),
            reliability => safe(charts::reliability(&figures.calibration)),
            classes => safe(charts::bars(&class_rows(&figures.confusion, &names))),
            groups => safe(charts::bars(&group_rows(&figures.subjects))),
            subjects => figures.subjects.len(),
            subjects_shown => figures.subjects.len().min(SUBJECTS),
            notes => figures.notes.clone(),
            units => safe(face::heat_map(&figures.units, self.predictions)),
            unit_rows => self.unit_rows(),
            best => examples::best(self),
            worst => examples::worst(self),
            skipped_rows => self.skipped_rows(),
            failed_rows => self.failed_rows(),
        }
    }

    fn setup_row(&self) -> Value {
        let setup = self.setup;
        context! {
            dataset => setup.dataset.clone(),
            root => setup.root.display().to_string(),
            split => setup.split.clone(),
            stage => setup.stage.clone(),
            classes => setup.classes,
            cropped => setup.cropped,
            model => setup.model.as_ref().map(|path| path.display().to_string()),
            mode => setup.mode.clone(),
            view => setup.view.clone(),
            weights => setup.weights.clone(),
            draws => setup.draws,
        }
    }

    fn unit_rows(&self) -> Vec<Value> {
        let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.3}"));
        let row = |u: &UnitFigures| {
            let figures = [u.f1, u.icc, u.pcc, u.mae].map(number).to_vec();
            context! { unit => u.unit.clone(), n => u.n, figures }
        };
        self.figures.units.iter().map(row).collect()
    }

    fn headline(&self) -> Vec<Value> {
        let rows = TITLES.iter().filter_map(|(key, title)| {
            let estimate = self.figures.metrics.get(*key)?;
            Some(row(title, estimate))
        });
        rows.collect()
    }

    /// The figures of explanations: against the own face, against another one, and the gap.
    fn explained(&self) -> Vec<Value> {
        let metrics = &self.figures.metrics;
        let rows = EXPLAINED.iter().filter_map(|(key, title)| {
            let own = metrics.get(*key)?;
            let beside = |suffix: &str| {
                let other = metrics.get(&format!("{key}_{suffix}"));
                other.map(|estimate| row("", estimate))
            };
            Some(context! {
                shuffled => beside("shuffled"),
                gap => beside("gap"),
                unverified => beside("unverified"),
                ..row(title, own)
            })
        });
        rows.collect()
    }

    fn skipped_rows(&self) -> Vec<Value> {
        let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for skipped in self.skipped {
            let kind = kinds.entry(skipped.reason.kind()).or_default();
            kind.push(format!("{} ({})", skipped.item, skipped.reason));
        }
        listed(kinds)
    }

    fn failed_rows(&self) -> Vec<Value> {
        let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for prediction in self.predictions {
            if let Some(reason) = prediction.failure(self.set) {
                kinds.entry(reason).or_default().push(prediction.id.clone());
            }
        }
        listed(kinds)
    }
}

fn listed<K: Into<Value>>(kinds: BTreeMap<K, Vec<String>>) -> Vec<Value> {
    kinds
        .into_iter()
        .map(|(kind, items)| {
            let shown: Vec<_> = items.iter().take(LISTED).cloned().collect();
            let more = items.len() - shown.len();
            let kind: Value = kind.into();
            context! { kind, count => items.len(), shown, more }
        })
        .collect()
}

fn row(title: &str, estimate: &Estimate) -> Value {
    context! {
        title,
        value => format!("{:.3}", estimate.value),
        interval => format!("{:.3} – {:.3}", estimate.low, estimate.high),
        n => estimate.n,
    }
}

fn safe(svg: String) -> Value {
    Value::from_safe_string(svg)
}

fn class_rows(matrix: &Confusion, names: &[&str]) -> Vec<charts::Bar> {
    let rows = names
        .iter()
        .enumerate()
        .filter(|(class, _)| matrix.support(*class) > 0);
    rows.map(|(class, name)| charts::Bar {
        label: format!("{name} ({})", matrix.support(class)),
        values: vec![
            matrix.recall(class),
            matrix.precision(class),
            matrix.f1(class),
        ],
    })
    .collect()
}

/// The subjects with the lowest accuracy, lowest first.
fn group_rows(groups: &[(String, Confusion)]) -> Vec<charts::Bar> {
    let mut groups: Vec<_> = groups.iter().collect();
    let accuracy = |matrix: &Confusion| matrix.accuracy().unwrap_or(0.0);
    groups.sort_by(|(_, a), (_, b)| accuracy(a).total_cmp(&accuracy(b)));
    let rows = groups.into_iter().take(SUBJECTS);
    rows.map(|(name, matrix)| charts::Bar {
        label: format!("{name} ({})", matrix.total()),
        values: vec![matrix.accuracy(), matrix.uar(), matrix.macro_f1()],
    })
    .collect()
}

/// The probability that a prediction gave to an expression.
fn belief(prediction: &Prediction, expression: Expression) -> f32 {
    let probabilities = prediction.probabilities.as_ref();
    probabilities.map_or(0.0, |p| p.get(expression).get())
}

#[cfg(test)]
mod tests;
