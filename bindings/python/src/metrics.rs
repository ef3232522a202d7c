//! Metrics over arrays, which come as little-endian bytes.

use std::collections::BTreeMap;

use expllm_metrics::{Agreement, Confusion, Occurrence};
use pyo3::prelude::*;

use crate::values::wrong;

/// Metrics by name; `None` where one is undefined.
type Metrics = BTreeMap<&'static str, Option<f64>>;

fn floats(bytes: &[u8]) -> Vec<f64> {
    let (numbers, _) = bytes.as_chunks::<8>();
    numbers.iter().map(|n| f64::from_le_bytes(*n)).collect()
}

/// Errors, correlations and intraclass correlations of two series.
#[pyfunction]
pub fn agreement(py: Python<'_>, truth: &[u8], prediction: &[u8]) -> PyResult<Metrics> {
    let found = py.detach(|| Agreement::from_slices(&floats(truth), &floats(prediction)));
    let found = found.map_err(wrong)?;
    Ok(BTreeMap::from([
        ("mae", found.mae()),
        ("mse", found.mse()),
        ("pcc", found.pcc()),
        ("ccc", found.ccc()),
        ("icc3", found.icc3()),
        ("icc2", found.icc2()),
    ]))
}

/// F1 and accuracy of a unit that occurs from a threshold on; a truth that is not a number was
/// not coded.
#[pyfunction]
pub fn occurrence(
    py: Python<'_>,
    truth: &[u8],
    prediction: &[u8],
    thresholds: (f64, f64),
) -> PyResult<Metrics> {
    let found = py.detach(|| {
        let coded = |v: f64| (!v.is_nan()).then_some(v);
        let truth: Vec<_> = floats(truth).into_iter().map(coded).collect();
        Occurrence::from_scores(&truth, &floats(prediction), thresholds)
    });
    let found = found.map_err(wrong)?;
    Ok(BTreeMap::from([
        ("f1", found.f1()),
        ("accuracy", found.accuracy()),
    ]))
}

/// Accuracy and its relatives of two lists of classes, counted from 0; a negative prediction is
/// no valid answer.
#[pyfunction]
pub fn confusion(
    py: Python<'_>,
    truth: &[u8],
    prediction: &[u8],
    classes: usize,
) -> PyResult<Metrics> {
    let found = py.detach(|| confused(truth, prediction, classes))?;
    Ok(BTreeMap::from([
        ("accuracy", found.accuracy()),
        ("uar", found.uar()),
        ("macro_f1", found.macro_f1()),
        ("weighted_f1", found.weighted_f1()),
        ("kappa", found.kappa()),
        ("mcc", found.mcc()),
    ]))
}

fn confused(truth: &[u8], prediction: &[u8], classes: usize) -> PyResult<Confusion> {
    let ((truth, _), (prediction, _)) = (truth.as_chunks::<8>(), prediction.as_chunks::<8>());
    if truth.len() != prediction.len() {
        let (left, right) = (truth.len(), prediction.len());
        return Err(wrong(format!(
            "{left} true labels beside {right} predictions"
        )));
    }
    let index = |bytes: &[u8; 8]| usize::try_from(i64::from_le_bytes(*bytes));
    let mut confusion = Confusion::new(classes);
    for (truth, prediction) in truth.iter().zip(prediction) {
        let added = confusion.add(index(truth).map_err(wrong)?, index(prediction).ok());
        added.map_err(wrong)?;
    }
    Ok(confusion)
}
