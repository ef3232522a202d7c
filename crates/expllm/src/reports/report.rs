//! What is said about a photo and its faces.

use expllm_core::{
    AuVector, ChainOfThought, Doubt, Explanation, Expression, ExpressionProbabilities, FaceBox,
    FaceReading, HeadPose,
};
use serde::{Serialize, Serializer};

use super::Grounding;

/// Everything found in one photo, or why it could not be read.
#[derive(Debug, Clone)]
pub struct PhotoReport {
    /// The file as it was named.
    pub file: String,
    /// The faces, largest first; none is not an error.
    pub faces: Vec<FaceReport>,
    /// What went wrong; findings beside it still count.
    pub error: Option<String>,
}

/// One face.
#[derive(Debug, Clone)]
pub struct FaceReport {
    /// What was read.
    pub face: FaceReading,
    /// What was said about it; `None` when that failed, see [`PhotoReport::error`].
    pub explanation: Option<Explanation>,
    /// A JPEG of the face with its landmarks, where one was asked for.
    pub picture: Option<Vec<u8>>,
}

impl FaceReport {
    /// The expression that was said, or the likeliest where nothing was said.
    #[must_use]
    pub fn expression(&self) -> Option<Expression> {
        match &self.explanation {
            Some(said) => said.expression,
            None => self.face.probabilities.map(|p| p.top()),
        }
    }

    /// The probabilities behind [`Self::expression`].
    #[must_use]
    pub fn probabilities(&self) -> Option<&ExpressionProbabilities> {
        match &self.explanation {
            Some(said) => said.probabilities.as_ref(),
            None => self.face.probabilities.as_ref(),
        }
    }
}

/// The chain in JSON.
#[derive(Debug, Serialize)]
struct ChainRow<'a> {
    #[serde(flatten)]
    parts: Option<&'a ChainOfThought>,
    text: &'a str,
    /// Why the text has no parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// How far the chain agrees with the action units, in JSON.
#[derive(Debug, Serialize)]
struct GroundingRow {
    /// Share of statements that the readings support; null without statements.
    precision: Option<f64>,
    /// Share of active units that are named; null when none is active.
    recall: Option<f64>,
    /// Sentences that the readings contradict.
    unsupported: Vec<String>,
}

/// What was read of a face in JSON, the same wherever a face is written.
#[derive(Debug, Default, Serialize)]
pub struct FaceRow<'a> {
    face: Option<usize>,
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    face_box: Option<FaceBox>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<ByName<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_units: Option<AuVector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_pose: Option<HeadPose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    doubts: Vec<Doubt>,
}

/// One row of JSON.
#[derive(Debug, Default, Serialize)]
struct Row<'a> {
    file: &'a str,
    #[serde(flatten)]
    face: FaceRow<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<ChainRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grounding: Option<GroundingRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl PhotoReport {
    /// Notes that something went wrong, beside what is noted already.
    pub fn fails(&mut self, reason: String) {
        self.error = Some(match self.error.take() {
            Some(before) => format!("{before}; {reason}"),
            None => reason,
        });
    }

    /// One JSON text per face; a photo without faces or with an error gives one whose `face` is
    /// null. `chains` adds the chain of thought.
    ///
    /// # Errors
    ///
    /// Never for numbers that the networks give.
    pub fn json_rows(&self, chains: bool) -> Result<Vec<String>, serde_json::Error> {
        if self.faces.is_empty() {
            let row = Row {
                file: &self.file,
                error: self.error.as_deref(),
                ..Row::default()
            };
            return Ok(vec![serde_json::to_string(&row)?]);
        }
        let rows = self.faces.iter().enumerate();
        rows.map(|(index, face)| serde_json::to_string(&self.row(index, face, chains)))
            .collect()
    }

    fn row<'a>(&'a self, index: usize, report: &'a FaceReport, chains: bool) -> Row<'a> {
        let explanation = report.explanation.as_ref();
        Row {
            file: &self.file,
            face: FaceRow {
                expression: report.expression().map(Expression::snake_case),
                probabilities: report.probabilities().map(ByName),
                ..FaceRow::new(index, &report.face)
            },
            chain: explanation.filter(|_| chains).map(chain_row),
            grounding: Grounding::of(report).filter(|_| chains).map(grounding_row),
            error: self.error.as_deref(),
        }
    }
}

impl<'a> FaceRow<'a> {
    /// A face by its place in the picture, from 0.
    #[must_use]
    pub fn new(index: usize, face: &'a FaceReading) -> Self {
        Self {
            face: Some(index),
            face_box: Some(face.face_box),
            expression: face.probabilities.map(|p| p.top().snake_case()),
            probabilities: face.probabilities.as_ref().map(ByName),
            action_units: Some(face.action_units),
            head_pose: face.head_pose,
            confidence: Some(face.confidence.get()),
            doubts: face.confidence.doubts().collect(),
        }
    }

    /// A face of which nothing could be read.
    #[must_use]
    pub fn unread(index: usize) -> Self {
        Self {
            face: Some(index),
            ..Self::default()
        }
    }
}

fn chain_row(explanation: &Explanation) -> ChainRow<'_> {
    ChainRow {
        parts: explanation.chain.as_ref().ok(),
        text: &explanation.text,
        error: explanation.chain.as_ref().err().map(ToString::to_string),
    }
}

fn grounding_row(grounding: Grounding) -> GroundingRow {
    GroundingRow {
        precision: grounding.precision(),
        recall: grounding.recall(),
        unsupported: grounding.unsupported().map(str::to_owned).collect(),
    }
}

/// Probabilities as a map by name, in expression order.
#[derive(Debug)]
struct ByName<'a>(&'a ExpressionProbabilities);

impl Serialize for ByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.by_name())
    }
}
