//! Blendshapes and landmarks of real faces, as MediaPipe's Face Landmarker finds them.

use std::path::Path;

use expllm_core::{LANDMARK_COUNT, Point};
use half::f16;
use safetensors::{Dtype, SafeTensors};

use crate::TrainError;

/// Blendshapes of a face, in the order of [`mirrored_blendshapes`].
pub const BLENDSHAPES: usize = 52;

/// Blendshapes that have another side: the place of the left one; the right one follows it.
///
/// The order is that of the Face Landmarker: `_neutral`, then alphabetical.
const LEFT_ONES: [usize; 15] = [1, 4, 7, 9, 11, 13, 15, 17, 19, 21, 28, 30, 34, 36, 44];
const MORE_LEFT_ONES: [usize; 3] = [46, 48, 50];

/// Places of the two that shift the jaw and those that shift the mouth.
const SHIFTS: [(usize, usize); 2] = [(24, 26), (33, 39)];

/// The blendshapes of the mirrored face.
#[must_use]
pub fn mirrored_blendshapes(values: &[f32; BLENDSHAPES]) -> [f32; BLENDSHAPES] {
    let mut mirrored = *values;
    for left in LEFT_ONES.into_iter().chain(MORE_LEFT_ONES) {
        mirrored.swap(left, left + 1);
    }
    for (left, right) in SHIFTS {
        mirrored.swap(left, right);
    }
    mirrored
}

/// Blendshapes in [0, 1] of every row of a tensor `[faces, 52]`; `None` where no face was found.
///
/// # Errors
///
/// [`TrainError::File`] or [`TrainError::Layout`] when the file does not hold them.
pub fn read_blendshapes(
    path: &Path,
    tensor: &str,
) -> Result<Vec<Option<[f32; BLENDSHAPES]>>, TrainError> {
    let rows = read_rows(path, tensor, BLENDSHAPES)?;
    let known = |row: &Vec<f32>| row.iter().all(|v| v.is_finite());
    let row = |row: Vec<f32>| known(&row).then(|| std::array::from_fn(|i| row[i].clamp(0.0, 1.0)));
    Ok(rows.into_iter().map(row).collect())
}

/// 68 landmarks in pixels of every face of a tensor `[faces, 68, 2]`; `None` where no face was
/// found.
///
/// A file may say so and hold its numbers point by point, `[68, faces, 2]`: a face that was not found
/// then leaves holes in many rows, and hardly any is whole. Such a file is read as it lies.
///
/// # Errors
///
/// [`TrainError::File`] or [`TrainError::Layout`] when the file does not hold them.
pub fn read_landmarks(
    path: &Path,
    tensor: &str,
) -> Result<Vec<Option<[Point; LANDMARK_COUNT]>>, TrainError> {
    let rows = read_rows(path, tensor, 2 * LANDMARK_COUNT)?;
    let faces = rows.len();
    let numbers: Vec<f32> = rows.into_iter().flatten().collect();
    let by_face = points_at(&numbers, faces, |face, point| face * LANDMARK_COUNT + point);
    let by_point = points_at(&numbers, faces, |face, point| point * faces + face);
    let whole = |found: &[Option<_>]| found.iter().flatten().count();
    Ok(if whole(&by_face) >= whole(&by_point) {
        by_face
    } else {
        by_point
    })
}

/// The landmarks of each face, whose numbers stand in pairs at `place(face, landmark)`.
fn points_at(
    numbers: &[f32],
    faces: usize,
    place: impl Fn(usize, usize) -> usize,
) -> Vec<Option<[Point; LANDMARK_COUNT]>> {
    let point = |at: usize| Point::new(numbers[2 * at], numbers[2 * at + 1]);
    (0..faces)
        .map(|face| {
            let points: [Point; LANDMARK_COUNT] = std::array::from_fn(|i| point(place(face, i)));
            let known = points.iter().all(|p| p.x.is_finite() && p.y.is_finite());
            known.then_some(points)
        })
        .collect()
}

/// The rows of an f16 tensor whose first dimension counts faces.
fn read_rows(path: &Path, name: &str, width: usize) -> Result<Vec<Vec<f32>>, TrainError> {
    let wrong = |reason: String| TrainError::Layout {
        path: path.display().to_string(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(|e| TrainError::file(path, e))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| wrong(e.to_string()))?;
    let view = tensors.tensor(name).map_err(|e| wrong(e.to_string()))?;
    let (faces, rest) = view.shape().split_first().unwrap_or((&0, &[]));
    if view.dtype() != Dtype::F16 || rest.iter().product::<usize>() != width {
        return Err(wrong(format!(
            "{name} is {:?} {:?}, not f16 rows of {width}",
            view.dtype(),
            view.shape()
        )));
    }
    let number = |b: &[u8]| f16::from_le_bytes([b[0], b[1]]).to_f32();
    let rows = view.data().chunks_exact(2 * width);
    let rows: Vec<Vec<f32>> = rows
        .map(|row| row.chunks_exact(2).map(number).collect())
        .collect();
    debug_assert_eq!(rows.len(), *faces);
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    #[test]
    fn landmarks_are_found_face_by_face_and_point_by_point() {
        let faces = 9;
        // Face 4 was not found.
        let number = |face: usize, point: usize, axis: usize| match face {
            4 => f16::NAN,
            _ => f16::from_f32((face * 200 + 2 * point + axis) as f32),
        };
        let by_face: Vec<u8> = (0..faces * LANDMARK_COUNT * 2)
            .map(|i| number(i / (2 * LANDMARK_COUNT), i / 2 % LANDMARK_COUNT, i % 2))
            .flat_map(f16::to_le_bytes)
            .collect();
        let by_point: Vec<u8> = (0..faces * LANDMARK_COUNT * 2)
            .map(|i| number(i / 2 % faces, i / (2 * faces), i % 2))
            .flat_map(f16::to_le_bytes)
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let read = |bytes: &[u8]| {
            let path = folder.path().join("mesh.safetensors");
            let view = TensorView::new(Dtype::F16, vec![faces, LANDMARK_COUNT, 2], bytes).unwrap();
            safetensors::serialize_to_file([("points", view)], None, &path).unwrap();
            read_landmarks(&path, "points").unwrap()
        };
        let found = read(&by_face);
        assert_eq!(found, read(&by_point));
        assert!(found[4].is_none() && found.iter().flatten().count() == 8);
        assert_eq!(found[1].unwrap()[3], Point::new(206.0, 207.0));
    }

    const NAMES: &str = "_neutral,browDownLeft,browDownRight,browInnerUp,browOuterUpLeft,\
        browOuterUpRight,cheekPuff,cheekSquintLeft,cheekSquintRight,eyeBlinkLeft,eyeBlinkRight,\
        eyeLookDownLeft,eyeLookDownRight,eyeLookInLeft,eyeLookInRight,eyeLookOutLeft,\
        eyeLookOutRight,eyeLookUpLeft,eyeLookUpRight,eyeSquintLeft,eyeSquintRight,eyeWideLeft,\
        eyeWideRight,jawForward,jawLeft,jawOpen,jawRight,mouthClose,mouthDimpleLeft,\
        mouthDimpleRight,mouthFrownLeft,mouthFrownRight,mouthFunnel,mouthLeft,mouthLowerDownLeft,\
        mouthLowerDownRight,mouthPressLeft,mouthPressRight,mouthPucker,mouthRight,mouthRollLower,\
        mouthRollUpper,mouthShrugLower,mouthShrugUpper,mouthSmileLeft,mouthSmileRight,\
        mouthStretchLeft,mouthStretchRight,mouthUpperUpLeft,mouthUpperUpRight,noseSneerLeft,\
        noseSneerRight";

    #[test]
    fn every_left_one_changes_places_with_its_right_one() {
        let names: Vec<&str> = NAMES.split(',').collect();
        assert_eq!(names.len(), BLENDSHAPES);
        let order: [f32; BLENDSHAPES] = std::array::from_fn(|i| i as f32);
        for (name, other) in names.iter().zip(mirrored_blendshapes(&order)) {
            let mirrored = if name.contains("Left") {
                name.replace("Left", "Right")
            } else {
                name.replace("Right", "Left")
            };
            assert_eq!(names[other as usize], mirrored);
        }
    }
}
