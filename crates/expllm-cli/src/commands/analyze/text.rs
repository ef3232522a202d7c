//! Findings as text to read: whole photos, or step by step.

use std::fmt::Write as _;

use expllm::reports::{FaceReport, Grounding, PhotoReport};
use expllm_core::{
    Explanation, ExplanationEvent, Expression, ExpressionProbabilities, FaceReading, HeadPose,
};

use crate::CliError;
use crate::faces::{Output, Step};

/// What stands behind text that the readings do not bear out, while it is written.
const MARK: &str = " [not supported]";

/// A whole report.
pub fn photo(report: &PhotoReport) -> String {
    let mut text = format!("{}\n", report.file);
    for (index, face) in report.faces.iter().enumerate() {
        text.push_str(&place(index, &face.face));
        if let Some(said) = &face.explanation {
            let label = said
                .expression
                .map(|label| (label, said.probabilities.as_ref()));
            text.extend(label.map(|(label, shares)| expression(label, shares)));
        }
        text.push_str(&action_units(&face.face));
        if let Some(said) = &face.explanation {
            text.push_str(&words(said));
        }
        text.push_str(&grounding(face));
    }
    text.push_str(&ending(report));
    text
}

/// Writes each step when it comes.
pub struct StreamWriter<'a> {
    output: &'a mut Output,
    /// What stands in the line that is being written; `None` between lines.
    line: Option<Line>,
    /// Whether an expression was named for the current face.
    named: bool,
}

/// A line that is being written.
struct Line {
    /// Whether anything but the indent is in it.
    begun: bool,
}

impl<'a> StreamWriter<'a> {
    /// Writes to `output`, which is flushed after every step.
    pub fn new(output: &'a mut Output) -> Self {
        Self {
            output,
            line: None,
            named: false,
        }
    }

    /// Writes one step.
    pub fn step(&mut self, step: &Step<'_>) -> Result<(), CliError> {
        match step {
            Step::Photo(file) => self.output.text(&format!("{file}\n"))?,
            Step::Face(index, face) => {
                self.named = false;
                self.output.text(&place(*index, face))?;
                self.output.text(&action_units(face))?;
            }
            Step::Event(ExplanationEvent::Label {
                expression: label,
                probabilities,
            }) => {
                self.end_line()?;
                self.named = true;
                self.output.text(&expression(*label, Some(probabilities)))?;
            }
            Step::Event(ExplanationEvent::Text(text)) => self.words(text)?,
            Step::Event(ExplanationEvent::Unsupported(text)) => {
                self.words(text)?;
                self.words(MARK)?;
            }
            Step::Event(_) => {}
            Step::Explained(face) => self.end_face(face)?,
            Step::Done(report) => self.output.text(&ending(report))?,
        }
        self.output.flush()
    }

    /// Writes more of the text, indented where lines begin.
    fn words(&mut self, text: &str) -> Result<(), CliError> {
        for (index, part) in text.split('\n').enumerate() {
            if index > 0 {
                self.output.text("\n")?;
                self.line = Some(Line { begun: false });
            }
            if part.is_empty() {
                continue;
            }
            let indent = match &self.line {
                Some(Line { begun: true }) => "",
                _ => "  ",
            };
            self.output.text(&format!("{indent}{}", printable(part)))?;
            self.line = Some(Line { begun: true });
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), CliError> {
        match self.line.take() {
            Some(Line { begun: true }) => self.output.text("\n"),
            _ => Ok(()),
        }
    }

    fn end_face(&mut self, face: &FaceReport) -> Result<(), CliError> {
        self.end_line()?;
        let Some(said) = &face.explanation else {
            return Ok(());
        };
        if let Some(label) = said.expression.filter(|_| !self.named) {
            self.output.text(&expression(label, None))?;
        }
        self.output.text(&remark(said))?;
        self.output.text(&grounding(face))
    }
}

/// Box, head pose, and what makes the reading doubtful.
pub fn place(index: usize, face: &FaceReading) -> String {
    let b = &face.face_box;
    format!(
        "  face {}: {:.0} x {:.0} pixels at ({:.0}, {:.0}){}{}\n",
        index + 1,
        b.width,
        b.height,
        b.x,
        b.y,
        face.head_pose.as_ref().map(head).unwrap_or_default(),
        doubts(face),
    )
}

fn doubts(face: &FaceReading) -> String {
    let doubts: Vec<String> = face.confidence.doubts().map(|d| d.to_string()).collect();
    if doubts.is_empty() {
        return String::new();
    }
    let percent = 100.0 * face.confidence.get();
    format!("; confidence {percent:.0} % ({})", doubts.join(", "))
}

fn head(pose: &HeadPose) -> String {
    let (pitch, yaw, roll) = (pose.pitch.0, pose.yaw.0, pose.roll.0);
    format!("; head pitch {pitch:.0}, yaw {yaw:.0}, roll {roll:.0} degrees")
}

/// The likeliest expressions, or the given one.
fn expression(label: Expression, probabilities: Option<&ExpressionProbabilities>) -> String {
    let Some(probabilities) = probabilities else {
        return format!("  expression: {label} (given)\n");
    };
    let likely: Vec<String> = probabilities.ranked()[..3]
        .iter()
        .map(|(expression, p)| format!("{expression} {:.0} %", 100.0 * p.get()))
        .collect();
    format!("  expression: {}\n", likely.join(", "))
}

fn action_units(face: &FaceReading) -> String {
    let active = face.action_units.active();
    if active.is_empty() {
        return "  action units: none above 0.2\n".to_owned();
    }
    let mut text = "  action units:\n".to_owned();
    for (unit, intensity) in active {
        let value = intensity.get();
        let bar = "#".repeat((value * 30.0).round() as usize);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {:<26}{value:.2} {bar}", unit.name());
    }
    text
}

/// The chain in its canonical form, or the text as it is with the reason.
fn words(said: &Explanation) -> String {
    let whole = match &said.chain {
        Ok(chain) => chain.to_string(),
        Err(_) => said.text.clone(),
    };
    let mut text = String::new();
    for line in whole.lines() {
        let indent = if line.is_empty() { "" } else { "  " };
        let _ = writeln!(text, "{indent}{}", printable(line));
    }
    text + &remark(said)
}

/// Why a text is no chain of thought.
fn remark(said: &Explanation) -> String {
    match &said.chain {
        Ok(_) => String::new(),
        Err(reason) => format!("  ({reason})\n"),
    }
}

/// How far the chain agrees with the action units, and the sentences that they contradict.
fn grounding(face: &FaceReport) -> String {
    let mut text = String::new();
    let mark = |text: &mut String, sentence: &str| {
        let _ = writeln!(text, "  (not supported: {})", printable(sentence));
    };
    if let Some(grounding) = Grounding::of(face) {
        let _ = writeln!(text, "  ({})", grounding.summary());
        grounding.unsupported().for_each(|s| mark(&mut text, s));
    } else if let Some(said) = &face.explanation {
        said.marked.iter().for_each(|s| mark(&mut text, s));
    }
    text
}

/// The end of a photo, with what went wrong.
pub fn ending(report: &PhotoReport) -> String {
    match &report.error {
        Some(error) => format!("  error: {error}\n\n"),
        None if report.faces.is_empty() => "  no face found\n\n".to_owned(),
        None => "\n".to_owned(),
    }
}

/// A model may write anything; control characters would reach the terminal.
fn printable(line: &str) -> String {
    line.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::Kind;

    /// The text of a stream of pieces, each followed by a label when it says so.
    fn streamed(pieces: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let mut output = Output::open(Some(&path), Kind::Text, &[]).unwrap();
        let mut writer = StreamWriter::new(&mut output);
        for piece in pieces {
            let event = match *piece {
                "LABEL" => ExplanationEvent::Label {
                    expression: Expression::Anger,
                    probabilities: ExpressionProbabilities::from_scores([
                        0.0, 0.0, 0.0, 0.0, 0.0, 0.25, 0.5, 0.25,
                    ]),
                },
                text => match text.strip_prefix("MARKED") {
                    Some(text) => ExplanationEvent::Unsupported(text.to_owned()),
                    None => ExplanationEvent::Text(text.to_owned()),
                },
            };
            writer.step(&Step::Event(&event)).unwrap();
        }
        writer.end_line().unwrap();
        drop(output);
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn pieces_make_the_lines_of_the_whole_text() {
        let label = "  expression: Anger 50 %, Disgust 25 %, Contempt 25 %\n";
        let text = "**Key Observations:** a b\n\n**Conclusion:** c";
        let lines = "  **Key Observations:** a b\n\n  **Conclusion:** c\n";
        for size in 1..text.len() {
            let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
            let mut pieces: Vec<_> = pieces
                .into_iter()
                .map(|piece| std::str::from_utf8(piece).unwrap())
                .collect();
            pieces.insert(0, "LABEL");
            assert_eq!(streamed(&pieces), format!("{label}{lines}"));
            pieces.rotate_left(1);
            assert_eq!(streamed(&pieces), format!("{lines}{label}"));
        }
        assert_eq!(streamed(&["ends\n", "LABEL"]), format!("  ends\n{label}"));
        let marked = streamed(&["It drops.", "MARKED It is wrinkled.", " So."]);
        assert_eq!(marked, "  It drops. It is wrinkled. [not supported] So.\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(streamed(&["a\u{1b}[31mb"]), "  a\u{fffd}[31mb\n");
        let said = Explanation {
            expression: Some(Expression::Fear),
            probabilities: None,
            text: "a\u{1b}c".to_owned(),
            chain: "a\u{1b}c".parse(),
            marked: Vec::new(),
        };
        let text = words(&said);
        assert!(
            text.starts_with("  a\u{fffd}c\n  (no Key Observations part"),
            "{text}"
        );
    }
}
