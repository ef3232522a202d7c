//! Readings of frames as rows.

use expllm::reports::FaceRow;
use expllm_core::FaceOutcome;
use expllm_video::FrameReading;
use serde::Serialize;

use super::bookmark::Bookmark;
use super::{Args, Format};
use crate::CliError;
use crate::commands::au;
use crate::faces::{Found, Output};
use crate::tables::{Cell, Column, ColumnKind, ParquetTable};

/// Columns before those of `expllm au`.
pub const TIME: [&str; 3] = ["time", "frame", "person"];

/// The table of a run.
pub enum Rows {
    /// Lines of text.
    Lines(Output, Format),
    /// Columns of a file.
    Columns(Box<ParquetTable>),
}

/// A row of JSON.
#[derive(Debug, Serialize)]
struct Row<'a> {
    time: f64,
    frame: u64,
    person: Option<u32>,
    file: &'a str,
    #[serde(flatten)]
    face: Option<FaceRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Rows {
    /// Begins a table, or goes on with one.
    pub fn open(
        args: &Args,
        clips: &[Found],
        bookmark: Option<&Bookmark>,
    ) -> Result<Self, CliError> {
        let (format, out) = (args.format, args.out.as_deref());
        let mut output = match (format, bookmark, out) {
            (Format::Parquet, ..) => {
                let table = ParquetTable::open(out, columns(), clips)?;
                return Ok(Self::Columns(Box::new(table)));
            }
            (_, Some(bookmark), Some(path)) => Output::append(path, bookmark.bytes)?,
            _ => Output::open(out, format.kind(), clips)?,
        };
        if format == Format::Csv && bookmark.is_none() {
            let names = TIME.map(str::to_owned).into_iter().chain(au::header());
            output.text(&au::csv_line(names)?)?;
        }
        Ok(Self::Lines(output, format))
    }

    /// Writes the rows of a frame: one for each person, or one that says that there is nobody.
    pub fn frame(&mut self, file: &str, frame: &FrameReading) -> Result<(), CliError> {
        if frame.people.is_empty() {
            return self.row(file, frame, None);
        }
        let mut people = frame.people.iter().enumerate();
        people.try_for_each(|person| self.row(file, frame, Some(person)))
    }

    fn row(
        &mut self,
        file: &str,
        frame: &FrameReading,
        person: Person<'_>,
    ) -> Result<(), CliError> {
        match self {
            Self::Lines(output, Format::Csv) => {
                output.text(&au::csv_line(fields(file, frame, person))?)
            }
            Self::Lines(output, _) => {
                let row = serde_json::to_string(&object(file, frame, person));
                output.text(&(row.map_err(CliError::library)? + "\n"))
            }
            Self::Columns(table) => table.row(cells(file, frame, person)),
        }
    }

    /// Shows what was written so far; gives the bytes of lines.
    pub fn flush(&mut self) -> Result<u64, CliError> {
        let Self::Lines(output, _) = self else {
            return Ok(0);
        };
        output.flush()?;
        Ok(output.written())
    }

    /// Writes what is left.
    pub fn finish(self) -> Result<(), CliError> {
        match self {
            Self::Lines(output, _) => output.finish(),
            Self::Columns(table) => table.finish(),
        }
    }
}

/// Somebody's place in the frame, number and face.
type Person<'a> = Option<(usize, &'a (u32, FaceOutcome))>;

/// What went wrong with a face or the whole frame.
fn error_of(frame: &FrameReading, person: Person<'_>) -> Option<String> {
    let unread = person.and_then(|(_, (_, face))| face.as_ref().err().map(ToString::to_string));
    unread.or_else(|| frame.error.clone())
}

fn fields(file: &str, frame: &FrameReading, person: Person<'_>) -> Vec<String> {
    let number = person.map(|(_, (number, _))| number.to_string());
    let face = person.map(|(index, _)| index.to_string());
    let (number, face) = (number.unwrap_or_default(), face.unwrap_or_default());
    let mut row = vec![
        format!("{:.6}", frame.time),
        frame.number.to_string(),
        number,
    ];
    row.extend([file.to_owned(), face]);
    match person {
        Some((_, (_, Ok(reading)))) => row.extend(au::numbers(reading)),
        _ => row.resize(TIME.len() + au::header().len() - 1, String::new()),
    }
    row.push(error_of(frame, person).unwrap_or_default());
    row
}

/// The columns of the table, typed.
fn columns() -> Vec<Column> {
    let mut all = vec![
        Column::always(TIME[0], ColumnKind::Precise),
        Column::always(TIME[1], ColumnKind::Whole),
        Column::maybe(TIME[2], ColumnKind::Whole),
    ];
    all.extend(au::columns(std::iter::empty()));
    all
}

fn cells(file: &str, frame: &FrameReading, person: Person<'_>) -> Vec<Cell> {
    let number = person.map(|(_, (number, _))| *number as usize);
    let reading = person.and_then(|(_, (_, face))| face.as_ref().ok());
    let mut row = vec![
        Cell::Precise(frame.time),
        Cell::Whole(frame.number as i64),
        Cell::whole(number),
    ];
    let face = reading.map(|reading| (reading, reading.probabilities));
    row.extend(au::cells(file, person.map(|(index, _)| index), face));
    row.push(Cell::text(error_of(frame, person).as_deref()));
    row
}

fn object<'a>(file: &'a str, frame: &FrameReading, person: Person<'a>) -> Row<'a> {
    let face = |(index, (_, face)): (usize, &'a (u32, FaceOutcome))| match face {
        Ok(reading) => FaceRow::new(index, reading),
        Err(_) => FaceRow::unread(index),
    };
    Row {
        time: frame.time,
        frame: frame.number,
        person: person.map(|(_, (number, _))| *number),
        file,
        face: person.map(face),
        error: error_of(frame, person),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_without_faces_keeps_its_row() {
        let frame = FrameReading {
            number: 7,
            time: 0.28,
            photo: None,
            people: Vec::new(),
            error: Some("broken".into()),
            tracker: None,
        };
        let row = fields("a.mp4", &frame, None);
        assert_eq!(row.len(), TIME.len() + au::header().len());
        assert_eq!(row[..4], ["0.280000", "7", "", "a.mp4"]);
        assert_eq!(row.last().unwrap(), "broken");
        let json = serde_json::to_string(&object("a.mp4", &frame, None)).unwrap();
        let wanted = r#"{"time":0.28,"frame":7,"person":null,"file":"a.mp4","error":"broken"}"#;
        assert_eq!(json, wanted);
        let cells = cells("a.mp4", &frame, None);
        assert_eq!(cells.len(), columns().len());
        assert_eq!(cells.last(), Some(&Cell::Text("broken".into())));
    }
}
