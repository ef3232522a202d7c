//! Where faces lie in their pictures.

use expllm_core::{Expression, LandmarkDetector, Landmarks, Similarity};
use expllm_face::{GreyImage, LandmarkNet, SimilarityAligner};
use rayon::prelude::*;

use super::gather::TaughtFace;
use super::lesson::Lesson;
use super::path::whole;
use crate::faces::grey_photo;
use crate::{RealFace, TrainError};

/// A face, where it lies in its picture, and its labelled expression.
#[derive(Debug, Clone)]
pub struct PlacedFace {
    /// The picture.
    pub image: GreyImage,
    /// From the aligned face to the picture.
    pub to_image: Similarity,
    /// The label.
    pub expression: Option<Expression>,
}

impl From<TaughtFace> for PlacedFace {
    fn from(face: TaughtFace) -> Self {
        Self {
            to_image: face.views.first().copied().unwrap_or(Similarity::IDENTITY),
            image: face.image,
            expression: None,
        }
    }
}

/// Places real faces: by their landmarks where they have them, else by the network's. Faces that
/// cannot be placed are left out.
///
/// # Errors
///
/// When the landmark network fails.
pub fn placed_faces(
    faces: Vec<RealFace>,
    network: &LandmarkNet,
) -> Result<Vec<PlacedFace>, TrainError> {
    let placed: Result<Vec<_>, TrainError> = faces
        .into_par_iter()
        .map(|face| {
            let expression = face.expression;
            let placed = place(face, Lesson::default(), network)?;
            Ok(placed.map(|face| PlacedFace {
                expression,
                ..face.into()
            }))
        })
        .collect();
    Ok(placed?.into_iter().flatten().collect())
}

/// Finds the views of a face; `None` where it cannot be placed.
pub(super) fn place(
    face: RealFace,
    mut lesson: Lesson,
    network: &LandmarkNet,
) -> Result<Option<TaughtFace>, TrainError> {
    let given = face.points.map(|points| Landmarks {
        points,
        head_pose: None,
    });
    // Every third face is also seen as the project's own landmarks place it.
    let is_third = face
        .file
        .bytes()
        .map(u32::from)
        .sum::<u32>()
        .is_multiple_of(3);
    let found = (given.is_none() || is_third).then(|| {
        let photo = grey_photo(&face.image);
        network.landmarks_of(&photo, whole(&photo))
    });
    let found = found.transpose()?;
    let views: Vec<Similarity> = (given.iter().chain(&found))
        .filter_map(SimilarityAligner::to_photo)
        .collect();
    lesson.landmarks = given;
    Ok((!views.is_empty()).then_some(TaughtFace {
        image: face.image,
        views,
        lesson,
    }))
}
