//! The stages that an evaluation runs through.

use expllm_core::{ExplainQuestion, Explainer, FaceReader};

/// From a photo to a judged face.
pub struct Stages {
    /// Reads faces.
    pub reader: FaceReader,
    /// Whether each image is the crop of one face, so that nothing is detected.
    pub cropped: bool,
    /// What is judged.
    pub judge: Judge,
}

/// What is judged.
pub enum Judge {
    /// The expression that is read beside the action units.
    Classifier,
    /// Label and chain of an explainer.
    Explainer {
        /// Who explains.
        explainer: Box<dyn Explainer>,
        /// The same one without verification, where its chains are to be judged too.
        unverified: Option<Box<dyn Explainer>>,
        /// The order of its questions.
        question: ExplainQuestion,
        /// The pixels that it looks at.
        view: View,
    },
}

/// The pixels that an explainer looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The face turned upright by its landmarks, as for the other stages.
    Aligned,
    /// The face box as it is; of a face crop the whole image, as the published model was trained
    /// on the aligned images of its data sets.
    Whole,
}
