//! Readings of frames as rows.

use std::collections::BTreeMap;

use expllm_core::{AuVector, Expression, FaceBox, FaceOutcome, FaceReading, HeadPose};
use expllm_video::FrameReading;
use serde::Serialize;

use super::Format;
use crate::CliError;
use crate::commands::au;
use crate::faces::Output;

/// Columns before those of `expllm au`.
const TIME: [&str; 3] = ["time", "frame", "person"];

/// Writes frames as a table or as lines of JSON.
pub struct Rows<'a> {
    output: &'a mut Output,
    format: Format,
}

/// A row of JSON.
#[derive(Debug, Serialize)]
struct Row<'a> {
    time: f64,
    frame: u64,
    person: Option<u32>,
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    face: Option<usize>,
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    face_box: Option<FaceBox>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<Expression>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<BTreeMap<Expression, f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_units: Option<AuVector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_pose: Option<HeadPose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'a> Rows<'a> {
    /// Begins a table.
    pub fn begin(output: &'a mut Output, format: Format) -> Result<Self, CliError> {
        if format == Format::Csv {
            let names = TIME.map(str::to_owned).into_iter().chain(au::header());
            output.text(&au::csv_line(&names.collect::<Vec<_>>())?)?;
        }
        Ok(Self { output, format })
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
        let line = match self.format {
            Format::Csv => au::csv_line(&fields(file, frame, person))?,
            Format::Jsonl => {
                let row = object(file, frame, person);
                serde_json::to_string(&row).map_err(CliError::library)? + "\n"
            }
        };
        self.output.text(&line)
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.output.flush()
    }
}

/// Somebody's place in the frame, number and face.
type Person<'a> = Option<(usize, &'a (u32, FaceOutcome))>;

/// What went wrong with a face or the whole frame.
fn error(frame: &FrameReading, person: Person<'_>) -> Option<String> {
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
    row.push(error(frame, person).unwrap_or_default());
    row
}

fn object<'a>(file: &'a str, frame: &FrameReading, person: Person<'_>) -> Row<'a> {
    let reading: Option<&FaceReading> = person.and_then(|(_, (_, face))| face.as_ref().ok());
    let probabilities = reading.and_then(|r| r.probabilities);
    let named = |p: expllm_core::ExpressionProbabilities| {
        Expression::ALL.into_iter().zip(p.values()).collect()
    };
    Row {
        time: frame.time,
        frame: frame.number,
        person: person.map(|(_, (number, _))| *number),
        file,
        face: person.map(|(index, _)| index),
        face_box: reading.map(|r| r.face_box),
        expression: probabilities.map(|p| p.top()),
        probabilities: probabilities.map(named),
        action_units: reading.map(|r| r.action_units),
        head_pose: reading.and_then(|r| r.head_pose),
        error: error(frame, person),
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
        };
        let row = fields("a.mp4", &frame, None);
        assert_eq!(row.len(), TIME.len() + au::header().len());
        assert_eq!(row[..4], ["0.280000", "7", "", "a.mp4"]);
        assert_eq!(row.last().unwrap(), "broken");
        let json = serde_json::to_string(&object("a.mp4", &frame, None)).unwrap();
        let wanted = r#"{"time":0.28,"frame":7,"person":null,"file":"a.mp4","error":"broken"}"#;
        assert_eq!(json, wanted);
    }
}
