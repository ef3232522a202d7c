//! The reader of faces with networks under test.

use std::collections::HashMap;

use expllm_au::AuNet;
use expllm_core::{
    AlignedFace, AuReading, Confidence, FaceBox, FaceReader, FaceReading, Photo, PlacedFace,
    Similarity, UnreadFace,
};
use expllm_face::{CenterFaceDetector, FaceError, LandmarkNet, SimilarityAligner};
use rayon::prelude::*;

use super::panel_score::FaceFindings;
use crate::faces::grey_photo;
use crate::{RealFace, TrainError};

/// Faces read at once.
pub(super) const BATCH: usize = 64;

/// The stages of the project.
type Stages = FaceReader<CenterFaceDetector, LandmarkNet, SimilarityAligner, AuNet>;

/// A face that is turned upright, or why it cannot be.
type Placed = Result<PlacedFace, UnreadFace>;

/// The reader of faces with networks under test. A face that cannot be read is an error here:
/// figures are not to leave out what is hard.
#[derive(Debug, Clone)]
pub struct FacePath(Stages);

impl FacePath {
    /// The path through two networks, behind the detector that ships.
    ///
    /// # Errors
    ///
    /// When the weights of the detector do not fit.
    pub fn new(landmarks: LandmarkNet, units: AuNet) -> Result<Self, FaceError> {
        Ok(Self(FaceReader {
            detector: CenterFaceDetector::new()?,
            landmarks,
            aligner: SimilarityAligner,
            units,
        }))
    }

    /// The reader.
    #[must_use]
    pub fn reader(&self) -> &Stages {
        &self.0
    }

    /// Reads the largest face of a photo; `None` where none is found.
    ///
    /// # Errors
    ///
    /// When a network fails.
    pub fn read_largest(&self, photo: &Photo) -> Result<Option<AuReading>, TrainError> {
        let boxes = self.0.boxes(photo)?;
        let largest = &boxes[..boxes.len().min(1)];
        Ok(self.read_placed(self.0.place(photo, largest))?.pop())
    }

    /// Reads photos of one face each.
    ///
    /// # Errors
    ///
    /// When a network fails.
    pub fn read(&self, photos: &[Photo]) -> Result<Vec<AuReading>, TrainError> {
        let place = |photo: &Photo| self.0.place(photo, &[whole(photo)]);
        let batches = photos.chunks(BATCH).map(|batch| {
            let placed = batch.par_iter().flat_map(place).collect();
            self.read_placed(placed)
        });
        Ok(batches.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Reads faces that are upright already.
    ///
    /// # Errors
    ///
    /// When a network fails.
    pub fn read_upright<'p>(
        &self,
        faces: impl IntoIterator<Item = &'p Photo>,
    ) -> Result<Vec<AuReading>, TrainError> {
        self.read_placed(faces.into_iter().map(upright).collect())
    }

    /// Reads placed faces.
    ///
    /// # Errors
    ///
    /// The first face that cannot be read.
    pub(super) fn read_placed(&self, faces: Vec<Placed>) -> Result<Vec<AuReading>, TrainError> {
        let read = |face: FaceReading| AuReading {
            action_units: face.action_units,
            probabilities: face.probabilities,
        };
        let faces = self.0.read_placed(faces).into_iter();
        Ok(faces.map(|face| face.map(read)).collect::<Result<_, _>>()?)
    }

    /// What is read from pictures of one face each, by file.
    ///
    /// # Errors
    ///
    /// When a network fails.
    pub fn findings(
        &self,
        faces: &[RealFace],
    ) -> Result<HashMap<String, FaceFindings>, TrainError> {
        let photos: Vec<_> = faces.iter().map(|face| grey_photo(&face.image)).collect();
        let readings = self.read(&photos)?;
        let named = faces.iter().zip(readings).map(|(face, reading)| {
            let findings = FaceFindings {
                units: reading.action_units,
                expression: reading.probabilities.map(|p| p.top()),
            };
            (face.file.clone(), findings)
        });
        Ok(named.collect())
    }
}

/// The whole photo as the box of its face.
pub(super) fn whole(photo: &Photo) -> FaceBox {
    FaceBox::whole(photo.width(), photo.height())
}

fn upright(photo: &Photo) -> Placed {
    Ok(PlacedFace {
        confidence: Confidence::default(),
        face_box: whole(photo),
        landmarks: None,
        aligned: AlignedFace {
            image: photo.clone(),
            to_photo: Similarity::IDENTITY,
            landmarks: None,
        },
    })
}
