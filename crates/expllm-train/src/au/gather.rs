//! The faces of a run, gathered from the sources that it may use.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use expllm_core::{Expression, LANDMARK_COUNT, Point, Similarity};
use expllm_face::{GreyImage, LandmarkNet, SimilarityAligner};
use rayon::prelude::*;

use super::cache::{read_renders, write_renders};
use super::dev::majority;
use super::lesson::{Lesson, Opinion};
use super::mesh::{BLENDSHAPES, read_blendshapes, read_landmarks};
use super::mesh_lessons::teach_by_mesh;
use super::panel::{Rating, read_panel};
use super::place::place;
use crate::synth::{FaceSynthesizer, seed_of};
use crate::{RealFace, TrainError, TrainingData};

/// Series of seeds that training faces are drawn from.
const TRAINING_SERIES: u64 = 1;

/// Of how many rated faces one is kept back from training, to calibrate by.
const KEPT_BACK_EVERY: usize = 8;

/// A source of faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Rendered faces.
    Renders,
    /// The collection `wild`.
    Wild,
    /// FER2013 with the votes of FERPlus; for research use.
    Fer2013,
}

impl Source {
    /// All sources.
    pub const ALL: [Self; 3] = [Self::Renders, Self::Wild, Self::Fer2013];

    /// Name in arguments.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Renders => "renders",
            Self::Wild => "wild",
            Self::Fer2013 => "fer2013",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let find = |source: &Self| source.name() == text.trim();
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(find);
        found.ok_or_else(|| format!("no source {text:?}; known are {}", known()))
    }
}

/// A face, where it lies in its picture, and what is known of it.
#[derive(Debug, Clone)]
pub struct TaughtFace {
    /// The picture.
    pub image: GreyImage,
    /// Transforms from the aligned face to the picture, at least one: by the landmarks that are
    /// known, and by those that the project's own network finds.
    pub views: Vec<Similarity>,
    /// What is known.
    pub lesson: Lesson,
}

/// The faces of a run by kind; every batch takes a fixed share of each.
#[derive(Debug, Clone, Default)]
pub struct TaughtFaces {
    /// Renders.
    pub renders: Vec<TaughtFace>,
    /// Faces of `wild` and FER2013 that were rated.
    pub rated: Vec<TaughtFace>,
    /// All other faces of `wild`.
    pub wild: Vec<TaughtFace>,
    /// All other faces of FER2013.
    pub fer: Vec<TaughtFace>,
}

/// Renders faces `0..count` of the training series.
#[must_use]
pub fn rendered_faces(synthesizer: &FaceSynthesizer, count: usize) -> Vec<TaughtFace> {
    (0..count as u64)
        .into_par_iter()
        .filter_map(|index| {
            let face = synthesizer.render(seed_of(TRAINING_SERIES, index));
            let mut lesson = Lesson::default().exact(face.action_units.values());
            let view = SimilarityAligner::to_photo(&face.landmarks)?;
            lesson.landmarks = Some(face.landmarks);
            Some(TaughtFace {
                image: GreyImage::from_photo(&face.photo),
                views: vec![view],
                lesson,
            })
        })
        .collect()
}

/// What is known of real faces beside their pictures.
struct Known {
    ratings: HashMap<String, Rating>,
    /// Faces that are kept back.
    kept_back: HashSet<String>,
}

/// Whether the rated face of a row is kept back from training.
const fn is_kept_back(row: usize) -> bool {
    row.is_multiple_of(KEPT_BACK_EVERY)
}

impl TrainingData {
    /// The rated faces that are kept back from training, to fit by, with their ratings.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged.
    pub fn kept_back(
        &self,
        sources: &[Source],
    ) -> Result<(Vec<Rating>, Vec<RealFace>), TrainError> {
        let (ratings, mut faces) = self.rated_faces("panel_train.csv")?;
        let used = |file: &str| {
            let archive = file.split('/').next();
            sources.iter().any(|source| archive == Some(source.name()))
        };
        let rows = ratings.into_iter().enumerate();
        let kept = rows.filter(|(row, rating)| is_kept_back(*row) && used(&rating.file));
        let ratings: Vec<Rating> = kept.map(|(_, rating)| rating).collect();
        let named: HashSet<&str> = ratings.iter().map(|rating| rating.file.as_str()).collect();
        faces.retain(|face| named.contains(face.file.as_str()));
        Ok((ratings, faces))
    }

    /// Gathers the faces of a run; `renders` faces are rendered where that source is used, and kept
    /// in the folder `keep`.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or the landmark network fails.
    pub fn taught_faces(
        &self,
        sources: &[Source],
        (renders, keep): (usize, &Path),
        network: &LandmarkNet,
    ) -> Result<TaughtFaces, TrainError> {
        let known = Known::read(read_panel(&self.file("panel_train.csv"))?);
        let mut faces = TaughtFaces::default();
        if sources.contains(&Source::Wild) {
            let blendshapes = read_blendshapes(
                &self.file("wild_blendshapes.safetensors"),
                "train_blendshapes",
            )?;
            let real = self.wild("train")?;
            let blendshapes = blendshapes.into_iter().chain(std::iter::repeat(None));
            let rows: Vec<_> = real
                .into_iter()
                .zip(blendshapes)
                .map(|(face, shapes)| {
                    let mut lesson = Lesson {
                        blendshapes: shapes,
                        ..Lesson::default()
                    };
                    if let Some(expression) = face.expression {
                        lesson = lesson.labelled(expression);
                    }
                    (face, lesson)
                })
                .collect();
            faces.wild = known.sort(rows, "wild", network, &mut faces.rated)?;
        }
        if sources.contains(&Source::Fer2013) {
            let rows = self.fer2013_lessons("train")?;
            faces.fer = known.sort(rows, "fer2013", network, &mut faces.rated)?;
        }
        teach_by_mesh(&mut faces);
        if sources.contains(&Source::Renders) {
            faces.renders = self.kept_renders(renders, keep)?;
        }
        Ok(faces)
    }

    /// Renders faces, or reads them where they were kept.
    fn kept_renders(&self, count: usize, keep: &Path) -> Result<Vec<TaughtFace>, TrainError> {
        let path = keep.join(format!("renders-{count}.safetensors"));
        if path.is_file() {
            return read_renders(&path);
        }
        let faces = rendered_faces(&self.synthesizer()?, count);
        std::fs::create_dir_all(keep).map_err(|e| TrainError::file(keep, e))?;
        write_renders(&path, &faces)?;
        Ok(faces)
    }

    /// The expression that most voters of FERPlus see in pictures of FER2013, by file; pictures
    /// without a majority are not in it.
    ///
    /// # Errors
    ///
    /// When the table is missing or damaged.
    pub fn majorities(&self) -> Result<HashMap<String, Expression>, TrainError> {
        let rows = read_votes(&self.file("fer2013_faces.csv"))?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|(file, votes)| Some((file, majority(&votes?)?)))
            .collect())
    }

    /// FER2013 with its labels, the votes of FERPlus and MediaPipe's findings.
    fn fer2013_lessons(&self, split: &str) -> Result<Vec<(RealFace, Lesson)>, TrainError> {
        let mesh = self.file("fer2013_mesh.safetensors");
        let blendshapes = read_blendshapes(&mesh, "blendshapes")?;
        let landmarks = read_landmarks(&mesh, "landmarks68")?;
        let votes = read_votes(&self.file("fer2013_faces.csv"))?;
        let mut rows: HashMap<String, FerRow> = HashMap::with_capacity(votes.len());
        for (((file, votes), blendshapes), landmarks) in
            votes.into_iter().zip(blendshapes).zip(landmarks)
        {
            rows.insert(file, (votes, blendshapes, landmarks));
        }
        let faces = self.fer2013(split)?.into_iter().map(|mut face| {
            let (votes, blendshapes, points) = rows.remove(&face.file).unwrap_or_default();
            face.points = points;
            let lesson = Lesson {
                blendshapes,
                seen: votes.as_ref().map(Opinion::votes).unwrap_or_default(),
                label: face
                    .expression
                    .map(|e| Opinion::of(e, 1.0))
                    .unwrap_or_default(),
                ..Lesson::default()
            };
            (face, lesson)
        });
        Ok(faces.collect())
    }
}

/// Votes, blendshapes and landmarks of a picture of FER2013.
type FerRow = (
    Option<[f32; 10]>,
    Option<[f32; BLENDSHAPES]>,
    Option<[Point; LANDMARK_COUNT]>,
);

/// Ten votes: eight expressions, unknown, not a face.
type Votes = [f32; 10];

/// The file and the ten votes of every row of the table of FERPlus; `None` where nobody voted.
pub(super) fn read_votes(path: &Path) -> Result<Vec<(String, Option<Votes>)>, TrainError> {
    let wrong = |reason: String| TrainError::Layout {
        path: path.display().to_string(),
        reason,
    };
    let mut table = csv::Reader::from_path(path).map_err(|e| wrong(e.to_string()))?;
    let rows = table.records().map(|row| {
        let row = row.map_err(|e| wrong(e.to_string()))?;
        let cells: Option<Vec<f32>> = (1..=10).map(|i| row.get(i)?.parse().ok()).collect();
        let votes = cells.map(|cells| std::array::from_fn(|i| cells[i]));
        Ok((row.get(0).unwrap_or_default().to_owned(), votes))
    });
    rows.collect()
}

impl Known {
    fn read(ratings: Vec<Rating>) -> Self {
        let mut known = Self {
            ratings: HashMap::new(),
            kept_back: HashSet::new(),
        };
        for (i, rating) in ratings.into_iter().enumerate() {
            if is_kept_back(i) {
                known.kept_back.insert(rating.file);
            } else {
                known.ratings.insert(rating.file.clone(), rating);
            }
        }
        known
    }

    /// Places faces in their pictures and hands them to where they belong; returns those that
    /// nobody rated.
    fn sort(
        &self,
        rows: Vec<(RealFace, Lesson)>,
        archive: &str,
        network: &LandmarkNet,
        rated: &mut Vec<TaughtFace>,
    ) -> Result<Vec<TaughtFace>, TrainError> {
        let name = |face: &RealFace| format!("{archive}/{}", face.file);
        let mut rows = rows;
        rows.retain(|(face, _)| !self.kept_back.contains(&name(face)));
        let placed: Vec<_> = rows
            .into_par_iter()
            .map(|(face, lesson)| {
                let rating = self.ratings.get(&name(&face));
                let lesson = match rating {
                    Some(rating) => lesson.rated(rating),
                    None => lesson,
                };
                Ok((rating.is_some(), place(face, lesson, network)?))
            })
            .collect::<Result<_, TrainError>>()?;
        let mut others = Vec::new();
        for (is_rated, face) in placed {
            let Some(face) = face else { continue };
            if is_rated {
                rated.push(face);
            } else {
                others.push(face);
            }
        }
        Ok(others)
    }
}
