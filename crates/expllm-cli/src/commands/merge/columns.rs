//! Tables of columns: Parquet.

use std::path::{Path, PathBuf};

use super::key::Key;
use crate::CliError;
use crate::tables::{Cell, Column, ParquetRows};

/// Rows of a Parquet file.
pub struct ColumnRows {
    path: PathBuf,
    rows: ParquetRows,
    file: usize,
    time: Option<usize>,
    frame: Option<usize>,
    face: Option<usize>,
}

impl ColumnRows {
    /// Opens a table.
    ///
    /// # Errors
    ///
    /// Without a column `file`.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let rows = ParquetRows::open(path)?;
        let at = |name: &str| rows.columns().iter().position(|own| own.name == name);
        let (file, time, frame) = (at("file"), at("time"), at("frame"));
        let face = at("person").or(at("face"));
        let Some(file) = file else {
            let text = format!("{}: has no column named file", path.display());
            return Err(CliError::library(text));
        };
        Ok(Self {
            path: path.to_path_buf(),
            rows,
            file,
            time,
            frame,
            face,
        })
    }

    /// Opens a table that must have the columns of another.
    pub fn like(path: &Path, columns: &[Column]) -> Result<Self, CliError> {
        let table = Self::open(path)?;
        if table.columns() == columns {
            return Ok(table);
        }
        let differs = table.columns().iter().zip(columns).find(|(a, b)| a != b);
        let name = differs.map_or("their number", |(own, _)| own.name.as_str());
        let text = format!(
            "{} has other columns than the first table; {name} differs",
            path.display()
        );
        Err(CliError::Usage(text))
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        self.rows.columns()
    }

    fn key(&self, row: &[Cell]) -> Result<Key, CliError> {
        let whole = |at: Option<usize>| match at.and_then(|at| row.get(at)) {
            Some(Cell::Whole(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        let file = match row.get(self.file) {
            Some(Cell::Text(file)) => file.clone(),
            _ => String::new(),
        };
        let time = match self.time.and_then(|at| row.get(at)) {
            None => None,
            Some(Cell::Precise(time)) if time.is_finite() => Some(*time),
            Some(_) => {
                let text = format!("{}: a row of {file} has no time", self.path.display());
                return Err(CliError::library(text));
            }
        };
        Ok(Key {
            file,
            time,
            frame: whole(self.frame).unwrap_or(0),
            face: whole(self.face),
        })
    }
}

impl Iterator for ColumnRows {
    type Item = Result<(Key, Vec<Cell>), CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.and_then(|row| Ok((self.key(&row)?, row))))
    }
}
