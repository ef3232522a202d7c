//! The faces of a run, gathered from the sources that it may use.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use expllm_core::Similarity;
use expllm_data::Split;
use expllm_face::{GreyImage, LandmarkNet, SimilarityAligner};
use rayon::prelude::*;

use super::cache::{read_renders, write_renders};
use super::lesson::Lesson;
use super::mesh_lessons::teach_by_mesh;
use super::panel::{Rating, read_panel};
use super::place::place;
use crate::synth::{FaceSynthesizer, seed_of};
use crate::{FaceSet, RealFace, TrainError, TrainingData};

/// Series of seeds that training faces are drawn from.
const TRAINING_SERIES: u64 = 1;

/// Of how many rated faces one is kept back from training, to calibrate by.
const KEPT_BACK_EVERY: usize = 8;

/// What arguments call rendered faces, beside the names of sets.
pub const RENDERS: &str = "renders";

/// How many faces are rendered, and in which folder they are kept.
#[derive(Debug, Clone, Copy)]
pub struct Renders<'a> {
    /// How many.
    pub count: usize,
    /// The folder.
    pub keep: &'a Path,
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
    /// Photographed faces that were rated.
    pub rated: Vec<TaughtFace>,
    /// All others of sets with a label alone.
    pub labelled: Vec<TaughtFace>,
    /// All others of sets with votes.
    pub voted: Vec<TaughtFace>,
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
    /// The sets of some sources and whether faces are rendered too; all without any.
    fn chosen(&self, sources: &[String]) -> Result<(Vec<&FaceSet>, bool), TrainError> {
        if sources.is_empty() {
            return Ok((self.sets().iter().collect(), true));
        }
        let named = sources.iter().filter(|source| *source != RENDERS);
        let names: HashSet<&str> = (named.map(|name| Ok(self.set(name)?.name.as_str())))
            .collect::<Result<_, TrainError>>()?;
        let sets = self.sets().iter();
        let sets = sets.filter(|set| names.contains(set.name.as_str()));
        Ok((sets.collect(), sources.iter().any(|name| name == RENDERS)))
    }

    /// The rated faces of some sets that are kept back from training, to fit by, with their
    /// ratings.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged.
    pub fn kept_back(
        &self,
        sources: &[String],
    ) -> Result<(Vec<Rating>, Vec<RealFace>), TrainError> {
        let (sets, _) = self.chosen(sources)?;
        let (ratings, mut faces) = self.rated_faces("panel_train.csv")?;
        let used = |file: &str| {
            let archive = file.split('/').next();
            sets.iter().any(|set| archive == Some(set.name.as_str()))
        };
        let rows = ratings.into_iter().enumerate();
        let kept = rows.filter(|(row, rating)| is_kept_back(*row) && used(&rating.file));
        let ratings: Vec<Rating> = kept.map(|(_, rating)| rating).collect();
        let named: HashSet<&str> = ratings.iter().map(|rating| rating.file.as_str()).collect();
        faces.retain(|face| named.contains(face.file.as_str()));
        Ok((ratings, faces))
    }

    /// Gathers the faces of a run from sets and, where [`RENDERS`] is among the sources, renders;
    /// from all without any source.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or the landmark network fails.
    pub fn taught_faces(
        &self,
        sources: &[String],
        renders: &Renders<'_>,
        network: &LandmarkNet,
    ) -> Result<TaughtFaces, TrainError> {
        let known = Known::read(read_panel(&self.file("panel_train.csv"))?);
        let (sets, rendered) = self.chosen(sources)?;
        let mut faces = TaughtFaces::default();
        for set in sets {
            let rows = self.lessons(set, Split::Train)?;
            let others = known.sort(rows, &set.name, network, &mut faces.rated)?;
            match set.votes {
                Some(_) => faces.voted.extend(others),
                None => faces.labelled.extend(others),
            }
        }
        teach_by_mesh(&mut faces);
        if rendered {
            faces.renders = self.kept_renders(renders)?;
        }
        Ok(faces)
    }

    /// Renders faces, or reads them where they were kept.
    fn kept_renders(&self, renders: &Renders<'_>) -> Result<Vec<TaughtFace>, TrainError> {
        let Renders { count, keep } = *renders;
        let path = keep.join(format!("renders-{count}.safetensors"));
        if path.is_file() {
            return read_renders(&path);
        }
        let faces = rendered_faces(&self.synthesizer()?, count);
        std::fs::create_dir_all(keep).map_err(|e| TrainError::file(keep, e))?;
        write_renders(&path, &faces)?;
        Ok(faces)
    }
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
