//! The stages put together.

use crate::{
    AlignedFace, AuDetector, AuReading, ChainOfThought, CotRequest, CotWriter, Expression,
    ExpressionSet, FaceAligner, FaceBox, FaceDetector, LandmarkDetector, Landmarks, Photo,
    StageError,
};

/// A face that has been read and not yet explained.
#[derive(Debug, Clone)]
pub struct ReadFace {
    /// Where the face is.
    pub face_box: FaceBox,
    /// Landmarks in pixels of the photo.
    pub landmarks: Landmarks,
    /// The upright cut-out that the action units were read from.
    pub aligned: AlignedFace,
    /// Action units, expression probabilities and head pose.
    pub reading: AuReading,
}

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
{
    /// Reads all faces of a photo, the largest first, and explains none; needs no writer.
    ///
    /// # Errors
    ///
    /// The first stage that fails.
    pub fn read(&self, photo: &Photo) -> Result<Vec<ReadFace>, StageError> {
        let boxes = self.detector.detect(photo)?;
        self.read_boxes(photo, &boxes)
    }

    /// Reads faces whose boxes are known, in their order.
    ///
    /// # Errors
    ///
    /// The first stage that fails.
    pub fn read_boxes(
        &self,
        photo: &Photo,
        boxes: &[FaceBox],
    ) -> Result<Vec<ReadFace>, StageError> {
        let landmarks = self.landmarks.landmarks(photo, boxes)?;
        let aligned = self.aligner.align(photo, &landmarks)?;
        let readings = self.units.detect_units(&aligned)?;
        Ok(boxes
            .iter()
            .zip(landmarks)
            .zip(aligned)
            .zip(readings)
            .map(|(((&face_box, landmarks), aligned), reading)| ReadFace {
                face_box,
                landmarks,
                aligned,
                reading,
            })
            .collect())
    }
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
        self.explain(self.read(photo)?)
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
        self.explain(self.read_boxes(photo, boxes)?)
    }

    /// Writes the chain of each face.
    fn explain(&self, faces: Vec<ReadFace>) -> Result<Vec<FaceAnalysis>, StageError> {
        let requests: Vec<_> = faces
            .iter()
            .enumerate()
            .map(|(index, face)| CotRequest {
                expression: face.reading.probabilities.within(self.set).top(),
                reading: face.reading.clone(),
                set: self.set,
                seed: self.seed.wrapping_add(index as u64),
            })
            .collect();
        let chains = self.writer.write(&requests)?;
        Ok(faces
            .into_iter()
            .zip(requests)
            .zip(chains)
            .map(|((face, request), chain)| FaceAnalysis {
                face_box: face.face_box,
                landmarks: face.landmarks,
                reading: face.reading,
                expression: request.expression,
                chain,
            })
            .collect())
    }
}
