//! Vocabulary, stage traits, reading and explaining path of explainable facial expression recognition.
//!
//! One photo goes in; for every face, action unit (AU) intensities, an expression with its
//! probability, and a chain of thought in three parts come out:
//!
//! ```text
//! Photo ──FaceReader──▶ FaceReading (or a reason, face by face) ──Explainer──▶ Explanation
//! ```
//!
//! This crate holds the types that travel along that path and one narrow trait per stage; the
//! other crates of the project implement the stages. It has no tensor framework, no network and
//! no file formats in it.
//!
//! ```
//! use expllm_core::{ActionUnit, Side};
//!
//! let unit = ActionUnit::LeftLipCornerPull;
//! assert_eq!(unit.side(), Side::Left);
//! assert_eq!(unit.mirrored(), ActionUnit::RightLipCornerPull);
//! assert_eq!(unit.info().facs, ["12"]);
//! ```

mod action_unit;
pub mod au_form;
mod chain;
mod confidence;
mod crosswalk;
mod error;
mod explainer;
mod expression;
mod face_reader;
mod geometry;
mod grounding;
mod intensity;
mod photo;
mod pipeline;
mod reading;
mod stages;
mod verification;

pub use action_unit::{ActionUnit, ActionUnitInfo, Side};
pub use chain::{ChainOfThought, ChainPart};
pub use confidence::{Confidence, DOUBTFUL, Doubt};
pub use crosswalk::UnitTool;
pub use error::{CoreError, Stage, StageError};
pub use explainer::{
    ExplainQuestion, ExplainRequest, Explainer, Explanation, ExplanationEvent, ExplanationParts,
    ExplanationStream, explanation_at_once, explanation_of,
};
pub use expression::{Expression, ExpressionProbabilities, ExpressionSet};
pub use face_reader::{FaceOutcome, FaceReader, FaceReading, PlacedFace, UnreadFace};
pub use geometry::{Degrees, FaceBox, HeadPose, LANDMARK_COUNT, Landmarks, Point, Similarity};
pub use grounding::{AuStatement, GroundingReport, Polarity};
pub use intensity::{ACTIVE_THRESHOLD, FacsGrade, Intensity, Probability, Strength};
pub use photo::{AlignedFace, Photo};
pub use pipeline::{FaceAnalysis, Pipeline};
pub use reading::{AuReading, AuVector};
pub use stages::{
    AuDetector, ExpressionClassifier, FaceAligner, FaceDetector, GoOn, LandmarkDetector, PhotoFaces,
};
pub use verification::{JudgedFace, NewSentence, SentenceJudge, Verdict};
