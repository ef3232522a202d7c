//! The training data as it lies in one folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use expllm_core::{LANDMARK_COUNT, Landmarks};
use expllm_data::Split;
use serde::Deserialize;

use crate::au::panel::{Rating, read_panel};
use crate::landmarks::LandmarkFace;
use crate::synth::{FaceKit, FaceSynthesizer, SynthConfig};
use crate::{FaceSet, RealFace, TrainError, fit_head_pose};

/// The sets of a folder that does not name its own.
const SETS: &str = include_str!("../presets/faces.toml");

/// A folder with sets of photographed faces, which its `faces.toml` describes,
/// `ict_facekit.safetensors`, and tables of ratings.
#[derive(Debug, Clone)]
pub struct TrainingData {
    dir: PathBuf,
    sets: Vec<FaceSet>,
}

/// `faces.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetsFile {
    set: Vec<FaceSet>,
}

impl TrainingData {
    /// The data below `dir`; a folder `data` in it is used when there is one.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] for a `faces.toml` that cannot be understood.
    pub fn open(dir: &Path) -> Result<Self, TrainError> {
        let inner = dir.join("data");
        let dir = if inner.is_dir() {
            inner
        } else {
            dir.to_path_buf()
        };
        let path = dir.join("faces.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => SETS.to_owned(),
            Err(error) => return Err(TrainError::file(path, error)),
        };
        match toml::from_str::<SetsFile>(&text) {
            Ok(SetsFile { set: sets }) => Ok(Self { dir, sets }),
            Err(error) => Err(TrainError::Config {
                path,
                reason: error.to_string(),
            }),
        }
    }

    /// The sets of faces, in the order of the configuration.
    #[must_use]
    pub fn sets(&self) -> &[FaceSet] {
        &self.sets
    }

    /// The set of a name.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] when there is none.
    pub fn set(&self, name: &str) -> Result<&FaceSet, TrainError> {
        let known = || {
            let names: Vec<&str> = self.sets.iter().map(|set| set.name.as_str()).collect();
            names.join(", ")
        };
        let found = self.sets.iter().find(|set| set.name == name);
        found.ok_or_else(|| TrainError::Config {
            path: self.file("faces.toml"),
            reason: format!("no set of faces is called {name:?}; known are {}", known()),
        })
    }

    /// One split of a set.
    ///
    /// # Errors
    ///
    /// As [`FaceSet::read`].
    pub fn faces(&self, set: &FaceSet, split: Split) -> Result<Vec<RealFace>, TrainError> {
        set.read(&self.dir, split)
    }

    /// Where a file of the folder lies.
    #[must_use]
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    /// The folder of photos that lies beside the data.
    #[must_use]
    pub fn photos(&self) -> PathBuf {
        let beside = self.dir.parent().map(|parent| parent.join("photos"));
        let beside = beside.filter(|folder| folder.is_dir());
        beside.unwrap_or_else(|| self.dir.join("photos"))
    }

    /// A file of ratings with the pictures that it names; these are called as they are there.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged.
    pub fn rated_faces(&self, file: &str) -> Result<(Vec<Rating>, Vec<RealFace>), TrainError> {
        let ratings = read_panel(&self.file(file))?;
        let named: HashSet<&str> = ratings.iter().map(|rating| rating.file.as_str()).collect();
        let mut faces = Vec::new();
        for split in [Split::Train, Split::Valid] {
            for set in &self.sets {
                let start = format!("{}/{split}/", set.name);
                if named.iter().any(|name| name.starts_with(&start)) {
                    let renamed = self.faces(set, split)?.into_iter().map(|mut face| {
                        face.file = format!("{}/{}", set.name, face.file);
                        face
                    });
                    faces.extend(renamed.filter(|face| named.contains(face.file.as_str())));
                }
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

    /// Faces of the sets with landmarks; their head pose is fitted with the mean head of the face
    /// kit.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged.
    pub fn landmark_faces(&self, split: Split) -> Result<Vec<LandmarkFace>, TrainError> {
        let template = self.face_kit()?.landmark_template();
        let mut faces = Vec::new();
        for set in self.sets.iter().filter(|set| set.landmarks.is_some()) {
            let read = self.faces(set, split)?.into_iter();
            faces.extend(read.filter_map(|face| marked(face, &template)));
        }
        Ok(faces)
    }

    /// The same of the sets whose landmarks stand in a file of meshes: small pictures, on which a
    /// finder of meshes errs more often.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged.
    pub fn mesh_faces(&self, split: Split) -> Result<Vec<LandmarkFace>, TrainError> {
        let template = self.face_kit()?.landmark_template();
        let mut faces = Vec::new();
        for set in self.sets.iter().filter(|set| set.mesh.is_some()) {
            let read = self.lessons(set, split)?.into_iter();
            faces.extend(read.filter_map(|(face, _)| marked(face, &template)));
        }
        Ok(faces)
    }
}

/// A face with its landmarks and the pose that they have on a mean head, where it has any.
fn marked(face: RealFace, template: &[[f32; 3]; LANDMARK_COUNT]) -> Option<LandmarkFace> {
    let points = face.points?;
    let head_pose = Some(fit_head_pose(template, &points)?);
    Some(LandmarkFace {
        image: face.image,
        landmarks: Landmarks { points, head_pose },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_its_own_sets() {
        let folder = tempfile::tempdir().unwrap();
        let names = |data: &TrainingData| -> Vec<String> {
            data.sets().iter().map(|set| set.name.clone()).collect()
        };
        let data = TrainingData::open(folder.path()).unwrap();
        assert_eq!(names(&data), ["wild", "fer2013"]);
        let file = folder.path().join("faces.toml");
        let own = "[[set]]\nname = \"mine\"\nroot = \"raf\"\nlayout = \"rafdb\"\n";
        std::fs::write(&file, own).unwrap();
        let data = TrainingData::open(folder.path()).unwrap();
        assert_eq!(names(&data), ["mine"]);
        let error = data.set("wild").unwrap_err().to_string();
        assert!(error.contains("known are mine"), "{error}");
        std::fs::write(&file, own.replace("root", "rout")).unwrap();
        let error = TrainingData::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("rout"), "{error}");
    }
}
