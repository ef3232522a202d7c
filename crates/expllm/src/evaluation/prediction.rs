//! What a model said of each record, and the file that keeps it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use expllm_core::{AuVector, Expression, ExpressionProbabilities, ExpressionSet, FaceBox};
use serde::{Deserialize, Serialize};

use crate::evaluation::EvaluationError;

/// One record with the model's answer; a failure keeps its reason instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The record.
    pub id: String,
    /// Its label.
    pub truth: Option<Expression>,
    /// The person shown.
    pub subject: Option<String>,
    /// The model's answer.
    pub answer: Option<Expression>,
    /// Belief in each expression.
    pub probabilities: Option<ExpressionProbabilities>,
    /// Intensity of each unit.
    pub units: Option<AuVector>,
    /// The explanation.
    pub chain: Option<String>,
    /// What it would have been without verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unverified: Option<String>,
    /// The face that was looked at, in pixels.
    pub face_box: Option<FaceBox>,
    /// Why there is no answer.
    pub error: Option<String>,
}

impl Prediction {
    /// Why the record has no answer that can be right; `None` when it has one.
    #[must_use]
    pub fn failure(&self, set: ExpressionSet) -> Option<String> {
        match (&self.error, self.answer) {
            (Some(reason), _) => Some(reason.clone()),
            (None, Some(answer)) if set.contains(answer) => None,
            (None, Some(answer)) => Some(format!(
                "the answer {answer} is outside the {} classes in play",
                set.expressions().len()
            )),
            (None, None) => Some("no answer".to_owned()),
        }
    }
}

/// What a set of predictions is of; a run is resumed only by the same setup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Name of the layout.
    pub dataset: String,
    /// The root as given.
    pub root: PathBuf,
    /// The split, or `all`.
    pub split: String,
    /// The stage that was judged.
    pub stage: String,
    /// How many classes are in play.
    pub classes: usize,
    /// Whether images are face crops.
    pub cropped: bool,
    /// The model's folder, when one was given.
    pub model: Option<PathBuf>,
    /// Hash of the program, whose weights and steps read the faces, and of the model's files.
    #[serde(default)]
    pub content: String,
    /// The order of questions to a multimodal model.
    pub mode: String,
    /// The pixels that a multimodal model looks at.
    pub view: String,
    /// Number format of its weights in memory; `None` for that of the file.
    #[serde(default)]
    pub weights: Option<String>,
    /// Candidates that are drawn in place of a sentence that the action units contradict; `None`
    /// where nothing is verified.
    #[serde(default)]
    pub draws: Option<u32>,
}

/// A prediction with a hash of the image that it is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// First 16 hexadecimal digits of the SHA-256 of the image; empty where it could not be read.
    #[serde(default)]
    pub image: String,
    /// What the model said.
    #[serde(flatten)]
    pub prediction: Prediction,
}

/// An append-only file: the setup in its first line, then one prediction a line; the last one of
/// a record counts. It is locked while it is open.
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens or starts the file and returns what it already holds. A last line that was cut off
    /// when a run was stopped is dropped.
    pub fn open(
        path: &Path,
        setup: &Setup,
    ) -> Result<(Self, HashMap<String, Kept>), EvaluationError> {
        let failed = |e| EvaluationError::file(path, e);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        lock(path, &file)?;
        let mut done = HashMap::new();
        let mut kept = 0;
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let mut line = String::new();
        while reader.read_line(&mut line).map_err(failed)? > 0 && line.ends_with('\n') {
            if kept == 0 {
                check_setup(path, &line, setup)?;
            } else if let Ok(found) = serde_json::from_str::<Kept>(&line) {
                done.insert(found.prediction.id.clone(), found);
            }
            kept += line.len() as u64;
            line.clear();
        }
        file.set_len(kept).map_err(failed)?;
        let mut journal = Self {
            path: path.to_path_buf(),
            file,
        };
        if kept == 0 {
            journal.line(setup)?;
        }
        Ok((journal, done))
    }

    /// Adds predictions.
    pub fn append(&mut self, predictions: &[Kept]) -> Result<(), EvaluationError> {
        predictions.iter().try_for_each(|p| self.line(p))
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), EvaluationError> {
        let mut text = serde_json::to_string(value)?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .map_err(|e| EvaluationError::file(&self.path, e))
    }
}

/// Keeps other runs out until the file is closed.
fn lock(path: &Path, file: &File) -> Result<(), EvaluationError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(EvaluationError::Input(format!(
            "{}: another run is writing here; wait for it or give another --out",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(EvaluationError::file(path, error)),
    }
}

fn check_setup(path: &Path, line: &str, setup: &Setup) -> Result<(), EvaluationError> {
    match serde_json::from_str::<Setup>(line) {
        Ok(found) if found == *setup => Ok(()),
        _ => Err(EvaluationError::Input(format!(
            "{} holds another run (other options, another model or another version of the \
             program); give another --out, or remove it to start again",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(split: &str) -> Setup {
        Setup {
            dataset: "folder".into(),
            root: "x".into(),
            split: split.into(),
            stage: "au".into(),
            classes: 7,
            cropped: true,
            model: None,
            content: "0123".into(),
            mode: "label-first".into(),
            view: "aligned".into(),
            weights: None,
            draws: None,
        }
    }

    fn prediction(id: &str) -> Kept {
        let prediction = Prediction {
            id: id.into(),
            truth: Some(Expression::Fear),
            subject: None,
            answer: None,
            probabilities: None,
            units: None,
            chain: None,
            unverified: None,
            face_box: None,
            error: Some("no face found".into()),
        };
        let image = format!("hash of {id}");
        Kept { image, prediction }
    }

    #[test]
    fn a_cut_off_run_goes_on_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("predictions.jsonl");
        let (mut journal, done) = Journal::open(&path, &setup("valid")).unwrap();
        assert!(done.is_empty());
        journal.append(&[prediction("a"), prediction("b")]).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        let (mut journal, done) = Journal::open(&path, &setup("valid")).unwrap();
        assert_eq!(done["a"], prediction("a"));
        assert_eq!(done.len(), 1);
        let second = Journal::open(&path, &setup("valid")).err().unwrap();
        assert!(
            second.to_string().contains("another run is writing"),
            "{second}"
        );
        journal.append(&[prediction("b")]).unwrap();
        drop(journal);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert!(
            Journal::open(&path, &setup("train")).is_err(),
            "another setup"
        );
        let other_model = Setup {
            content: "4567".into(),
            ..setup("valid")
        };
        assert!(Journal::open(&path, &other_model).is_err(), "another model");
    }
}
