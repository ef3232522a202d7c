//! The explaining path: the only seam for "a reading, and its pixels, become an explanation".

use crate::{
    AlignedFace, AuVector, ChainOfThought, Confidence, CoreError, Expression,
    ExpressionProbabilities, ExpressionSet, FaceReading, Photo, Stage, StageError,
};

/// In which order label and chain are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExplainQuestion {
    /// The label first, then the chain conditioned on it (the paper's protocol).
    LabelFirst,
    /// The chain first; the label is read from it.
    ChainFirst,
    /// The chain of a label that is given.
    Given(Expression),
}

impl ExplainQuestion {
    /// The label that the question gives.
    #[must_use]
    pub const fn given(self) -> Option<Expression> {
        match self {
            Self::Given(label) => Some(label),
            _ => None,
        }
    }
}

/// What an explanation is made from: as much of a face as the caller has.
#[derive(Debug, Clone)]
pub struct ExplainRequest {
    /// Intensities of the units that were measured.
    pub action_units: AuVector,
    /// Probability of each expression.
    pub probabilities: Option<ExpressionProbabilities>,
    /// How far the units can be trusted, by how the face lies in its photo.
    pub confidence: Confidence,
    /// The upright face, [`Explainer::crop_side`] pixels wide; `None` where there are no pixels.
    pub crop: Option<AlignedFace>,
    /// What is asked for.
    pub question: ExplainQuestion,
    /// The expressions in play.
    pub set: ExpressionSet,
    /// Varies the wording; the same request and seed give the same text.
    pub seed: u64,
}

impl ExplainRequest {
    /// The chain of a known label from units alone, without pixels.
    #[must_use]
    pub const fn of_units(action_units: AuVector, label: Expression, set: ExpressionSet) -> Self {
        Self {
            action_units,
            probabilities: None,
            confidence: Confidence::FULL,
            crop: None,
            question: ExplainQuestion::Given(label),
            set,
            seed: 0,
        }
    }

    /// What was read from a face, with the pixels that its units were read from.
    #[must_use]
    pub fn of_reading(face: &FaceReading, question: ExplainQuestion, set: ExpressionSet) -> Self {
        Self {
            action_units: face.action_units,
            probabilities: face.probabilities,
            confidence: face.confidence,
            crop: Some(face.aligned.clone()),
            question,
            set,
            seed: 0,
        }
    }

    /// The same request with another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same request with other pixels.
    #[must_use]
    pub fn with_crop(mut self, crop: AlignedFace) -> Self {
        self.crop = Some(crop);
        self
    }

    /// Probabilities within the expressions in play.
    #[must_use]
    pub fn probabilities_in_play(&self) -> Option<ExpressionProbabilities> {
        self.probabilities.map(|all| all.within(self.set))
    }

    /// The label to conclude with, where it follows from the request: the given one, else the
    /// likeliest in play.
    #[must_use]
    pub fn label(&self) -> Option<Expression> {
        let likeliest = || self.probabilities_in_play().map(|all| all.top());
        self.question.given().or_else(likeliest)
    }

    /// The pixels of the face.
    ///
    /// # Errors
    ///
    /// When the caller gave none.
    pub fn pixels(&self) -> Result<&Photo, StageError> {
        let missing = "this explainer looks at the face, and the request has no pixels";
        let crop = self.crop.as_ref().map(|crop| &crop.image);
        crop.ok_or_else(|| StageError::new(Stage::Explanation, missing))
    }
}

/// A piece of an explanation while it is being made.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ExplanationEvent {
    /// The label is known.
    Label {
        /// The likeliest expression.
        expression: Expression,
        /// The probability of each.
        probabilities: ExpressionProbabilities,
    },
    /// More text of the chain.
    Text(String),
    /// More text of the chain that the face does not bear out, to be shown marked.
    Unsupported(String),
}

/// An explanation as it is being made.
pub type ExplanationStream<'a> =
    Box<dyn Iterator<Item = Result<ExplanationEvent, StageError>> + Send + 'a>;

/// A whole explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The label: given, or the likeliest; `None` where none was named.
    pub expression: Option<Expression>,
    /// The probability of each expression; `None` where the label was given.
    pub probabilities: Option<ExpressionProbabilities>,
    /// The text as it was written.
    pub text: String,
    /// The text in its three parts, or why it has none.
    pub chain: Result<ChainOfThought, CoreError>,
    /// The stretches of the text that were marked while it was written, white space around them left
    /// out; none where nothing was verified.
    pub marked: Vec<String>,
}

impl Explanation {
    /// An explanation from its label and text.
    #[must_use]
    pub fn new(label: Option<(Expression, ExpressionProbabilities)>, text: String) -> Self {
        Self {
            expression: label.map(|(expression, _)| expression),
            probabilities: label.map(|(_, probabilities)| probabilities),
            chain: text.parse(),
            text,
            marked: Vec::new(),
        }
    }
}

/// The events of one face so far.
#[derive(Debug, Clone, Default)]
pub struct ExplanationParts {
    expression: Option<Expression>,
    probabilities: Option<ExpressionProbabilities>,
    text: String,
    marked: Vec<String>,
}

impl ExplanationParts {
    /// Begins to collect the answer to a question.
    #[must_use]
    pub fn new(question: ExplainQuestion) -> Self {
        Self {
            expression: question.given(),
            ..Self::default()
        }
    }

    /// Takes one event.
    pub fn take(&mut self, event: &ExplanationEvent) {
        match event {
            ExplanationEvent::Label {
                expression,
                probabilities,
            } => {
                self.expression = Some(*expression);
                self.probabilities = Some(*probabilities);
            }
            ExplanationEvent::Text(text) => self.text.push_str(text),
            ExplanationEvent::Unsupported(text) => {
                self.text.push_str(text);
                self.marked.push(text.trim().to_owned());
            }
        }
    }

    /// The whole explanation.
    #[must_use]
    pub fn finish(self) -> Explanation {
        Explanation {
            expression: self.expression,
            probabilities: self.probabilities,
            chain: self.text.parse(),
            text: self.text,
            marked: self.marked,
        }
    }
}

/// Explains a face in words: a composer from the units, a multimodal model from the pixels, a
/// remote writer.
pub trait Explainer: Send + Sync {
    /// Side in pixels of the crop that this explainer looks at; `None` when it looks at none.
    fn crop_side(&self) -> Option<u32> {
        None
    }

    /// Whether several faces may well be explained at the same time. A language model uses all
    /// threads for one face and much memory for each.
    fn in_parallel(&self) -> bool {
        true
    }

    /// Starts an explanation; dropping the stream cancels it.
    ///
    /// # Errors
    ///
    /// When the request lacks what this explainer needs, or cannot be encoded.
    fn explain<'a>(&'a self, request: &ExplainRequest)
    -> Result<ExplanationStream<'a>, StageError>;

    /// Explains several faces to the end: what [`explain`](Self::explain) gives for each, in
    /// order. An implementation that can run faces side by side does so here; this one takes one
    /// after the other.
    ///
    /// # Errors
    ///
    /// The first face that fails; a text that is no chain is not an error.
    fn explain_all(&self, requests: &[ExplainRequest]) -> Result<Vec<Explanation>, StageError> {
        let to_the_end = |request: &ExplainRequest| {
            let events = self.explain(request)?;
            explanation_of(events, request.question)
        };
        requests.iter().map(to_the_end).collect()
    }
}

/// Runs a stream to its end.
///
/// # Errors
///
/// As the stream.
pub fn explanation_of(
    events: ExplanationStream<'_>,
    question: ExplainQuestion,
) -> Result<Explanation, StageError> {
    let mut parts = ExplanationParts::new(question);
    for event in events {
        parts.take(&event?);
    }
    Ok(parts.finish())
}

/// The stream of an explanation that is known as a whole.
#[must_use]
pub fn explanation_at_once<'a>(
    request: &ExplainRequest,
    chain: &ChainOfThought,
) -> ExplanationStream<'a> {
    let label = match request.question {
        ExplainQuestion::Given(_) => None,
        _ => request.probabilities_in_play(),
    };
    let label = label.map(|probabilities| ExplanationEvent::Label {
        expression: probabilities.top(),
        probabilities,
    });
    let text = ExplanationEvent::Text(chain.to_string());
    let events: Vec<_> = label.into_iter().chain([text]).map(Ok).collect();
    Box::new(events.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_from_the_question_or_the_probabilities_in_play() {
        let mut request =
            ExplainRequest::of_units(AuVector::REST, Expression::Fear, ExpressionSet::Seven);
        assert_eq!(request.label(), Some(Expression::Fear));
        request.question = ExplainQuestion::LabelFirst;
        assert_eq!(request.label(), None);
        request.probabilities = Some(ExpressionProbabilities::from_scores([
            0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.1, 0.6,
        ]));
        assert_eq!(request.label(), Some(Expression::Happiness));
        request.set = ExpressionSet::Eight;
        assert_eq!(request.label(), Some(Expression::Contempt));
        assert!(request.pixels().is_err());
    }

    #[test]
    fn a_text_without_parts_is_kept_as_it_is() {
        let mut parts = ExplanationParts::new(ExplainQuestion::Given(Expression::Fear));
        for text in ["The eyes ", "are wide."] {
            parts.take(&ExplanationEvent::Text(text.into()));
        }
        parts.take(&ExplanationEvent::Unsupported(" They smile.".into()));
        let explanation = parts.finish();
        assert_eq!(explanation.text, "The eyes are wide. They smile.");
        assert_eq!(explanation.marked, ["They smile."]);
        assert!(explanation.chain.is_err());
        assert_eq!(explanation.expression, Some(Expression::Fear));
        assert_eq!(explanation.probabilities, None);
    }
}
