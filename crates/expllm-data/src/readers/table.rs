//! Rows of a CSV text with columns found by any of several names.
//!
//! Fields are parted by commas, semicolons, tabs or bars, whichever the line of names holds most
//! of, or by what a first line such as `sep=;` says.

use csv::{Position, ReaderBuilder, StringRecord, Trim};

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
        Self::parse(&text).map_err(|reason| DataError::Malformed {
            path: tree.locate(path),
            reason,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (delimiter, body) = dialect(text);
        // Lines before the names of the columns.
        let before = text[..text.len() - body.len()].lines().count();
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(body.as_bytes());
        let headers = reader.headers().map_err(|e| e.to_string())?;
        let headers = headers.iter().map(str::to_lowercase).collect();
        let line = |p: &Position| {
            // The reader has not passed the second byte of `\r\n` and empty lines yet.
            let rest = body[p.byte() as usize..].bytes();
            let ends = rest.take_while(|b| matches!(b, b'\r' | b'\n'));
            before + p.line() as usize + ends.filter(|b| *b == b'\n').count()
        };
        let mut last = None;
        let mut rows = Vec::new();
        for record in reader.records() {
            rows.push(record.map_err(|e| e.to_string()).map(|fields| {
                last = fields.position().cloned();
                let line = last.as_ref().map_or(0, line);
                Row { line, fields }
            }));
        }
        // The last row, or the line of names, is what an open quote would swallow the rest of.
        let last = last.unwrap_or_else(Position::new);
        if ends_in_quotes(&body[last.byte() as usize..], delimiter) {
            let line = line(&last);
            return Err(format!(
                "line {line}: a quote is opened here and never closed, which swallows the rest of \
                 the file; close it or double it"
            ));
        }
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

/// The sign between fields, and the text without a line that only says it.
fn dialect(text: &str) -> (u8, &str) {
    let first = text.lines().next().unwrap_or_default();
    if let Some(&[sign]) = first.strip_prefix("sep=").map(str::as_bytes) {
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        return (sign, rest);
    }
    let count = |sign: u8| first.bytes().filter(|&b| b == sign).count();
    // The last of several that are as frequent wins: commas.
    let sign = [b'|', b'\t', b';', b',']
        .into_iter()
        .max_by_key(|&s| count(s));
    (sign.unwrap_or(b','), text)
}

/// Whether the end of the text lies within quotes.
fn ends_in_quotes(text: &str, delimiter: u8) -> bool {
    let (mut quoted, mut at_start) = (false, true);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (quoted, byte) {
            (true, b'"') if bytes.peek() == Some(&b'"') => {
                bytes.next();
            }
            (true, b'"') => quoted = false,
            (false, b'"') => quoted = at_start,
            _ => {}
        }
        at_start = !quoted && (byte == delimiter || byte == b'\n' || byte == b'\r');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(usize, String)> {
        let table = Table::parse(text).unwrap();
        let column = table.column(&["label"]).unwrap();
        let rows = table.rows.iter().flatten();
        rows.map(|row| (row.line, row.get(column).to_owned()))
            .collect()
    }

    #[test]
    fn dialects_are_told_by_the_line_of_names() {
        for text in [
            "file,label\na;b,x y\n",
            "file;label\r\na,b;x y\r\n",
            "file\tlabel\na,b\tx y",
            "file|label\n\"a|b\"| x y \n",
        ] {
            assert_eq!(fields(text), [(2, "x y".to_owned())], "{text}");
        }
        assert_eq!(fields("sep=;\nfile;label\na;b\n"), [(3, "b".to_owned())]);
    }

    #[test]
    fn a_quote_without_end_is_named_by_its_line() {
        let error = Table::parse("file,label\n1,x\n\"2,y\n3,z\n").err().unwrap();
        assert!(error.starts_with("line 3: a quote"), "{error}");
        let error = Table::parse("file,\"label\n1,x\n").err().unwrap();
        assert!(error.starts_with("line 1: a quote"), "{error}");
        for good in [
            "file,label\n1,\"a \"\"b\"\"\"\n",
            "file,label\n1,5\" nail\n",
            "file,label\n1,\"two\nlines\"",
            "file,label\n1,\"\"",
        ] {
            assert!(Table::parse(good).is_ok(), "{good}");
        }
    }
}
