//! Rows of a CSV text with columns found by any of several names.

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::{DataError, Tree};

/// A CSV file in memory.
pub(crate) struct Table {
    headers: Vec<String>,
    /// Each row with its line in the file, or why it cannot be read.
    pub(crate) rows: Vec<Result<Row, String>>,
}

/// One row and its line in the file, counted from 1.
pub(crate) struct Row {
    pub(crate) line: usize,
    fields: StringRecord,
}

/// A column by its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column(usize);

impl Table {
    /// Reads a CSV file of a tree whose first line holds the names of the columns.
    pub(crate) fn read(tree: &Tree, path: &str) -> Result<Self, DataError> {
        let text = tree.read_text(path)?;
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::All)
            .from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|e| DataError::Malformed {
            path: tree.locate(path),
            reason: e.to_string(),
        })?;
        let headers = headers.iter().map(str::to_lowercase).collect();
        let rows = reader
            .records()
            .map(|record| match record {
                Ok(fields) => Ok(Row {
                    line: fields.position().map_or(0, |p| p.line() as usize),
                    fields,
                }),
                Err(e) => Err(e.to_string()),
            })
            .collect();
        Ok(Self { headers, rows })
    }

    /// The rows that can be read; the others are noted as left out.
    pub(crate) fn rows<'a>(
        &'a self,
        file: &str,
        gather: &mut crate::dataset::Gather<'_>,
    ) -> Vec<&'a Row> {
        for (index, row) in self.rows.iter().enumerate() {
            if let Err(reason) = row {
                let reason = crate::SkipReason::Malformed(reason.clone());
                gather.skip(&format!("{file}:{}", index + 2), None, reason);
            }
        }
        self.rows.iter().flatten().collect()
    }

    /// The first column that has one of the names (in lower case).
    pub(crate) fn column(&self, names: &[&str]) -> Option<Column> {
        names
            .iter()
            .find_map(|name| self.headers.iter().position(|h| h == name))
            .map(Column)
    }

    /// The first column that has one of the names, or an error that says what the file lacks.
    pub(crate) fn needs(
        &self,
        tree: &Tree,
        path: &str,
        names: &[&str],
    ) -> Result<Column, DataError> {
        self.column(names).ok_or_else(|| DataError::Malformed {
            path: tree.locate(path),
            reason: format!(
                "no column {:?} among the columns {:?}",
                names[0], self.headers
            ),
        })
    }
}

impl Row {
    /// The trimmed field of a column; empty when the row is too short.
    pub(crate) fn get(&self, column: Column) -> &str {
        self.fields.get(column.0).unwrap_or_default()
    }

    /// The field as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, column: Column) -> Result<T, String> {
        let field = self.get(column);
        field
            .parse()
            .map_err(|_| format!("line {}: {field:?} is no number", self.line))
    }
}
