//! The stages that an evaluation runs through.

use expllm_core::{
    AuDetector, CotWriter, ExplainQuestion, ExpressionClassifier, FaceAligner, FaceDetector,
    FaceExplainer, LandmarkDetector,
};

/// From a photo to a judged face.
pub struct Stages {
    /// Finds faces; nothing for images that are face crops.
    pub detector: Option<Box<dyn FaceDetector>>,
    /// Finds landmarks.
    pub landmarks: Box<dyn LandmarkDetector>,
    /// Turns faces upright.
    pub aligner: Box<dyn FaceAligner>,
    /// The stage that is evaluated.
    pub judge: Judge,
}

/// The stage that is evaluated.
pub enum Judge {
    /// Action units and expression, with chains written from them.
    Units {
        /// Reads action units.
        units: Box<dyn AuDetector>,
        /// Writes chains.
        writer: Box<dyn CotWriter>,
    },
    /// Expression alone.
    Classifier(Box<dyn ExpressionClassifier>),
    /// A multimodal language model.
    Explainer {
        /// The model.
        explainer: Box<dyn FaceExplainer>,
        /// The order of its questions.
        question: ExplainQuestion,
        /// The pixels that it looks at.
        view: View,
        /// Reads the action units that its chains are held against.
        units: Box<dyn AuDetector>,
    },
}

/// The pixels that a multimodal model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The face turned upright by its landmarks, as for the other stages.
    Aligned,
    /// The face box as it is; of a face crop the whole image, as the published model was trained
    /// on the aligned images of its data sets.
    Whole,
}
