//! The files that chain-of-thought data sets live in.

pub(crate) mod columns;
#[cfg(feature = "parquet")]
mod parquet_file;
#[cfg(not(feature = "parquet"))]
#[path = "no_parquet.rs"]
mod parquet_file;
mod scan;
pub(crate) mod table;
mod write;

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use crate::{CotError, CotRecord};

pub(crate) use scan::Objects;
use scan::Scanned;
pub use write::{DatasetFormat, write_dataset, write_list};

/// One row of an input file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Line of the file at which the row starts, from 1 (the row itself in Parquet); 0 where the
    /// source has no lines.
    pub line: u64,
    /// The record, or what is wrong with it.
    pub record: Result<CotRecord, String>,
    /// The whole JSON object, where it is one; provenance is read from it.
    pub raw: Value,
}

impl Row {
    /// Path of the image as the row gives it; empty where it gives none.
    #[must_use]
    pub fn name(&self) -> &str {
        let key = |key: &str| self.raw.get(key).and_then(Value::as_str);
        match &self.record {
            Ok(record) => &record.file_name,
            Err(_) => key("file_name").or(key("image")).unwrap_or_default(),
        }
    }
}

/// Reads records one by one, in constant memory but for 8 bytes per record against duplicates.
///
/// `.json` is an array of objects (official or LLaVA / ShareGPT), or objects behind each other;
/// `.jsonl` one object per line (ours or any of these), `.parquet` our columns, `.csv` a table
/// of action units as `expllm au`, OpenFace, py-feat, LibreFace or MediaPipe name them. A byte order mark
/// is passed over. A bad row is a row that says why, and so is the place where a file breaks off;
/// duplicates of a `file_name` are bad rows.
///
/// # Errors
///
/// [`CotError::File`], `CotError::Parquet`, [`CotError::UnknownFormat`], or
/// [`CotError::NoRecords`] for a file that is not what its name says.
pub fn read_rows(path: &Path) -> Result<Box<dyn Iterator<Item = Row> + Send>, CotError> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let no_records = |reason| CotError::NoRecords {
        path: path.to_owned(),
        reason,
    };
    let mut seen = HashSet::new();
    let rows: Box<dyn Iterator<Item = Row> + Send> = match extension.to_ascii_lowercase().as_str() {
        "json" => {
            let objects = Objects::of_array(open_text(path)?).map_err(no_records)?;
            Box::new(objects.map(json_row))
        }
        "jsonl" | "ndjson" => Box::new(Objects::of_lines(open_text(path)?).map(json_row)),
        "csv" => Box::new(table::read(open_text(path)?, path).map_err(no_records)?),
        "parquet" => Box::new(parquet_file::read(path)?),
        _ => {
            return Err(CotError::UnknownFormat {
                path: path.to_owned(),
            });
        }
    };
    Ok(Box::new(
        rows.map(move |row| refuse_duplicates(row, &mut seen)),
    ))
}

/// Opens a text file behind its byte order mark.
pub(crate) fn open_text(path: &Path) -> Result<BufReader<File>, CotError> {
    let wrong = |e| CotError::file(path, e);
    let file = File::open(path).map_err(wrong)?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    match reader.fill_buf().map_err(wrong)? {
        [0xEF, 0xBB, 0xBF, ..] => reader.consume(3),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
            return Err(CotError::NoRecords {
                path: path.to_owned(),
                reason: "text in UTF-16; save it as UTF-8".to_owned(),
            });
        }
        _ => {}
    }
    Ok(reader)
}

fn json_row(scanned: Scanned) -> Row {
    let Scanned { line, bytes } = scanned;
    let value = bytes.and_then(|bytes| {
        serde_json::from_slice::<Value>(&bytes).map_err(|e| format!("not valid JSON: {e}"))
    });
    match value {
        Ok(raw) => Row {
            line,
            record: CotRecord::from_json(&raw),
            raw,
        },
        Err(reason) => Row {
            line,
            record: Err(reason),
            raw: Value::Null,
        },
    }
}

fn refuse_duplicates(mut row: Row, seen: &mut HashSet<u64>) -> Row {
    if let Ok(record) = &row.record {
        let mut hasher = DefaultHasher::new();
        record.file_name.hash(&mut hasher);
        if !seen.insert(hasher.finish()) {
            row.record = Err(format!("file_name {:?} occurs twice", record.file_name));
        }
    }
    row
}
