//! Turning faces upright at a fixed size.

use expllm_core::{
    AlignedFace, FaceAligner, Landmarks, Photo, Point, Similarity, Stage, StageError,
};

use crate::{FaceError, MAX_CROP, warp};

/// Side in pixels of an aligned face as the networks of this project take it, and of [`TEMPLATE`].
pub const ALIGNED_SIZE: u32 = 128;

/// Where the steady landmarks of a frontal resting face lie in an aligned face, in pixels.
///
/// The median of 5,161 near-frontal faces of the collection `wild` (see the data page of the
/// documentation), each first moved so that its eye centres are 40 pixels apart around (64, 42),
/// then averaged with its mirror image. Eye corners and the ridge of the nose: they move with the
/// head and hardly with the expression.
pub const TEMPLATE: [(usize, Point); 11] = [
    (36, Point::new(36.07, 41.91)),
    (39, Point::new(52.85, 42.96)),
    (42, Point::new(75.15, 42.96)),
    (45, Point::new(91.93, 41.91)),
    (27, Point::new(64.0, 40.04)),
    (28, Point::new(64.0, 49.69)),
    (29, Point::new(64.0, 58.62)),
    (30, Point::new(64.0, 64.11)),
    (31, Point::new(55.28, 68.95)),
    (33, Point::new(64.0, 71.39)),
    (35, Point::new(72.72, 68.95)),
];

/// Alignment by the least-squares similarity transform of eye corners and nose onto
/// [`TEMPLATE`], at any side from 1 to [`MAX_CROP`] pixels.
///
/// Outside of the photo its edge pixels are repeated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimilarityAligner;

impl SimilarityAligner {
    /// The transform from pixels of the aligned face to pixels of the photo; `None` for landmarks
    /// that lie in one point or are not finite.
    #[must_use]
    pub fn to_photo(landmarks: &Landmarks) -> Option<Similarity> {
        let from = TEMPLATE.map(|(index, _)| landmarks.points[index]);
        let to = TEMPLATE.map(|(_, point)| point);
        Similarity::fit(&from, &to)?.inverse()
    }

    fn align_one(photo: &Photo, landmarks: &Landmarks, side: u32) -> Option<AlignedFace> {
        let resized = Similarity {
            a: ALIGNED_SIZE as f32 / side as f32,
            ..Similarity::IDENTITY
        };
        let to_photo = Self::to_photo(landmarks)?.after(&resized);
        let to_crop = to_photo.inverse()?;
        Some(AlignedFace {
            image: warp(photo, &to_photo, side),
            to_photo,
            landmarks: Some(landmarks.transformed(&to_crop)),
        })
    }
}

impl FaceAligner for SimilarityAligner {
    fn align(
        &self,
        photo: &Photo,
        landmarks: &[Landmarks],
        side: u32,
    ) -> Result<Vec<AlignedFace>, StageError> {
        let side = side.clamp(1, MAX_CROP);
        landmarks
            .iter()
            .enumerate()
            .map(|(index, face)| {
                Self::align_one(photo, face, side)
                    .ok_or_else(|| FaceError::DegenerateLandmarks { index }.at(Stage::Alignment))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use expllm_core::LANDMARK_COUNT;
    use proptest::prelude::*;

    use super::*;

    fn grey(width: u32, height: u32) -> Photo {
        Photo::new(width, height, vec![90; (3 * width * height) as usize]).unwrap()
    }

    /// Landmarks whose steady points are the template's, the others on a circle.
    fn resting() -> Landmarks {
        let mut points = std::array::from_fn(|i| {
            let turn = i as f32 / LANDMARK_COUNT as f32 * std::f32::consts::TAU;
            Point::new(64.0 + 40.0 * turn.cos(), 64.0 + 40.0 * turn.sin())
        });
        for (index, point) in TEMPLATE {
            points[index] = point;
        }
        Landmarks {
            points,
            head_pose: None,
        }
    }

    #[test]
    fn the_template_is_its_own_mirror_image() {
        let mirrored = resting().mirrored(128.0);
        for (index, point) in TEMPLATE {
            assert!(mirrored.points[index].distance(point) < 1e-3);
        }
    }

    #[test]
    fn degenerate_landmarks_are_an_error_with_their_index() {
        let mut flat = resting();
        flat.points = [Point::new(5.0, 5.0); LANDMARK_COUNT];
        let found = SimilarityAligner.align(&grey(50, 50), &[resting(), flat], ALIGNED_SIZE);
        let error = found.unwrap_err();
        assert!(matches!(
            error.downcast_ref::<FaceError>(),
            Some(FaceError::DegenerateLandmarks { index: 1 })
        ));
    }

    #[test]
    fn a_mirrored_photo_gives_a_mirrored_face() {
        let (width, map) = (
            300.0,
            Similarity {
                a: 1.4,
                b: 0.3,
                tx: 40.0,
                ty: 20.0,
            },
        );
        let landmarks = resting().transformed(&map);
        let face = &SimilarityAligner
            .align(
                &grey(300, 300),
                std::slice::from_ref(&landmarks),
                ALIGNED_SIZE,
            )
            .unwrap()[0];
        let other = landmarks.mirrored(width);
        let mirrored = &SimilarityAligner
            .align(&grey(300, 300), &[other], ALIGNED_SIZE)
            .unwrap()[0];
        let expected = face.mirrored(width);
        let (found, wanted) = (mirrored.to_photo, expected.to_photo);
        let corner = Point::new(128.0, 128.0);
        assert!(found.apply(corner).distance(wanted.apply(corner)) < 1e-2);
        let points = |face: &AlignedFace| face.landmarks.as_ref().unwrap().points;
        for (a, b) in points(mirrored).iter().zip(points(&expected)) {
            assert!(a.distance(b) < 1e-2);
        }
    }

    proptest! {
        #[test]
        fn the_way_back_leads_to_the_landmarks(
            angle in -3.0f32..3.0, scale in 0.1f32..20.0, tx in -500.0f32..500.0,
            ty in -500.0f32..500.0, lift in -5.0f32..5.0,
        ) {
            let map = Similarity { a: scale * angle.cos(), b: scale * angle.sin(), tx, ty };
            let mut landmarks = resting().transformed(&map);
            landmarks.points[30].y += lift;
            let faces = SimilarityAligner.align(&grey(60, 40), &[landmarks.clone()], 200).unwrap();
            prop_assert_eq!(faces.len(), 1);
            let found = faces[0].landmarks.as_ref().unwrap();
            for (crop, photo) in found.points.iter().zip(landmarks.points) {
                prop_assert!(faces[0].to_photo.apply(*crop).distance(photo) < 0.01 * scale.max(1.0));
            }
            prop_assert_eq!(faces[0].image.width(), 200);
        }
    }
}
