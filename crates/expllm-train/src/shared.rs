//! The training data as it lies in one folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use expllm_core::Landmarks;
use expllm_data::Tree;
use expllm_face::LandmarkNet;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::au::panel::{Rating, read_panel};
use crate::au::{AuFaces, real_faces, synthetic_faces};
use crate::landmarks::LandmarkFace;
use crate::synth::{FaceKit, FaceSynthesizer, SynthConfig};
use crate::{RealFace, TrainError, deblurred, fit_head_pose, read_fer2013, read_wild};

/// Series of seeds that training faces are drawn from.
const TRAINING_SERIES: u64 = 1;

/// Faces of `wild`, and as many of FER2013, that are kept back from training to fit the
/// temperature.
const HELD_BACK: usize = 700;

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

    /// Faces for the action unit network, and those held back to fit its temperature.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or the landmark network fails.
    pub fn au_faces(
        &self,
        synthetic: usize,
        landmarks: &LandmarkNet,
    ) -> Result<(AuFaces, Vec<RealFace>), TrainError> {
        let mut wild = self.wild("train")?;
        let mut held_back = wild.split_off(wild.len().saturating_sub(HELD_BACK));
        let mut fer = self.fer2013("train")?;
        fer.par_iter_mut()
            .for_each(|face| face.image = deblurred(&face.image));
        // They lie class by class in their archive.
        fer.shuffle(&mut ChaCha8Rng::seed_from_u64(TRAINING_SERIES));
        held_back.extend(fer.split_off(fer.len().saturating_sub(HELD_BACK)));
        let faces = AuFaces {
            synthetic: synthetic_faces(&self.synthesizer()?, TRAINING_SERIES, synthetic),
            wild: real_faces(wild, landmarks)?,
            fer: real_faces(fer, landmarks)?,
        };
        Ok((faces, held_back))
    }
}
