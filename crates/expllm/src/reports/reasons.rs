//! Why each face of a photo has its expression, without prose.

use expllm_core::{
    AuVector, ExplainQuestion, ExplainRequest, Expression, ExpressionSet, FaceBox, FaceReading,
};
use expllm_cot::{Knowledge, Reasoning};
use serde::Serialize;

use super::PhotoReport;

/// What is reasoned about, and with which knowledge.
#[derive(Debug, Clone, Copy)]
pub struct Reasoner<'a> {
    /// What action units mean.
    pub knowledge: &'a Knowledge,
    /// The expression to reason about; `None` takes the likeliest of each face.
    pub label: Option<Expression>,
    /// The expressions in play.
    pub set: ExpressionSet,
}

impl Default for Reasoner<'static> {
    /// The likeliest of eight expressions, with the built-in knowledge.
    fn default() -> Self {
        Self {
            knowledge: Knowledge::builtin(),
            label: None,
            set: ExpressionSet::default(),
        }
    }
}

/// One row of JSON.
#[derive(Debug, Default, Serialize)]
struct Row<'a> {
    file: &'a str,
    face: Option<usize>,
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    face_box: Option<FaceBox>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_units: Option<AuVector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Reasoner<'_> {
    /// Why a face has its label; `None` where no label is given and none was read.
    #[must_use]
    pub fn reason(&self, face: &FaceReading) -> Option<Reasoning> {
        let question = match self.label {
            Some(label) => ExplainQuestion::Given(label),
            None => ExplainQuestion::LabelFirst,
        };
        let request = ExplainRequest::of_reading(face, question, self.set);
        let probabilities = request.probabilities_in_play();
        let units = &request.action_units;
        let label = request.label()?;
        let reasoning = self
            .knowledge
            .reason(units, label, probabilities.as_ref(), self.set);
        Some(reasoning)
    }

    /// One JSON text per face; a photo without faces gives one whose `face` is null.
    ///
    /// # Errors
    ///
    /// Never for numbers that the networks give.
    pub fn json_rows(&self, report: &PhotoReport) -> Result<Vec<String>, serde_json::Error> {
        let (file, error) = (report.file.as_str(), report.error.as_deref());
        if report.faces.is_empty() {
            let row = Row {
                file,
                error,
                ..Row::default()
            };
            return Ok(vec![serde_json::to_string(&row)?]);
        }
        let rows = report.faces.iter().enumerate().map(|(index, found)| Row {
            file,
            face: Some(index),
            face_box: Some(found.face.face_box),
            action_units: Some(found.face.action_units),
            reasoning: self.reason(&found.face),
            error,
        });
        rows.map(|row| serde_json::to_string(&row)).collect()
    }
}
