//! Chains of thought: written by the composer, held against the action units.

use std::collections::BTreeMap;

use expllm_core::{
    AuVector, ChainOfThought, ExplainQuestion, ExplainRequest, Expression, ExpressionProbabilities,
    ExpressionSet, GroundingReport,
};
use expllm_cot::{Checker, Composer, ground};
use pyo3::prelude::*;

use crate::values::{expression_set, label, units, wrong};

/// The three parts of a chain: observations, interpretation, conclusion.
pub type Parts = (String, String, String);

/// Label, parts, precision and recall of the chain, and the sentences that the units contradict.
pub type Explained = (&'static str, Parts, Option<f64>, Option<f64>, Vec<String>);

/// Name and advice of each check that failed, then precision, recall and contradicted sentences.
pub type Findings = (
    Vec<(&'static str, String)>,
    Option<f64>,
    Option<f64>,
    Vec<String>,
);

fn parts(chain: ChainOfThought) -> Parts {
    (
        chain.key_observations,
        chain.interpretation,
        chain.conclusion,
    )
}

fn contradicted(report: &GroundingReport) -> Vec<String> {
    let found = report.offending_sentences().into_iter();
    found
        .filter_map(|index| report.sentences.get(index).cloned())
        .collect()
}

/// The chain of what was read from a face.
pub fn explain(
    units: &AuVector,
    probabilities: Option<ExpressionProbabilities>,
    given: Option<Expression>,
    (set, seed): (ExpressionSet, u64),
) -> PyResult<Explained> {
    let request = ExplainRequest {
        action_units: *units,
        probabilities,
        confidence: expllm_core::Confidence::FULL,
        crop: None,
        question: given.map_or(ExplainQuestion::LabelFirst, ExplainQuestion::Given),
        set,
        seed,
    };
    let chain = Composer.answer(&request).map_err(wrong)?;
    let label = request.label().map_or("", Expression::snake_case);
    let report = ground(&chain, units);
    let (precision, recall) = (report.precision(), report.recall());
    Ok((
        label,
        parts(chain),
        precision,
        recall,
        contradicted(&report),
    ))
}

/// A chain for a label from intensities by name.
#[pyfunction]
pub fn compose(
    py: Python<'_>,
    named: BTreeMap<String, f32>,
    name: &str,
    classes: u8,
    seed: u64,
) -> PyResult<Parts> {
    let set = expression_set(classes)?;
    let (units, label) = (units(&named)?, label(name, set)?);
    Ok(py.detach(|| parts(Composer.compose(&units, label, set, seed))))
}

/// What is wrong with a text that explains a label from intensities by name.
#[pyfunction]
pub fn check(
    py: Python<'_>,
    text: &str,
    name: &str,
    named: BTreeMap<String, f32>,
    classes: u8,
) -> PyResult<Findings> {
    let set = expression_set(classes)?;
    let (units, label) = (units(&named)?, label(name, set)?);
    let checker = Checker {
        set,
        ..Checker::default()
    };
    let checked = py.detach(|| checker.check(text, label, &units));
    let findings = checked.findings.into_iter();
    Ok((
        findings.map(|f| (f.check.name(), f.detail)).collect(),
        checked.report.precision(),
        checked.report.recall(),
        contradicted(&checked.report),
    ))
}
