//! The stages that an evaluation runs through.

use expllm_core::{
    AuDetector, CotWriter, ExplainQuestion, ExpressionClassifier, FaceAligner, FaceDetector,
    FaceExplainer, LandmarkDetector, Photo,
};

/// From a photo to a judged face.
pub struct Stages {
    /// Finds faces; nothing for images that are face crops.
    pub detector: Option<Box<dyn FaceDetector>>,
    /// Turns the face into what the stage looks at.
    pub cut: Cut,
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
    },
}

/// How a face is cut out.
pub enum Cut {
    /// The pixels of the face box as they are, for stages that look at no landmarks.
    Whole,
    /// Turned upright by its landmarks.
    Aligned {
        /// Finds landmarks.
        landmarks: Box<dyn LandmarkDetector>,
        /// Turns faces upright.
        aligner: Box<dyn FaceAligner>,
    },
}

/// Turns the bytes of an image file into a photo, or says why not.
pub(super) fn decode(bytes: &[u8]) -> Result<Photo, String> {
    let reader = image::ImageReader::new(std::io::Cursor::new(bytes));
    let reader = reader.with_guessed_format().map_err(|e| e.to_string())?;
    let picture = reader.decode().map_err(|e| e.to_string())?.into_rgb8();
    let (width, height) = picture.dimensions();
    Photo::new(width, height, picture.into_raw()).map_err(|e| e.to_string())
}
