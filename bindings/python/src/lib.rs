//! What the Python package `expllm` calls: reading, explaining, checking and scoring.
//!
//! Everything here takes and gives plain numbers, texts and bytes; the package on top of it
//! (`python/expllm`) turns what Python holds into these and back. Nothing below holds the
//! interpreter while it computes.

mod chains;
mod cot;
mod face;
mod metrics;
mod photo;
mod stages;
mod tools;
mod values;
mod video;

use pyo3::prelude::*;

/// The module `expllm._native`.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<stages::Stages>()?;
    module.add_class::<face::Face>()?;
    module.add_class::<video::Video>()?;
    module.add_function(wrap_pyfunction!(face::table, module)?)?;
    module.add_function(wrap_pyfunction!(tools::tool_columns, module)?)?;
    module.add_function(wrap_pyfunction!(tools::tool_table, module)?)?;
    module.add_function(wrap_pyfunction!(tools::tool_units, module)?)?;
    module.add_function(wrap_pyfunction!(tools::tool_of, module)?)?;
    module.add_function(wrap_pyfunction!(values::unit_table, module)?)?;
    module.add_function(wrap_pyfunction!(values::expression_names, module)?)?;
    module.add_function(wrap_pyfunction!(chains::compose, module)?)?;
    module.add_function(wrap_pyfunction!(chains::check, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::agreement, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::occurrence, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::confusion, module)?)?;
    module.add_function(wrap_pyfunction!(cot::build, module)?)?;
    module.add("VERSION", env!("CARGO_PKG_VERSION"))
}
