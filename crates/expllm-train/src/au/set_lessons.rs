//! What is known of the faces of a set beside their pictures.

use std::collections::HashMap;
use std::iter::repeat;
use std::path::Path;

use expllm_core::{Expression, LANDMARK_COUNT, Point};
use expllm_data::Split;

use super::dev::majority;
use super::lesson::{Lesson, Opinion};
use super::mesh::{BLENDSHAPES, read_blendshapes, read_landmarks};
use crate::{FaceSet, RealFace, TrainError, TrainingData};

/// Ten votes: eight expressions, unknown, not a face.
type Votes = [f32; 10];

/// What the tables beside a set say of a picture.
#[derive(Default)]
struct Row {
    votes: Option<Votes>,
    blendshapes: Option<[f32; BLENDSHAPES]>,
    points: Option<[Point; LANDMARK_COUNT]>,
}

impl TrainingData {
    /// The faces of a split with what is known of them: votes and findings of a mesh where the set
    /// has them, labels.
    pub(crate) fn lessons(
        &self,
        set: &FaceSet,
        split: Split,
    ) -> Result<Vec<(RealFace, Lesson)>, TrainError> {
        let faces = self.faces(set, split)?;
        match &set.votes {
            Some(votes) => {
                let rows = self.rows(votes, set.mesh.as_deref())?;
                Ok(voted(faces, rows))
            }
            None => {
                let tensor = format!("{split}_blendshapes");
                let read = |file| read_blendshapes(&self.file(file), &tensor);
                let shapes = set.blendshapes.as_ref().map(read).transpose()?;
                Ok(labelled(faces, shapes.unwrap_or_default()))
            }
        }
    }

    /// The expression that most voters see in pictures of a set, by file; pictures without a
    /// majority, and sets without votes, are not in it.
    ///
    /// # Errors
    ///
    /// When the table is missing or damaged.
    pub fn majorities(&self, set: &FaceSet) -> Result<HashMap<String, Expression>, TrainError> {
        let Some(votes) = &set.votes else {
            return Ok(HashMap::new());
        };
        let rows = read_votes(&self.file(votes))?.into_iter();
        Ok(rows
            .filter_map(|(file, votes)| Some((file, majority(&votes?)?)))
            .collect())
    }

    fn rows(&self, votes: &Path, mesh: Option<&Path>) -> Result<HashMap<String, Row>, TrainError> {
        let votes = read_votes(&self.file(votes))?;
        let (mut blendshapes, mut points) = (Vec::new(), Vec::new());
        if let Some(mesh) = mesh {
            blendshapes = read_blendshapes(&self.file(mesh), "blendshapes")?;
            points = read_landmarks(&self.file(mesh), "landmarks68")?;
        }
        let blendshapes = blendshapes.into_iter().chain(repeat(None));
        let found = blendshapes.zip(points.into_iter().chain(repeat(None)));
        let rows = votes.into_iter().zip(found);
        Ok(rows
            .map(|((file, votes), (blendshapes, points))| {
                let row = Row {
                    votes,
                    blendshapes,
                    points,
                };
                (file, row)
            })
            .collect())
    }
}

fn voted(faces: Vec<RealFace>, mut rows: HashMap<String, Row>) -> Vec<(RealFace, Lesson)> {
    let lesson = |mut face: RealFace| {
        let row = rows.remove(&face.file).unwrap_or_default();
        face.points = row.points;
        let label = face.expression.map(|label| Opinion::of(label, 1.0));
        let lesson = Lesson {
            blendshapes: row.blendshapes,
            seen: row.votes.as_ref().map(Opinion::votes).unwrap_or_default(),
            label: label.unwrap_or_default(),
            ..Lesson::default()
        };
        (face, lesson)
    };
    faces.into_iter().map(lesson).collect()
}

fn labelled(
    faces: Vec<RealFace>,
    blendshapes: Vec<Option<[f32; BLENDSHAPES]>>,
) -> Vec<(RealFace, Lesson)> {
    let blendshapes = blendshapes.into_iter().chain(repeat(None));
    let rows = faces.into_iter().zip(blendshapes);
    rows.map(|(face, blendshapes)| {
        let lesson = Lesson {
            blendshapes,
            ..Lesson::default()
        };
        let lesson = match face.expression {
            Some(expression) => lesson.labelled(expression),
            None => lesson,
        };
        (face, lesson)
    })
    .collect()
}

/// The file and the ten votes of every row of a table of votes; `None` where nobody voted.
fn read_votes(path: &Path) -> Result<Vec<(String, Option<Votes>)>, TrainError> {
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
