//! Tables as typed columns.

mod cell;
mod read;
mod write;

pub use cell::{Cell, Column, ColumnKind};
pub use read::ParquetRows;
pub use write::ParquetTable;

use parquet::errors::ParquetError;

use crate::CliError;

/// Names the file that an error is about.
fn failed(path: &std::path::Path, error: &ParquetError) -> CliError {
    CliError::library(format!("{}: {error}", path.display()))
}
