//! The stages put together.

use crate::{
    AlignedFace, AuDetector, AuReading, ChainOfThought, CotRequest, CotWriter, Expression,
    ExpressionSet, FaceAligner, FaceBox, FaceDetector, LandmarkDetector, Landmarks, Photo,
    StageError,
};

/// Everything found out about one face of a photo.
#[derive(Debug, Clone)]
pub struct FaceAnalysis {
    /// Where the face is.
    pub face_box: FaceBox,
    /// Landmarks in pixels of the photo.
    pub landmarks: Landmarks,
    /// Action units, expression probabilities and head pose.
    pub reading: AuReading,
    /// The likeliest expression of the pipeline's set.
    pub expression: Expression,
    /// The explanation.
    pub chain: ChainOfThought,
}

/// Detection, landmarks, alignment, action units and chain of thought in a row.
///
/// Every stage can be replaced by another implementation of its trait, also by a boxed one.
#[derive(Debug, Clone)]
pub struct Pipeline<D, L, A, U, W> {
    /// Finds faces.
    pub detector: D,
    /// Finds landmarks.
    pub landmarks: L,
    /// Turns faces upright.
    pub aligner: A,
    /// Reads action units.
    pub units: U,
    /// Writes chains of thought.
    pub writer: W,
    /// The expressions in play.
    pub set: ExpressionSet,
    /// Varies the wording of the chains.
    pub seed: u64,
}

impl<D, L, A, U, W> Pipeline<D, L, A, U, W>
where
    D: FaceDetector,
    L: LandmarkDetector,
    A: FaceAligner,
    U: AuDetector,
    W: CotWriter,
{
    /// Analyses all faces of a photo, the largest first; a photo without faces gives none.
    ///
    /// # Errors
    ///
    /// The first stage that fails.
    pub fn analyze(&self, photo: &Photo) -> Result<Vec<FaceAnalysis>, StageError> {
        let boxes = self.detector.detect(photo)?;
        self.analyze_boxes(photo, &boxes)
    }

    /// Analyses faces whose boxes are known, in their order.
    ///
    /// # Errors
    ///
    /// The first stage that fails.
    pub fn analyze_boxes(
        &self,
        photo: &Photo,
        boxes: &[FaceBox],
    ) -> Result<Vec<FaceAnalysis>, StageError> {
        let landmarks = self.landmarks.landmarks(photo, boxes)?;
        let faces = self.aligner.align(photo, &landmarks)?;
        let requests = self.requests(&faces)?;
        let chains = self.writer.write(&requests)?;
        Ok(boxes
            .iter()
            .zip(landmarks)
            .zip(requests)
            .zip(chains)
            .map(|(((&face_box, landmarks), request), chain)| FaceAnalysis {
                face_box,
                landmarks,
                reading: request.reading,
                expression: request.expression,
                chain,
            })
            .collect())
    }

    fn requests(&self, faces: &[AlignedFace]) -> Result<Vec<CotRequest>, StageError> {
        let readings = self.units.detect_units(faces)?;
        Ok(readings
            .into_iter()
            .enumerate()
            .map(|(index, reading)| CotRequest {
                expression: reading.probabilities.within(self.set).top(),
                reading,
                set: self.set,
                seed: self.seed.wrapping_add(index as u64),
            })
            .collect())
    }
}
