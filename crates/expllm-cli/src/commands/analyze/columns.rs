//! Findings as typed columns.

use std::path::Path;

use expllm::reports::{FaceReport, Grounding};
use expllm_core::Expression;

use crate::CliError;
use crate::commands::au;
use crate::faces::{Failures, Found, Job, for_each_report};
use crate::tables::{Cell, Column, ColumnKind, ParquetTable};

/// Begins a table with the columns of `au` and, before its last, the expression, the chain of
/// thought, and how far the chain agrees with the action units.
pub fn begin(out: Option<&Path>, found: &[Found]) -> Result<ParquetTable, CliError> {
    let others = [
        Column::maybe("expression", ColumnKind::Text),
        Column::maybe("chain", ColumnKind::Text),
        Column::maybe("precision", ColumnKind::Number),
        Column::maybe("recall", ColumnKind::Number),
    ];
    ParquetTable::open(out, au::columns(others), found)
}

/// Writes all reports; returns the photos with an error.
pub fn write(
    mut table: ParquetTable,
    (job, found): (&Job, &[Found]),
) -> Result<Failures, CliError> {
    let failures = for_each_report(job, found, |report| {
        let mut rows = au::table_rows(report, explained).into_iter();
        rows.try_for_each(|row| table.row(row))
    })?;
    table.finish()?;
    Ok(failures)
}

fn explained(report: Option<&FaceReport>) -> Vec<Cell> {
    let Some(report) = report else {
        return vec![Cell::Empty; 4];
    };
    let grounding = Grounding::of(report);
    let share = |share: Option<f64>| Cell::number(share.map(|share| share as f32));
    vec![
        Cell::text(report.expression().map(Expression::snake_case)),
        Cell::text(report.explanation.as_ref().map(|said| said.text.as_str())),
        share(grounding.as_ref().and_then(Grounding::precision)),
        share(grounding.as_ref().and_then(Grounding::recall)),
    ]
}
