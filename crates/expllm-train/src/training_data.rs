//! The training data as it lies in one folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use expllm_core::Landmarks;
use expllm_data::Tree;

use crate::au::panel::{Rating, read_panel};
use crate::landmarks::LandmarkFace;
use crate::synth::{FaceKit, FaceSynthesizer, SynthConfig};
use crate::{RealFace, TrainError, fit_head_pose, read_fer2013, read_wild};

/// A folder with `wild.tar`, `fer2013.tar` and `ict_facekit.safetensors`.
#[derive(Debug, Clone)]
pub struct TrainingData {
    dir: PathBuf,
}

impl TrainingData {
    /// The data below `dir`; a folder `data` in it is used when there is one.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        let inner = dir.join("data");
        Self {
            dir: if inner.is_dir() {
                inner
            } else {
                dir.to_path_buf()
            },
        }
    }

    /// Where a file of the folder lies.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The folder of photos that lies beside the data.
    #[must_use]
    pub fn photos(&self) -> PathBuf {
        let beside = self.dir.parent().map(|parent| parent.join("photos"));
        let beside = beside.filter(|folder| folder.is_dir());
        beside.unwrap_or_else(|| self.dir.join("photos"))
    }

    /// One split of the `wild` set.
    ///
    /// # Errors
    ///
    /// When the archive is missing or damaged.
    pub fn wild(&self, split: &str) -> Result<Vec<RealFace>, TrainError> {
        read_wild(&Tree::open(&self.dir.join("wild.tar"))?, split)
    }

    /// One split of FER2013.
    ///
    /// # Errors
    ///
    /// When the archive is missing or damaged.
    pub fn fer2013(&self, split: &str) -> Result<Vec<RealFace>, TrainError> {
        read_fer2013(&Tree::open(&self.dir.join("fer2013.tar"))?, split)
    }

    /// A file of ratings with the pictures that it names; these are called as they are there.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged.
    pub fn rated_faces(&self, file: &str) -> Result<(Vec<Rating>, Vec<RealFace>), TrainError> {
        let ratings = read_panel(&self.file(file))?;
        let named: HashSet<&str> = ratings.iter().map(|rating| rating.file.as_str()).collect();
        let split = |archive: &str, split: &str| {
            let start = format!("{archive}/{split}/");
            named.iter().any(|name| name.starts_with(&start))
        };
        let mut faces = Vec::new();
        for part in ["train", "valid"] {
            let mut add = |archive: &str, real: Vec<RealFace>| {
                let real = real.into_iter().map(|mut face| {
                    face.file = format!("{archive}/{}", face.file);
                    face
                });
                faces.extend(real.filter(|face| named.contains(face.file.as_str())));
            };
            if split("wild", part) {
                add("wild", self.wild(part)?);
            }
            if split("fer2013", part) {
                add("fer2013", self.fer2013(part)?);
            }
        }
        Ok((ratings, faces))
    }

    /// The morphable head.
    ///
    /// # Errors
    ///
    /// When the file is missing or damaged.
    pub fn face_kit(&self) -> Result<FaceKit, TrainError> {
        FaceKit::read(self.dir.join("ict_facekit.safetensors"))
    }

    /// The renderer of synthetic faces.
    ///
    /// # Errors
    ///
    /// When the face kit is missing or damaged.
    pub fn synthesizer(&self) -> Result<FaceSynthesizer, TrainError> {
        FaceSynthesizer::new(self.face_kit()?, SynthConfig::default())
    }

    /// Faces with landmarks; their head pose is fitted with the mean head of the face kit.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged.
    pub fn landmark_faces(&self, split: &str) -> Result<Vec<LandmarkFace>, TrainError> {
        let template = self.face_kit()?.landmark_template();
        let faces = self.wild(split)?;
        Ok(faces
            .into_iter()
            .filter_map(|face| {
                let points = face.points?;
                let head_pose = fit_head_pose(&template, &points)?;
                Some(LandmarkFace {
                    image: face.image,
                    landmarks: Landmarks {
                        points,
                        head_pose: Some(head_pose),
                    },
                })
            })
            .collect())
    }
}
