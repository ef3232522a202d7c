//! Faces under the columns and in the scales of other tools.

use expllm_core::{AuVector, UnitTool};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::face::Face;
use crate::values::wrong;

fn tool(name: &str) -> PyResult<UnitTool> {
    let found = UnitTool::ALL.into_iter().find(|tool| tool.name() == name);
    found.ok_or_else(|| {
        let known = UnitTool::ALL.map(UnitTool::name).join(", ");
        wrong(format!("no tool {name:?}; there are {known}"))
    })
}

/// The columns of a tool that our units tell, each with whether they do.
fn told(tool: UnitTool) -> impl Iterator<Item = (String, bool)> {
    let row = tool.row(&AuVector::REST).into_iter();
    row.map(|(name, value)| (name, value.is_some()))
}

/// The columns of a tool that our units tell.
#[pyfunction]
pub fn tool_columns(name: &str) -> PyResult<Vec<String>> {
    let columns = told(tool(name)?).filter(|(_, is_told)| *is_told);
    Ok(columns.map(|(column, _)| column).collect())
}

/// These columns of some faces, row by row, as little-endian 32-bit floats; what was not measured
/// is not a number.
#[pyfunction]
pub fn tool_table<'py>(
    py: Python<'py>,
    faces: Vec<Option<PyRef<'py, Face>>>,
    name: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let tool = tool(name)?;
    let is_told: Vec<bool> = told(tool).map(|(_, is_told)| is_told).collect();
    let unmeasured = AuVector::default();
    let mut bytes = Vec::new();
    for face in &faces {
        let units = face.as_ref().map_or(&unmeasured, |face| face.units());
        let row = tool.row(units).into_iter().zip(&is_told);
        let values = row.filter(|(_, is_told)| **is_told);
        let values = values.map(|((_, value), _)| value.unwrap_or(f32::NAN));
        bytes.extend(values.flat_map(f32::to_le_bytes));
    }
    Ok(PyBytes::new(py, &bytes))
}

/// The units of one row of a tool's table, by name; columns that are missing are unmeasured.
#[pyfunction]
pub fn tool_units(
    columns: std::collections::HashMap<String, f32>,
    name: &str,
) -> PyResult<Vec<(&'static str, f32)>> {
    let units = tool(name)?.units(|column| columns.get(column).copied());
    Ok(crate::values::named_units(&units))
}

/// The tool that writes tables with these columns.
#[pyfunction]
pub fn tool_of(columns: Vec<String>) -> Option<&'static str> {
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    UnitTool::of_columns(&names).map(UnitTool::name)
}
