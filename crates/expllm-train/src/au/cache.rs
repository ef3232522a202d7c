//! Renders kept on disk, so that a run that goes on need not draw them again.

use std::collections::HashMap;
use std::path::Path;

use expllm_core::{ActionUnit, LANDMARK_COUNT, Landmarks, Point};
use expllm_face::{GreyImage, SimilarityAligner};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::gather::TaughtFace;
use super::lesson::Lesson;
use crate::TrainError;

/// Writes renders, all of one size, replacing the file.
///
/// # Errors
///
/// [`TrainError::File`] when the file cannot be written.
pub(super) fn write_renders(path: &Path, faces: &[TaughtFace]) -> Result<(), TrainError> {
    let side = faces.first().map_or(0, |face| face.image.width());
    let pixels: Vec<u8> = faces
        .iter()
        .flat_map(|f| f.image.pixels())
        .copied()
        .collect();
    let units = faces
        .iter()
        .flat_map(|f| f.lesson.units.map(|[low, _]| low));
    let units: Vec<u8> = units.flat_map(f32::to_le_bytes).collect();
    let points = faces.iter().filter_map(|f| f.lesson.landmarks.as_ref());
    let points = points
        .flat_map(|marks| marks.points)
        .flat_map(|p| [p.x, p.y]);
    let points: Vec<u8> = points.flat_map(f32::to_le_bytes).collect();
    let n = faces.len();
    let wrong = |e: safetensors::SafeTensorError| TrainError::Layout {
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data);
    let tensors = [
        ("pixels", view(Dtype::U8, &[n, side, side], &pixels[..])),
        ("units", view(Dtype::F32, &[n, ActionUnit::COUNT], &units)),
        (
            "landmarks",
            view(Dtype::F32, &[n, LANDMARK_COUNT, 2], &points),
        ),
    ];
    let mut views = HashMap::new();
    for (name, tensor) in tensors {
        views.insert(name, tensor.map_err(wrong)?);
    }
    let partial = path.with_extension("partial");
    safetensors::serialize_to_file(views, None, &partial).map_err(wrong)?;
    std::fs::rename(&partial, path).map_err(|e| TrainError::file(path, e))
}

/// Reads what [`write_renders`] wrote.
///
/// # Errors
///
/// [`TrainError::File`] or [`TrainError::Layout`] when the file does not hold renders.
pub(super) fn read_renders(path: &Path) -> Result<Vec<TaughtFace>, TrainError> {
    let bytes = std::fs::read(path).map_err(|e| TrainError::file(path, e))?;
    let wrong = |reason: String| TrainError::Layout {
        path: path.display().to_string(),
        reason: format!("{reason}; delete it to draw the renders again"),
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| wrong(e.to_string()))?;
    let tensor = |name: &str, dtype: Dtype| {
        let view = tensors.tensor(name).map_err(|e| wrong(e.to_string()))?;
        match view.dtype() == dtype && view.shape().len() > 1 && view.shape()[1] > 0 {
            true => Ok(view),
            false => Err(wrong(format!(
                "{name} is {:?} {:?}",
                view.dtype(),
                view.shape()
            ))),
        }
    };
    let pixels = tensor("pixels", Dtype::U8)?;
    let units = numbers(tensor("units", Dtype::F32)?.data());
    let points = numbers(tensor("landmarks", Dtype::F32)?.data());
    let side = pixels.shape()[1];
    let rows = pixels.data().chunks_exact(side * side);
    let rows = rows.zip(units.chunks_exact(ActionUnit::COUNT));
    let faces: Vec<TaughtFace> = rows
        .zip(points.chunks_exact(2 * LANDMARK_COUNT))
        .filter_map(|((pixels, units), points)| face(side, pixels, units, points))
        .collect();
    if faces.len() != pixels.shape()[0] {
        return Err(wrong("its tensors hold other numbers of faces".into()));
    }
    Ok(faces)
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    let of = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    bytes.chunks_exact(4).map(of).collect()
}

fn face(side: usize, pixels: &[u8], units: &[f32], points: &[f32]) -> Option<TaughtFace> {
    let mut lesson = Lesson::default().exact(std::array::from_fn(|i| units[i]));
    let landmarks = Landmarks {
        points: std::array::from_fn(|i| Point::new(points[2 * i], points[2 * i + 1])),
        head_pose: None,
    };
    let view = SimilarityAligner::to_photo(&landmarks)?;
    lesson.landmarks = Some(landmarks);
    Some(TaughtFace {
        image: GreyImage::new(side, side, pixels.to_vec())?,
        views: vec![view],
        lesson,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_are_read_as_they_were_written() {
        let points: Vec<f32> = (0..2 * LANDMARK_COUNT)
            .map(|i| (i * i % 31) as f32)
            .collect();
        let units: Vec<f32> = (0..ActionUnit::COUNT).map(|i| i as f32 / 40.0).collect();
        let faces: Vec<_> = (0..3)
            .filter_map(|i| face(4, &[i; 16], &units, &points))
            .collect();
        assert_eq!(faces.len(), 3);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("renders.safetensors");
        write_renders(&path, &faces).unwrap();
        let found = read_renders(&path).unwrap();
        for (found, face) in found.iter().zip(&faces) {
            assert_eq!(found.image.pixels(), face.image.pixels());
            assert_eq!(found.views, face.views);
            assert_eq!(found.lesson.units, face.lesson.units);
        }
        std::fs::write(&path, b"{").unwrap();
        let error = read_renders(&path).unwrap_err().to_string();
        assert!(error.contains("delete it"), "{error}");
    }
}
