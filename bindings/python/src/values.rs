//! Action units and expressions by name.

use std::collections::BTreeMap;

use expllm_core::{
    ActionUnit, AuVector, CoreError, Expression, ExpressionProbabilities, ExpressionSet, Intensity,
    Side,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// An error of this project as a `ValueError`.
pub fn wrong(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The set of 7 or 8 expressions.
pub fn expression_set(classes: u8) -> PyResult<ExpressionSet> {
    match classes {
        7 => Ok(ExpressionSet::Seven),
        8 => Ok(ExpressionSet::Eight),
        _ => Err(wrong(format!("classes must be 7 or 8, found {classes}"))),
    }
}

/// Intensities by name of unit; units that are not named stay unmeasured.
pub fn units(named: &BTreeMap<String, f32>) -> PyResult<AuVector> {
    let mut vector = AuVector::default();
    for (name, value) in named {
        let unit: ActionUnit = name.parse().map_err(wrong)?;
        let intensity = Intensity::new(*value);
        vector.set(unit, intensity.map_err(|e| wrong(format!("{name}: {e}")))?);
    }
    Ok(vector)
}

/// The label, which must be in play.
pub fn label(name: &str, set: ExpressionSet) -> PyResult<Expression> {
    let label: Expression = name.parse().map_err(|e: CoreError| wrong(e))?;
    match set.contains(label) {
        true => Ok(label),
        false => Err(wrong(format!("{label} is not among the 7 expressions"))),
    }
}

/// Measured units by name.
pub fn named_units(units: &AuVector) -> Vec<(&'static str, f32)> {
    let named = units.iter();
    named
        .map(|(unit, i)| (unit.snake_case(), i.get()))
        .collect()
}

/// Probabilities by name, in expression order.
pub fn named_probabilities(all: &ExpressionProbabilities) -> Vec<(&'static str, f32)> {
    let names = Expression::ALL.map(Expression::snake_case);
    names.into_iter().zip(all.values()).collect()
}

/// Each unit in AU order: name, movement, side (`left`, `right`, `both`), FACS codes, blendshapes.
#[pyfunction]
#[allow(clippy::type_complexity)] // A row of a table.
pub fn unit_table() -> Vec<(
    &'static str,
    &'static str,
    &'static str,
    Vec<&'static str>,
    Vec<&'static str>,
)> {
    let row = |unit: ActionUnit| {
        let info = unit.info();
        let side = match info.side {
            Side::Left => "left",
            Side::Right => "right",
            Side::Both => "both",
        };
        let (facs, shapes) = (info.facs.to_vec(), info.blendshapes.to_vec());
        (info.snake_case, info.movement, side, facs, shapes)
    };
    ActionUnit::ALL.into_iter().map(row).collect()
}

/// The expressions in order.
#[pyfunction]
pub fn expression_names() -> Vec<&'static str> {
    Expression::ALL.map(Expression::snake_case).to_vec()
}
