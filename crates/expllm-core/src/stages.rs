//! One narrow trait per stage.
//!
//! The contract that all of them share: a batch goes in and exactly one answer per entry comes
//! out, in the same order; an empty batch gives an empty answer; the same input gives the same
//! answer; nothing panics on any input that the carrier types can hold. Implementations are
//! `Send + Sync` and may use threads of their own.

use std::sync::Arc;

use crate::{
    AlignedFace, AuReading, ChainOfThought, CoreError, Expression, ExpressionProbabilities,
    ExpressionSet, FaceBox, Landmarks, Photo, StageError,
};

/// Finds the faces of a photo.
pub trait FaceDetector: Send + Sync {
    /// All faces, the largest box first; none is not an error.
    ///
    /// # Errors
    ///
    /// When the detector itself fails.
    fn detect(&self, photo: &Photo) -> Result<Vec<FaceBox>, StageError>;
}

/// Finds landmarks and head pose of faces whose boxes are known.
pub trait LandmarkDetector: Send + Sync {
    /// Landmarks in pixels of the photo, one set per box.
    ///
    /// # Errors
    ///
    /// When the network fails.
    fn landmarks(&self, photo: &Photo, boxes: &[FaceBox]) -> Result<Vec<Landmarks>, StageError>;
}

/// Turns faces upright and cuts them out.
pub trait FaceAligner: Send + Sync {
    /// One cut-out per set of landmarks.
    ///
    /// # Errors
    ///
    /// When landmarks are degenerate (all in one point, not finite).
    fn align(&self, photo: &Photo, landmarks: &[Landmarks])
    -> Result<Vec<AlignedFace>, StageError>;
}

/// Reads action units, expression and head pose.
pub trait AuDetector: Send + Sync {
    /// One reading per face.
    ///
    /// # Errors
    ///
    /// When the network fails.
    fn detect_units(&self, faces: &[AlignedFace]) -> Result<Vec<AuReading>, StageError>;
}

/// Reads the expression alone.
pub trait ExpressionClassifier: Send + Sync {
    /// Probabilities per face.
    ///
    /// # Errors
    ///
    /// When the network fails.
    fn classify(&self, faces: &[AlignedFace]) -> Result<Vec<ExpressionProbabilities>, StageError>;
}

/// What a chain is written from.
#[derive(Debug, Clone, PartialEq)]
pub struct CotRequest {
    /// What was read from the face.
    pub reading: AuReading,
    /// The expression to conclude with.
    pub expression: Expression,
    /// The expressions in play.
    pub set: ExpressionSet,
    /// Varies the wording; the same request and seed give the same text.
    pub seed: u64,
}

/// Writes chains of thought from readings.
pub trait CotWriter: Send + Sync {
    /// One chain per request.
    ///
    /// # Errors
    ///
    /// When a chain cannot be written.
    fn write(&self, requests: &[CotRequest]) -> Result<Vec<ChainOfThought>, StageError>;
}

/// In which order a multimodal model is asked.
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
}

/// An explanation as it is being made.
pub type ExplanationStream<'a> =
    Box<dyn Iterator<Item = Result<ExplanationEvent, StageError>> + Send + 'a>;

/// A whole explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The label, and the probability of each.
    pub label: Option<(Expression, ExpressionProbabilities)>,
    /// The text as the model wrote it.
    pub text: String,
    /// The text read as a chain, or why it is none.
    pub chain: Result<ChainOfThought, CoreError>,
}

impl Explanation {
    /// An explanation from its label and text.
    #[must_use]
    pub fn new(label: Option<(Expression, ExpressionProbabilities)>, text: String) -> Self {
        let chain = text.parse();
        Self { label, text, chain }
    }
}

/// Explains a face in words from its pixels, as ExpLLM does.
pub trait FaceExplainer: Send + Sync {
    /// Starts an explanation; dropping the stream cancels it.
    ///
    /// # Errors
    ///
    /// When the face or the question cannot be encoded.
    fn explain<'a>(
        &'a self,
        face: &AlignedFace,
        question: ExplainQuestion,
    ) -> Result<ExplanationStream<'a>, StageError>;

    /// Explains several faces to the end: what [`explain`](Self::explain) gives for each, in
    /// order. An implementation that can run faces side by side does so here; this one takes one
    /// after the other.
    ///
    /// # Errors
    ///
    /// The first face that fails; a text that is no chain is not an error.
    fn explain_all(
        &self,
        faces: &[AlignedFace],
        question: ExplainQuestion,
    ) -> Result<Vec<Explanation>, StageError> {
        let to_the_end = |face| {
            let (mut label, mut text) = (None, String::new());
            for event in self.explain(face, question)? {
                match event? {
                    ExplanationEvent::Label {
                        expression,
                        probabilities,
                    } => label = Some((expression, probabilities)),
                    ExplanationEvent::Text(more) => text.push_str(&more),
                }
            }
            Ok(Explanation::new(label, text))
        };
        faces.iter().map(to_the_end).collect()
    }
}

macro_rules! forward_to_target {
    ($pointer:ident) => {
        impl<T: FaceDetector + ?Sized> FaceDetector for $pointer<T> {
            fn detect(&self, photo: &Photo) -> Result<Vec<FaceBox>, StageError> {
                (**self).detect(photo)
            }
        }

        impl<T: LandmarkDetector + ?Sized> LandmarkDetector for $pointer<T> {
            fn landmarks(
                &self,
                photo: &Photo,
                boxes: &[FaceBox],
            ) -> Result<Vec<Landmarks>, StageError> {
                (**self).landmarks(photo, boxes)
            }
        }

        impl<T: FaceAligner + ?Sized> FaceAligner for $pointer<T> {
            fn align(
                &self,
                photo: &Photo,
                landmarks: &[Landmarks],
            ) -> Result<Vec<AlignedFace>, StageError> {
                (**self).align(photo, landmarks)
            }
        }

        impl<T: AuDetector + ?Sized> AuDetector for $pointer<T> {
            fn detect_units(&self, faces: &[AlignedFace]) -> Result<Vec<AuReading>, StageError> {
                (**self).detect_units(faces)
            }
        }

        impl<T: CotWriter + ?Sized> CotWriter for $pointer<T> {
            fn write(&self, requests: &[CotRequest]) -> Result<Vec<ChainOfThought>, StageError> {
                (**self).write(requests)
            }
        }
    };
}

forward_to_target!(Box);
forward_to_target!(Arc);
