//! Tables of action units as OpenFace, py-feat, LibreFace and writers of blendshapes make them.
//!
//! | | column |
//! |---|---|
//! | image | `file_name`, `image`, `input` or `path` (its last part where it is absolute); else the table's name and `frame` |
//! | label | `emo`, `label`, `expression` or `facial_expression`; else the likeliest of the columns named after expressions |
//! | units | as [`UnitTool`] knows them |

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use expllm_core::{AuVector, Expression, UnitTool};
use serde_json::{Value, json};

use super::Row;
use crate::CotRecord;

const IMAGES: &[&str] = &["file_name", "image", "input", "path"];
const LABELS: &[&str] = &["emo", "label", "expression", "facial_expression"];

/// The rows of a table; why it is none.
pub(super) fn read(
    text: BufReader<File>,
    path: &Path,
) -> Result<impl Iterator<Item = Row> + Send + use<>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text);
    let header = reader.headers().map_err(|e| e.to_string())?;
    let columns: Vec<String> = header.iter().map(str::to_lowercase).collect();
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let tool = UnitTool::of_columns(&names).ok_or_else(|| {
        let tools = UnitTool::ALL.map(UnitTool::name).join(", ");
        format!("no columns of action units as one of these writes them: {tools}")
    })?;
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let table = Table {
        columns,
        tool,
        stem,
    };
    Ok(reader.into_records().zip(1..).map(move |(record, row)| {
        // The first line names the columns.
        let line = row + 1;
        let raw = match record {
            Ok(fields) => table.object(&fields, row),
            Err(error) => return wrong(line, error.to_string()),
        };
        Row {
            line,
            record: CotRecord::from_json(&raw),
            raw,
        }
    }))
}

fn wrong(line: u64, reason: String) -> Row {
    Row {
        line,
        record: Err(reason),
        raw: Value::Null,
    }
}

struct Table {
    columns: Vec<String>,
    tool: UnitTool,
    stem: String,
}

impl Table {
    /// A row under the keys of our own files.
    fn object(&self, fields: &csv::StringRecord, row: u64) -> Value {
        let mut object = json!({"file_name": self.file_name(fields, row)});
        if let Some(label) = self.label(fields) {
            object["emo"] = json!(label);
        }
        let units = self.units(fields);
        if units.iter().next().is_some() {
            object["au"] = json!(units);
        }
        object
    }

    fn get<'a>(&self, fields: &'a csv::StringRecord, name: &str) -> Option<&'a str> {
        let at = self
            .columns
            .iter()
            .position(|c| c.eq_ignore_ascii_case(name))?;
        fields.get(at).filter(|field| !field.is_empty())
    }

    fn first<'a>(&self, fields: &'a csv::StringRecord, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.get(fields, name))
    }

    fn file_name(&self, fields: &csv::StringRecord, row: u64) -> String {
        match self.first(fields, IMAGES) {
            Some(name) if name.starts_with('/') || name.get(1..2) == Some(":") => {
                let last = name.rsplit(['/', '\\']).next();
                last.unwrap_or_default().to_owned()
            }
            Some(name) => name.to_owned(),
            None => {
                let frame = self
                    .get(fields, "frame")
                    .map_or_else(|| row.to_string(), str::to_owned);
                format!("{}#{frame}", self.stem)
            }
        }
    }

    fn label(&self, fields: &csv::StringRecord) -> Option<String> {
        if let Some(label) = self.first(fields, LABELS) {
            return Some(label.to_owned());
        }
        let likely = self
            .columns
            .iter()
            .zip(fields.iter())
            .filter_map(|(column, field)| {
                let expression: Expression = column.parse().ok()?;
                let share: f64 = field.parse().ok()?;
                share.is_finite().then_some((expression, share))
            });
        let best = likely.max_by(|a, b| a.1.total_cmp(&b.1));
        best.map(|(expression, _)| expression.name().to_owned())
    }

    fn units(&self, fields: &csv::StringRecord) -> AuVector {
        self.tool
            .units(|column| self.get(fields, column)?.parse().ok())
    }
}
