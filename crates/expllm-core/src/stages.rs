//! One narrow trait per stage.
//!
//! The contract that all of them share: a batch goes in and exactly one answer per entry comes
//! out, in the same order; an empty batch gives an empty answer; the same input gives the same
//! answer; nothing panics on any input that the carrier types can hold. Implementations are
//! `Send + Sync` and may use threads of their own.

use std::sync::Arc;

use crate::{
    AlignedFace, AuReading, ExplainRequest, Explainer, Explanation, ExplanationStream,
    ExpressionProbabilities, FaceBox, Landmarks, Photo, Stage, StageError,
};

/// Asked between the steps of long work whether it should go on.
pub type GoOn<'a> = dyn Fn() -> bool + Sync + 'a;

/// A photo, and the boxes of some of its faces.
pub type PhotoFaces<'a> = (&'a Photo, &'a [FaceBox]);

/// Finds the faces of a photo.
pub trait FaceDetector: Send + Sync {
    /// All faces, the largest box first; none is not an error.
    ///
    /// # Errors
    ///
    /// When the detector itself fails.
    fn detect(&self, photo: &Photo) -> Result<Vec<FaceBox>, StageError>;

    /// The same as long as `go_on` says so; `None` when the search was broken off. A detector
    /// that cannot be broken off asks once, before it begins.
    ///
    /// # Errors
    ///
    /// As [`detect`](Self::detect).
    fn detect_while(
        &self,
        photo: &Photo,
        go_on: &GoOn<'_>,
    ) -> Result<Option<Vec<FaceBox>>, StageError> {
        match go_on() {
            true => self.detect(photo).map(Some),
            false => Ok(None),
        }
    }
}

/// Finds landmarks and head pose of faces whose boxes are known.
pub trait LandmarkDetector: Send + Sync {
    /// Landmarks in pixels of the photo, one set per box.
    ///
    /// # Errors
    ///
    /// When the network fails.
    fn landmarks(&self, photo: &Photo, boxes: &[FaceBox]) -> Result<Vec<Landmarks>, StageError>;

    /// Landmarks of the faces of several photos, one answer per photo. A network that is quicker
    /// with many faces takes those of all photos at once.
    ///
    /// # Errors
    ///
    /// As [`landmarks`](Self::landmarks); one photo then fails all.
    fn landmarks_of_photos(
        &self,
        photos: &[PhotoFaces<'_>],
    ) -> Result<Vec<Vec<Landmarks>>, StageError> {
        let one = |&(photo, boxes): &PhotoFaces<'_>| self.landmarks(photo, boxes);
        photos.iter().map(one).collect()
    }

    /// Landmarks of one face, for who wants nothing else of it.
    ///
    /// # Errors
    ///
    /// When the network fails, or gives another number of answers.
    fn landmarks_of(&self, photo: &Photo, face: FaceBox) -> Result<Landmarks, StageError> {
        let mut found = self.landmarks(photo, &[face])?;
        match (found.len(), found.pop()) {
            (1, Some(marks)) => Ok(marks),
            (found, _) => Err(StageError::count(Stage::Landmarks, 1, found)),
        }
    }
}

/// Turns faces upright and cuts them out.
pub trait FaceAligner: Send + Sync {
    /// One cut-out per set of landmarks, `side` pixels wide and high.
    ///
    /// # Errors
    ///
    /// When landmarks are degenerate (all in one point, not finite).
    fn align(
        &self,
        photo: &Photo,
        landmarks: &[Landmarks],
        side: u32,
    ) -> Result<Vec<AlignedFace>, StageError>;
}

/// Reads action units and expression.
pub trait AuDetector: Send + Sync {
    /// Side in pixels of the crops that this detector is best given; any side is legal.
    fn crop_side(&self) -> u32;

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

macro_rules! forward_to_target {
    ($pointer:ident) => {
        impl<T: FaceDetector + ?Sized> FaceDetector for $pointer<T> {
            fn detect(&self, photo: &Photo) -> Result<Vec<FaceBox>, StageError> {
                (**self).detect(photo)
            }

            fn detect_while(
                &self,
                photo: &Photo,
                go_on: &GoOn<'_>,
            ) -> Result<Option<Vec<FaceBox>>, StageError> {
                (**self).detect_while(photo, go_on)
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

            fn landmarks_of_photos(
                &self,
                photos: &[PhotoFaces<'_>],
            ) -> Result<Vec<Vec<Landmarks>>, StageError> {
                (**self).landmarks_of_photos(photos)
            }
        }

        impl<T: FaceAligner + ?Sized> FaceAligner for $pointer<T> {
            fn align(
                &self,
                photo: &Photo,
                landmarks: &[Landmarks],
                side: u32,
            ) -> Result<Vec<AlignedFace>, StageError> {
                (**self).align(photo, landmarks, side)
            }
        }

        impl<T: AuDetector + ?Sized> AuDetector for $pointer<T> {
            fn crop_side(&self) -> u32 {
                (**self).crop_side()
            }

            fn detect_units(&self, faces: &[AlignedFace]) -> Result<Vec<AuReading>, StageError> {
                (**self).detect_units(faces)
            }
        }

        impl<T: ExpressionClassifier + ?Sized> ExpressionClassifier for $pointer<T> {
            fn classify(
                &self,
                faces: &[AlignedFace],
            ) -> Result<Vec<ExpressionProbabilities>, StageError> {
                (**self).classify(faces)
            }
        }

        impl<T: Explainer + ?Sized> Explainer for $pointer<T> {
            fn crop_side(&self) -> Option<u32> {
                (**self).crop_side()
            }

            fn in_parallel(&self) -> bool {
                (**self).in_parallel()
            }

            fn explain<'a>(
                &'a self,
                request: &ExplainRequest,
            ) -> Result<ExplanationStream<'a>, StageError> {
                (**self).explain(request)
            }

            fn explain_all(
                &self,
                requests: &[ExplainRequest],
            ) -> Result<Vec<Explanation>, StageError> {
                (**self).explain_all(requests)
            }
        }
    };
}

forward_to_target!(Box);
forward_to_target!(Arc);
