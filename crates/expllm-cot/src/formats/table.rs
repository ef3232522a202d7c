//! Tables of action units as OpenFace, py-feat, LibreFace and writers of blendshapes make them,
//! and our own of `expllm au`.
//!
//! | | column |
//! |---|---|
//! | image | `file_name`, `image`, `input`, `file` or `path` (its last part where it is absolute); of a video with `#` and its `frame`, and so the table's name where there is no such column |
//! | label | `emo`, `label`, `expression` or `facial_expression`; else the likeliest of the columns named after expressions |
//! | units | as [`UnitTool`] knows them |

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use csv::StringRecord;
use expllm_core::{AuVector, Expression, UnitTool};
use serde_json::{Value, json};

use super::Row;
use super::columns::{self, Columns, last_part, stem};
use crate::CotRecord;

/// Columns that name the image.
pub(crate) const IMAGES: &[&str] = &["file_name", "image", "input", "file", "path"];
const LABELS: &[&str] = &["emo", "label", "expression", "facial_expression"];
/// One file, many frames.
const VIDEOS: &[&str] = &[
    "mp4", "avi", "mov", "mkv", "webm", "m4v", "mpg", "mpeg", "wmv",
];

/// The rows of a table; why it is none.
pub(super) fn read(
    text: BufReader<File>,
    path: &Path,
) -> Result<impl Iterator<Item = Row> + Send + use<>, String> {
    let (columns, lines) = columns::read(text)?;
    let table = Table {
        tool: tool_of(&columns).ok_or_else(no_units)?,
        columns,
        stem: stem(path),
    };
    Ok(lines.map(move |(line, fields)| {
        let object = fields.and_then(|fields| table.object(&fields, line - 1));
        let raw = object.clone().unwrap_or_default();
        let record = object.and_then(|object| CotRecord::from_json(&object));
        Row { line, record, raw }
    }))
}

/// The tool whose columns these are.
pub(crate) fn tool_of(columns: &Columns) -> Option<UnitTool> {
    let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
    UnitTool::of_columns(&names)
}

fn no_units() -> String {
    let tools = UnitTool::ALL.map(UnitTool::name).join(", ");
    format!("no columns of action units as one of these writes them: {tools}")
}

/// Whether the tool says that it found no face here; its units are then 0 and mean nothing.
pub(crate) fn found_no_face(columns: &Columns, fields: &StringRecord) -> bool {
    columns.number(fields, "success") == Some(0.0)
}

struct Table {
    columns: Columns,
    tool: UnitTool,
    stem: String,
}

impl Table {
    /// A row under the keys of our own files.
    fn object(&self, fields: &StringRecord, row: u64) -> Result<Value, String> {
        if found_no_face(&self.columns, fields) {
            return Err("the tool found no face here (success 0)".to_owned());
        }
        let mut object = json!({"file_name": self.file_name(fields, row)});
        if let Some(label) = self.label(fields) {
            object["emo"] = json!(label);
        }
        let units = self.units(fields);
        if units.iter().next().is_some() {
            object["au"] = json!(units);
        }
        Ok(object)
    }

    fn file_name(&self, fields: &StringRecord, row: u64) -> String {
        let name = match self.columns.first(fields, IMAGES) {
            Some(name) if name.starts_with('/') || name.get(1..2) == Some(":") => last_part(name),
            Some(name) => name,
            None => return format!("{}#{}", self.stem, self.frame(fields, row)),
        };
        let ending = name.rsplit('.').next().unwrap_or_default();
        match VIDEOS
            .iter()
            .any(|video| ending.eq_ignore_ascii_case(video))
        {
            true => format!("{name}#{}", self.frame(fields, row)),
            false => name.to_owned(),
        }
    }

    /// The frame, or the row where there is none, and the face where a table tells several.
    fn frame(&self, fields: &StringRecord, row: u64) -> String {
        let frame = self.columns.get(fields, "frame");
        let frame = frame.map_or_else(|| row.to_string(), str::to_owned);
        match self.columns.get(fields, "face_id") {
            None | Some("0") => frame,
            Some(face) => format!("{frame}.{face}"),
        }
    }

    fn label(&self, fields: &StringRecord) -> Option<String> {
        if let Some(label) = self.columns.first(fields, LABELS) {
            return Some(label.to_owned());
        }
        let names = self.columns.names.iter().zip(fields.iter());
        let likely = names.filter_map(|(column, field)| {
            let expression: Expression = column.parse().ok()?;
            let share: f64 = field.parse().ok()?;
            share.is_finite().then_some((expression, share))
        });
        let best = likely.max_by(|a, b| a.1.total_cmp(&b.1));
        best.map(|(expression, _)| expression.name().to_owned())
    }

    fn units(&self, fields: &StringRecord) -> AuVector {
        self.tool
            .units(|column| self.columns.number(fields, column))
    }
}
