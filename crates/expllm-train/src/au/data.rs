//! The faces that the recipe learns from.

use expllm_core::{Expression, FaceBox, LandmarkDetector, Landmarks, Photo, Similarity};
use expllm_face::{GreyImage, LandmarkNet, SimilarityAligner};
use rayon::prelude::*;

use super::geometry::EyesAndJaw;
use super::small;
use crate::synth::{FaceSynthesizer, seed_of};
use crate::{RealFace, TrainError};

/// A face with its place and whatever labels it has.
#[derive(Debug, Clone)]
pub struct AuFace {
    /// The photo.
    pub image: GreyImage,
    /// From pixels of the aligned face to pixels of the photo.
    pub to_image: Similarity,
    /// Landmarks in pixels of the photo, where they are exact or nearly so.
    pub landmarks: Option<Landmarks>,
    /// Exact intensities in AU order.
    pub units: Option<[f32; 24]>,
    /// Measures of the face mesh.
    pub geometry: Option<EyesAndJaw>,
    /// The labelled expression.
    pub expression: Option<Expression>,
}

/// Faces by kind; every batch takes a fixed share of each.
#[derive(Debug, Clone, Default)]
pub struct AuFaces {
    /// Rendered faces with exact intensities.
    pub synthetic: Vec<AuFace>,
    /// Photographed faces with a mesh and an expression.
    pub wild: Vec<AuFace>,
    /// Small grey faces with an expression.
    pub fer: Vec<AuFace>,
}

/// Of how many rendered faces one is made small and blurred, as most labelled photographs are.
const SMALL_EVERY: u64 = 5;

/// Renders faces `0..count` of a series of seeds; every fifth one is made small and blurred.
#[must_use]
pub fn synthetic_faces(synthesizer: &FaceSynthesizer, series: u64, count: usize) -> Vec<AuFace> {
    (0..count as u64)
        .into_par_iter()
        .filter_map(|index| {
            let face = synthesizer.render(seed_of(series, index));
            let face = AuFace {
                image: GreyImage::from_photo(&face.photo),
                to_image: SimilarityAligner::to_photo(&face.landmarks)?,
                landmarks: Some(face.landmarks),
                units: Some(face.action_units.feafa()),
                geometry: None,
                expression: None,
            };
            let is_small = index % SMALL_EVERY == SMALL_EVERY - 1;
            Some(if is_small {
                small::shrunk(&face, index)
            } else {
                face
            })
        })
        .collect()
}

/// Places photographed faces: by their landmarks where they have them, else by the network's,
/// with the whole image as the face's box. Faces that cannot be placed are left out.
///
/// # Errors
///
/// When the landmark network fails.
pub fn real_faces(faces: Vec<RealFace>, network: &LandmarkNet) -> Result<Vec<AuFace>, TrainError> {
    let placed: Result<Vec<_>, TrainError> = faces
        .into_par_iter()
        .map(|face| {
            let landmarks = match face.points {
                Some(points) => Landmarks {
                    points,
                    head_pose: None,
                },
                None => find(&face.image, network)?,
            };
            Ok(
                SimilarityAligner::to_photo(&landmarks).map(|to_image| AuFace {
                    to_image,
                    landmarks: face.points.is_some().then_some(landmarks),
                    units: None,
                    geometry: face.mesh.as_deref().and_then(EyesAndJaw::measure),
                    expression: face.expression,
                    image: face.image,
                }),
            )
        })
        .collect();
    Ok(placed?.into_iter().flatten().collect())
}

fn find(image: &GreyImage, network: &LandmarkNet) -> Result<Landmarks, TrainError> {
    let pixels = image.pixels().iter().flat_map(|&v| [v, v, v]).collect();
    let (width, height) = (image.width() as u32, image.height() as u32);
    let photo = Photo::new(width, height, pixels).map_err(|e| TrainError::Layout {
        path: format!("{image:?}"),
        reason: e.to_string(),
    })?;
    Ok(network
        .landmarks(&photo, &[FaceBox::whole(width, height)])?
        .swap_remove(0))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn face(units: Option<[f32; 24]>, expression: Option<Expression>) -> AuFace {
        let pixels = (0..64 * 64).map(|i| (i * 7 % 251) as u8).collect();
        AuFace {
            image: GreyImage::new(64, 64, pixels).unwrap(),
            to_image: Similarity {
                a: 0.5,
                ..Similarity::IDENTITY
            },
            landmarks: None,
            units,
            geometry: None,
            expression,
        }
    }

    /// One face of each kind.
    pub fn faces() -> AuFaces {
        AuFaces {
            synthetic: vec![face(Some([0.3; 24]), None)],
            wild: vec![face(None, Some(Expression::Anger))],
            fer: vec![face(None, Some(Expression::Neutral))],
        }
    }
}
