//! The reading path and the explaining path in a row.

use crate::{
    AuDetector, ExplainQuestion, ExplainRequest, Explainer, Explanation, ExpressionSet,
    FaceAligner, FaceDetector, FaceReader, FaceReading, LandmarkDetector, Photo, StageError,
    UnreadFace,
};

/// A [`FaceReader`] and an [`Explainer`]: a photo in, explained faces out.
#[derive(Debug, Clone)]
pub struct Pipeline<
    E = Box<dyn Explainer>,
    D = Box<dyn FaceDetector>,
    L = Box<dyn LandmarkDetector>,
    A = Box<dyn FaceAligner>,
    U = Box<dyn AuDetector>,
> {
    /// Reads faces.
    pub reader: FaceReader<D, L, A, U>,
    /// Explains them.
    pub explainer: E,
    /// What is asked of a face.
    pub question: ExplainQuestion,
    /// The expressions in play.
    pub set: ExpressionSet,
    /// Varies the wording of the chains.
    pub seed: u64,
}

/// Everything found out about one face of a photo.
#[derive(Debug)]
pub struct FaceAnalysis {
    /// What was read.
    pub reading: FaceReading,
    /// The explanation, or why there is none.
    pub explanation: Result<Explanation, StageError>,
}

impl<E, D, L, A, U> Pipeline<E, D, L, A, U>
where
    E: Explainer,
    D: FaceDetector,
    L: LandmarkDetector,
    A: FaceAligner,
    U: AuDetector,
{
    /// Analyses all faces of a photo, the largest first; a photo without faces gives none.
    ///
    /// # Errors
    ///
    /// When detection fails; what fails later is the matter of one face.
    pub fn analyze(
        &self,
        photo: &Photo,
    ) -> Result<Vec<Result<FaceAnalysis, UnreadFace>>, StageError> {
        let faces = self.reader.read(photo)?.into_iter().enumerate();
        let analyses = faces.map(|(place, face)| {
            let reading = face?;
            let explanation = self.explain(photo, &reading, place);
            Ok(FaceAnalysis {
                reading,
                explanation,
            })
        });
        Ok(analyses.collect())
    }

    /// What the explainer is asked about a face at a place of the photo: with the pixels at the
    /// side that it looks at.
    ///
    /// # Errors
    ///
    /// When the face cannot be cut out.
    pub fn request(
        &self,
        photo: &Photo,
        face: &FaceReading,
        place: usize,
    ) -> Result<ExplainRequest, StageError> {
        let seed = self.seed.wrapping_add(place as u64);
        let request = ExplainRequest::of_reading(face, self.question, self.set).with_seed(seed);
        let side = self.explainer.crop_side();
        self.reader.with_pixels(request, (photo, face), side)
    }

    fn explain(
        &self,
        photo: &Photo,
        face: &FaceReading,
        place: usize,
    ) -> Result<Explanation, StageError> {
        let request = self.request(photo, face, place)?;
        let mut explanations = self.explainer.explain_all(&[request])?;
        let missing = || StageError::count(crate::Stage::Explanation, 1, 0);
        explanations.pop().ok_or_else(missing)
    }
}
