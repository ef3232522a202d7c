//! Tables of lines: CSV and JSON.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::StringRecord;
use serde::Deserialize;

use super::key::Key;
use crate::CliError;

/// Bytes that are read for one row, at most; the buffers' read ahead is among them.
const LONGEST_ROW: usize = 16 << 20;

/// A file that ends with an error when a row does not end.
struct Rationed {
    file: File,
    /// Bytes that may be read before the next row.
    left: Rc<Cell<usize>>,
}

impl Rationed {
    fn open(path: &Path) -> Result<(Self, Rc<Cell<usize>>), CliError> {
        let file = File::open(path).map_err(|error| CliError::file(path, error))?;
        let left = Rc::new(Cell::new(LONGEST_ROW));
        let shared = Rc::clone(&left);
        Ok((Self { file, left }, shared))
    }
}

impl Read for Rationed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            let text = format!("a row of more than {LONGEST_ROW} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let most = left.min(buffer.len());
        let count = self.file.read(&mut buffer[..most])?;
        self.left.set(left - count);
        Ok(count)
    }
}

/// Rows of a CSV file.
pub struct CsvRows {
    path: PathBuf,
    reader: csv::Reader<Rationed>,
    left: Rc<Cell<usize>>,
    names: StringRecord,
    places: Places,
}

/// Which columns tell where a row stands.
#[derive(Debug, Clone, Copy)]
struct Places {
    file: usize,
    time: Option<usize>,
    frame: Option<usize>,
    face: Option<usize>,
}

impl CsvRows {
    /// Opens a table.
    ///
    /// # Errors
    ///
    /// Without a column `file`.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let (file, left) = Rationed::open(path)?;
        let mut reader = csv::Reader::from_reader(file);
        let names = reader.headers().map_err(|error| wrong(path, error))?;
        let names = names.clone();
        let at = |name: &str| names.iter().position(|own| own == name);
        let places = Places {
            file: at("file").ok_or_else(|| wrong(path, "has no column named file"))?,
            time: at("time"),
            frame: at("frame"),
            face: at("person").or(at("face")),
        };
        Ok(Self {
            path: path.to_path_buf(),
            reader,
            left,
            names,
            places,
        })
    }

    /// Opens a table that must have the columns of another.
    pub fn like(path: &Path, names: &StringRecord) -> Result<Self, CliError> {
        let table = Self::open(path)?;
        let own = table.names.iter().map(Some).chain(std::iter::repeat(None));
        let wanted = names.iter().map(Some).chain(std::iter::repeat(None));
        let most = names.len().max(table.names.len());
        let differs = own
            .zip(wanted)
            .take(most)
            .find(|(own, wanted)| own != wanted);
        let Some((own, wanted)) = differs else {
            return Ok(table);
        };
        let name = |name: Option<&str>| name.map_or("nothing".to_owned(), |n| format!("{n:?}"));
        let text = format!(
            "has other columns than the first table: {} where that has {}",
            name(own),
            name(wanted)
        );
        Err(CliError::Usage(format!("{} {text}", path.display())))
    }

    /// The names of the columns.
    pub fn names(&self) -> &StringRecord {
        &self.names
    }

    fn key(&self, row: &StringRecord) -> Result<Key, CliError> {
        let line = row.position().map_or(0, csv::Position::line);
        let text = |at: Option<usize>| at.and_then(|at| row.get(at)).filter(|t| !t.is_empty());
        let whole = |at: Option<usize>| -> Result<Option<u64>, CliError> {
            let number = text(at).map(|text| text.parse::<u64>().map_err(|_| text));
            let said = |text| wrong(&self.path, format!("line {line}: {text:?} is no number"));
            number.transpose().map_err(said)
        };
        let time = self.places.time.map(|at| {
            let time = row.get(at).unwrap_or_default();
            let number = time.parse::<f64>().ok().filter(|t| t.is_finite());
            number.ok_or_else(|| wrong(&self.path, format!("line {line}: {time:?} is no time")))
        });
        Ok(Key {
            file: text(Some(self.places.file)).unwrap_or_default().to_owned(),
            time: time.transpose()?,
            frame: whole(self.places.frame)?.unwrap_or(0),
            face: whole(self.places.face)?,
        })
    }
}

impl Iterator for CsvRows {
    type Item = Result<(Key, StringRecord), CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left.set(LONGEST_ROW);
        let mut row = StringRecord::new();
        match self.reader.read_record(&mut row) {
            Ok(true) => Some(self.key(&row).map(|key| (key, row))),
            Ok(false) => None,
            Err(error) => Some(Err(wrong(&self.path, error))),
        }
    }
}

fn wrong(path: &Path, reason: impl std::fmt::Display) -> CliError {
    CliError::library(format!("{}: {reason}", path.display()))
}

/// Rows of a file with a JSON object a line.
pub struct JsonLines {
    path: PathBuf,
    reader: BufReader<Rationed>,
    left: Rc<Cell<usize>>,
    line: u64,
}

/// Where a row of JSON stands.
#[derive(Debug, Deserialize)]
struct Place {
    file: String,
    time: Option<f64>,
    frame: Option<u64>,
    person: Option<u64>,
    face: Option<u64>,
}

impl JsonLines {
    /// Opens a table.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let (file, left) = Rationed::open(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            reader: BufReader::new(file),
            left,
            line: 0,
        })
    }

    /// The next line with its end; `None` at the end of the file.
    fn line(&mut self) -> io::Result<Option<String>> {
        self.left.set(LONGEST_ROW);
        self.line += 1;
        let mut line = String::new();
        let count = self.reader.read_line(&mut line)?;
        if count > 0 && !line.ends_with('\n') {
            line.push('\n');
        }
        Ok((count > 0).then_some(line))
    }
}

impl Iterator for JsonLines {
    type Item = Result<(Key, String), CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.line() {
            Ok(line) => line?,
            Err(error) => return Some(Err(wrong(&self.path, error))),
        };
        let number = self.line;
        let row = serde_json::from_str::<Place>(&line).map(|place| Key {
            file: place.file,
            time: place.time,
            frame: place.frame.unwrap_or(0),
            face: place.person.or(place.face),
        });
        let said = |error| wrong(&self.path, format!("line {number}: {error}"));
        Some(row.map(|key| (key, line)).map_err(said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, text: &str) -> PathBuf {
        let path = dir.join("table");
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn rows_know_their_places() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(
            dir.path(),
            "time,frame,person,file,face\n0.040000,1,0,\"a,b\",0\n0.08,2,,x,\n",
        );
        let keys: Vec<_> = CsvRows::open(&path)
            .unwrap()
            .map(|r| r.unwrap().0)
            .collect();
        assert_eq!((keys[0].file.as_str(), keys[0].time), ("a,b", Some(0.04)));
        assert_eq!([keys[0].face, keys[1].face], [Some(0), None]);
        let path = file(
            dir.path(),
            "{\"file\":\"a\",\"face\":1}\n{\"file\":\"b\",\"face\":null}",
        );
        let rows: Vec<_> = JsonLines::open(&path)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!([rows[0].0.face, rows[1].0.face], [Some(1), None]);
        assert!(rows[1].1.ends_with("}\n"));
    }

    #[test]
    fn what_is_no_table_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        for (text, wanted) in [
            ("a,b\n1,2\n", "no column named file"),
            ("file,face\na,0\nb\n", "line: 3"),
            ("file,face\na,zero\n", "line 2: \"zero\" is no number"),
            ("time,file\nNaN,a\n", "line 2: \"NaN\" is no time"),
        ] {
            let rows = CsvRows::open(&file(dir.path(), text));
            let said = rows.and_then(|mut rows| rows.try_for_each(|row| row.map(drop)));
            let said = said.unwrap_err().to_string();
            assert!(said.contains(wanted), "{said}");
        }
        let path = file(dir.path(), "{\"file\":\"a\"}\n{\"file\":\"b");
        let said = JsonLines::open(&path).unwrap().last().unwrap();
        assert!(said.unwrap_err().to_string().contains("line 2"));
        let names = StringRecord::from(vec!["file", "face", "x"]);
        let other = CsvRows::like(&file(dir.path(), "file,face\n"), &names);
        let said = other.err().unwrap().to_string();
        assert!(said.contains("nothing where that has \"x\""), "{said}");
    }

    #[test]
    fn a_row_without_an_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(LONGEST_ROW + 100_000);
        let path = file(dir.path(), &format!("file,face\n\"{long}"));
        let said = CsvRows::open(&path).unwrap().last().unwrap().unwrap_err();
        assert!(said.to_string().contains("a row of more than"), "{said}");
        let path = file(dir.path(), &format!("{{\"file\":\"{long}"));
        let said = JsonLines::open(&path).unwrap().next().unwrap();
        assert!(said.unwrap_err().to_string().contains("a row of more"));
    }
}
