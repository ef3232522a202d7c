//! Photographed faces for training: sets in any layout of `expllm-data`.

use std::path::{Path, PathBuf};

use expllm_core::{Expression, LANDMARK_COUNT, Photo, Point};
use expllm_data::{Layout, ReadOptions, Record, Split, Tree};
use expllm_face::GreyImage;
use half::f16;
use rayon::prelude::*;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// A photographed face and what is known of it.
#[derive(Debug, Clone)]
pub struct RealFace {
    /// The name of its record: the picture's path within its set.
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

/// A set of photographed faces, and the files with what is known beside its labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaceSet {
    /// What arguments and tables of ratings call it.
    pub name: String,
    /// Its folder or archive, below the folder of the data.
    pub root: PathBuf,
    /// How it lies on disk, by the names of `expllm data layouts`.
    pub layout: Layout,
    /// File of the set with f16 tensors `landmarks68` and `landmarks478` in pixels: a row for each
    /// record of the split, whose name takes the place of `{split}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landmarks: Option<String>,
    /// File beside the set with an f16 tensor `SPLIT_blendshapes`: a row for each record of the
    /// split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blendshapes: Option<PathBuf>,
    /// Table beside the set: a record's name and ten votes, for the eight expressions, for unknown
    /// and for no face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub votes: Option<PathBuf>,
    /// File beside the set with f16 tensors `blendshapes` and `landmarks68`: a row for each of the
    /// table of votes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<PathBuf>,
}

/// Landmarks of 68 and of 478 points, a row for each record.
struct Marks([Vec<Vec<Point>>; 2]);

impl FaceSet {
    /// The faces of one split; `folder` is that of the data.
    ///
    /// # Errors
    ///
    /// [`TrainError::Data`] when the set is not there, [`TrainError::Layout`] when there are not as
    /// many landmarks as records, or a picture cannot be decoded.
    pub fn read(&self, folder: &Path, split: Split) -> Result<Vec<RealFace>, TrainError> {
        let root = folder.join(&self.root);
        let options = ReadOptions {
            split: Some(split),
            ..ReadOptions::default()
        };
        let records = self.layout.read(&root, &options)?.records;
        let file = (self.landmarks.as_ref()).map(|file| file.replace("{split}", split.name()));
        let marks = file.map(|file| Marks::read(&root, &file, records.len()));
        let marks = marks.transpose()?;
        let face = |(row, record): (usize, &Record)| {
            let of = |kind: usize| marks.as_ref().map(|marks| marks.0[kind][row].clone());
            Ok(RealFace {
                file: record.id.clone(),
                image: decode(record)?,
                points: of(0).and_then(|points| points.try_into().ok()),
                mesh: of(1),
                expression: record.expression,
            })
        };
        records.par_iter().enumerate().map(face).collect()
    }
}

impl Marks {
    fn read(root: &Path, file: &str, records: usize) -> Result<Self, TrainError> {
        let tree = Tree::open(root)?;
        let missing = || layout(file, "is not in the data set");
        let bytes = tree.source(file).ok_or_else(missing)?.read()?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| layout(file, e.to_string()))?;
        let marks = [
            points(&tensors, file, "landmarks68", LANDMARK_COUNT)?,
            points(&tensors, file, "landmarks478", 478)?,
        ];
        match marks.iter().find(|rows| rows.len() != records) {
            Some(rows) => {
                let found = rows.len();
                let reason = format!("{found} rows of landmarks for {records} records");
                Err(layout(file, reason))
            }
            None => Ok(Self(marks)),
        }
    }
}

fn decode(record: &Record) -> Result<GreyImage, TrainError> {
    let wrong = |reason: String| TrainError::Record {
        id: record.id.clone(),
        reason,
    };
    let grey = image::load_from_memory(&record.image.read()?)
        .map_err(|e| wrong(e.to_string()))?
        .into_luma8();
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let grey = GreyImage::new(width, height, grey.into_raw());
    grey.ok_or_else(|| wrong("is empty".to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// One bright pixel as PNG.
    fn picture(level: u8) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let grey = image::GrayImage::from_pixel(2, 3, image::Luma([level]));
        let format = image::ImageFormat::Png;
        grey.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn set() -> FaceSet {
        FaceSet {
            name: "mine".to_owned(),
            root: "set".into(),
            layout: Layout::Folder,
            landmarks: None,
            blendshapes: None,
            votes: None,
            mesh: None,
        }
    }

    #[test]
    fn any_layout_gives_faces_of_a_split() {
        let folder = tempfile::tempdir().unwrap();
        for (path, level) in [("train/anger/a.png", 9), ("valid/happy/b.png", 200)] {
            let path = folder.path().join("set").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, picture(level)).unwrap();
        }
        let faces = set().read(folder.path(), Split::Valid).unwrap();
        assert_eq!(faces.len(), 1);
        assert_eq!(faces[0].file, "valid/happy/b.png");
        assert_eq!(faces[0].expression, Some(Expression::Happiness));
        assert_eq!(faces[0].image.pixels(), [200; 6]);
        let marked = FaceSet {
            landmarks: Some("{split}.safetensors".to_owned()),
            ..set()
        };
        let error = marked.read(folder.path(), Split::Valid).unwrap_err();
        assert!(error.to_string().contains("valid.safetensors"), "{error}");
    }
}
