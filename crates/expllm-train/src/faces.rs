//! Photographed faces for training: the `wild` set with landmarks and FER2013.

use std::str::FromStr;

use expllm_core::{Expression, LANDMARK_COUNT, Photo, Point};
use expllm_data::{ImageSource, Tree};
use expllm_face::GreyImage;
use half::f16;
use rayon::prelude::*;
use safetensors::SafeTensors;

use crate::TrainError;

/// A photographed face and what is known of it.
#[derive(Debug, Clone)]
pub struct RealFace {
    /// The picture's path within its archive.
    pub file: String,
    /// The face crop.
    pub image: GreyImage,
    /// 68 landmarks in pixels, where the set has them.
    pub points: Option<[Point; LANDMARK_COUNT]>,
    /// 478 mesh points in pixels (MediaPipe order), where the set has them.
    pub mesh: Option<Vec<Point>>,
    /// The label, where the set has one.
    pub expression: Option<Expression>,
}

/// Reads one split (`train` or `valid`) of the `wild` set: `SPLIT.csv` with `file,expression`
/// and `SPLIT_landmarks.safetensors` whose rows follow it.
///
/// # Errors
///
/// [`TrainError::Layout`] when a file is missing or the row counts differ, also when an image
/// cannot be decoded.
pub fn read_wild(tree: &Tree, split: &str) -> Result<Vec<RealFace>, TrainError> {
    let csv = tree.read_text(&format!("{split}.csv"))?;
    let name = format!("{split}_landmarks.safetensors");
    let bytes = source(tree, &name)?.read()?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| layout(&name, e.to_string()))?;
    let points478 = points(&tensors, &name, "landmarks478", 478)?;
    let points68 = points(&tensors, &name, "landmarks68", LANDMARK_COUNT)?;
    let rows: Vec<&str> = csv
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .collect();
    if rows.len() != points68.len() || rows.len() != points478.len() {
        let found = format!(
            "{} rows of landmarks for {} of labels",
            points68.len(),
            rows.len()
        );
        return Err(layout(&name, found));
    }
    rows.into_par_iter()
        .zip(points68)
        .zip(points478)
        .map(|((row, points), mesh)| {
            let (file, label) = row.split_once(',').unwrap_or((row, ""));
            Ok(RealFace {
                file: file.to_owned(),
                image: decode(file, &source(tree, file)?)?,
                points: points.try_into().ok(),
                mesh: Some(mesh),
                expression: Expression::from_str(label).ok(),
            })
        })
        .collect()
}

/// Reads one split (`train` or `valid`) of FER2013 as one folder per class.
///
/// # Errors
///
/// [`TrainError::Layout`] when a folder has no expression's name or an image cannot be decoded.
pub fn read_fer2013(tree: &Tree, split: &str) -> Result<Vec<RealFace>, TrainError> {
    let files: Vec<_> = tree
        .images()
        .filter(|path| path.split('/').next() == Some(split))
        .collect();
    files
        .into_par_iter()
        .map(|path| {
            let folder = path.split('/').nth(1).unwrap_or_default();
            let expression =
                Expression::from_str(folder).map_err(|e| layout(path, e.to_string()))?;
            Ok(RealFace {
                file: path.to_owned(),
                image: decode(path, &source(tree, path)?)?,
                points: None,
                mesh: None,
                expression: Some(expression),
            })
        })
        .collect()
}

/// A grey image as a photo.
pub(crate) fn grey_photo(image: &GreyImage) -> Photo {
    let pixels = image.pixels().iter().flat_map(|&v| [v, v, v]).collect();
    let (width, height) = (image.width() as u32, image.height() as u32);
    Photo::new(width, height, pixels).unwrap_or_else(|_| unreachable!("sizes were checked"))
}

fn layout(path: &str, reason: impl Into<String>) -> TrainError {
    TrainError::Layout {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn source(tree: &Tree, path: &str) -> Result<ImageSource, TrainError> {
    tree.source(path)
        .ok_or_else(|| layout(path, "is not in the data set"))
}

fn decode(path: &str, image: &ImageSource) -> Result<GreyImage, TrainError> {
    let grey = image::load_from_memory(&image.read()?)
        .map_err(|e| layout(path, e.to_string()))?
        .into_luma8();
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    GreyImage::new(width, height, grey.into_raw()).ok_or_else(|| layout(path, "is empty"))
}

/// The rows of an f16 tensor `[faces, count, 2]`.
fn points(
    tensors: &SafeTensors<'_>,
    file: &str,
    name: &str,
    count: usize,
) -> Result<Vec<Vec<Point>>, TrainError> {
    let view = tensors
        .tensor(name)
        .map_err(|e| layout(file, e.to_string()))?;
    if view.dtype() != safetensors::Dtype::F16 || view.shape().get(1..) != Some(&[count, 2]) {
        let found = format!("{name} is {:?} {:?}", view.dtype(), view.shape());
        return Err(layout(file, found));
    }
    let number = |b: &[u8]| f16::from_le_bytes([b[0], b[1]]).to_f32();
    let face = |row: &[u8]| {
        row.chunks_exact(4)
            .map(|p| Point::new(number(&p[..2]), number(&p[2..])))
            .collect()
    };
    Ok(view.data().chunks_exact(count * 4).map(face).collect())
}
