//! The rows of a step.

use expllm_core::LANDMARK_COUNT;
use rand::RngExt;
use rayon::prelude::*;

use super::gather::TaughtFaces;
use super::lesson::{Bounds, Lesson, Opinion};
use super::looks::look;
use super::mesh::BLENDSHAPES;
use crate::RunConfig;
use crate::augment::push;
use crate::landmarks::target;
use crate::run::row_rng;

/// Of every 64 faces of a batch: renders, rated faces, others with a label, others with votes.
const SHARES: [usize; 4] = [16, 15, 8, 25];

/// Coordinates of all landmarks.
pub(super) const COORDINATES: usize = 2 * LANDMARK_COUNT;

/// Rows of one step; what is not known of a face has weight 0.
#[derive(Default)]
pub(super) struct Batch {
    pub rows: usize,
    pub crops: Vec<f32>,
    pub units: Ranges,
    pub movements: Ranges,
    pub seen: Opinions,
    pub label: Opinions,
    pub blendshapes: Vec<f32>,
    pub blendshape_weights: Vec<f32>,
    pub landmarks: Vec<f32>,
    pub landmark_weights: Vec<f32>,
}

/// Lowest and highest values with their weights.
#[derive(Default)]
pub(super) struct Ranges {
    pub low: Vec<f32>,
    pub high: Vec<f32>,
    pub weights: Vec<f32>,
}

impl Ranges {
    fn extend(&mut self, bounds: &[Bounds], weights: &[f32]) {
        self.low.extend(bounds.iter().map(|b| b[0]));
        self.high.extend(bounds.iter().map(|b| b[1]));
        self.weights.extend(weights);
    }
}

/// Distributions; each is multiplied by its weight.
#[derive(Default)]
pub(super) struct Opinions {
    pub shares: Vec<f32>,
    pub weight: f32,
}

impl Opinions {
    fn push(&mut self, opinion: &Opinion) {
        self.shares
            .extend(opinion.shares.map(|share| share * opinion.weight));
        self.weight += opinion.weight;
    }
}

impl Batch {
    fn push(&mut self, pixels: Vec<f32>, lesson: &Lesson, side: usize) {
        self.rows += 1;
        push(&mut self.crops, pixels);
        self.units.extend(&lesson.units, &lesson.unit_weights);
        self.movements
            .extend(&lesson.movements, &lesson.movement_weights);
        self.seen.push(&lesson.seen);
        self.label.push(&lesson.label);
        self.blendshape_weights.push(known(&lesson.blendshapes));
        self.blendshapes
            .extend(lesson.blendshapes.unwrap_or([0.0; BLENDSHAPES]));
        self.landmark_weights.push(known(&lesson.landmarks));
        let mut marks = match &lesson.landmarks {
            Some(marks) => target(marks, side),
            None => vec![0.0; COORDINATES],
        };
        marks.truncate(COORDINATES);
        self.landmarks.extend(marks);
    }
}

fn known<T>(value: &Option<T>) -> f32 {
    f32::from(u8::from(value.is_some()))
}

/// The batch of a step; the same step always gives the same batch.
pub(super) fn make_batch(faces: &TaughtFaces, run: &RunConfig, side: usize, step: usize) -> Batch {
    let pools = [&faces.renders, &faces.rated, &faces.labelled, &faces.voted];
    let order = order(pools.map(Vec::len));
    let looks: Vec<_> = (0..run.batch)
        .into_par_iter()
        .filter_map(|row| {
            let mut rng = row_rng(run, step, row);
            let pool = *order.get(row % order.len().max(1))?;
            let face = &pools[pool][rng.random_range(0..pools[pool].len())];
            Some(look(face, side, &mut rng))
        })
        .collect();
    let mut batch = Batch::default();
    for (pixels, lesson) in looks {
        batch.push(pixels, &lesson, side);
    }
    batch
}

/// The pools of the rows of a batch, over and over; empty pools give their places to the others.
fn order(sizes: [usize; 4]) -> Vec<usize> {
    let full = (0..4).filter(|&pool| sizes[pool] > 0);
    full.flat_map(|pool| vec![pool; SHARES[pool]]).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use expllm_core::{ActionUnit, Expression, Similarity};
    use expllm_face::GreyImage;

    use super::super::gather::TaughtFace;
    use super::*;

    fn face(lesson: Lesson) -> TaughtFace {
        let pixels = (0..64 * 64).map(|i| (i * 7 % 251) as u8).collect();
        TaughtFace {
            image: GreyImage::new(64, 64, pixels).unwrap(),
            views: vec![Similarity {
                a: 0.5,
                ..Similarity::IDENTITY
            }],
            lesson,
        }
    }

    /// One render and one labelled face.
    pub(in super::super) fn faces() -> TaughtFaces {
        TaughtFaces {
            renders: vec![face(Lesson::default().exact([0.3; ActionUnit::COUNT]))],
            labelled: vec![face(Lesson::default().labelled(Expression::Anger))],
            ..TaughtFaces::default()
        }
    }

    #[test]
    fn the_same_step_gives_the_same_batch() {
        let run = RunConfig::new(10, 20, 1e-3);
        let batch = |step| make_batch(&faces(), &run, 32, step);
        assert_eq!(
            (batch(3).crops, batch(3).units.low),
            (batch(3).crops, batch(3).units.low)
        );
        assert_ne!(batch(4).crops, batch(3).crops);
    }

    #[test]
    fn kinds_without_faces_give_their_places_and_what_is_unknown_has_no_weight() {
        let batch = make_batch(&faces(), &RunConfig::new(10, 20, 1e-3), 32, 0);
        assert_eq!((batch.rows, batch.crops.len()), (20, 20 * 32 * 32));
        let known: f32 = batch.units.weights.iter().sum();
        assert_eq!(known, (16 * ActionUnit::COUNT) as f32);
        assert!(batch.movements.weights.iter().all(|&w| w == 0.0));
        assert!((batch.seen.weight - 4.0 * 0.3).abs() < 1e-5);
        assert_eq!(batch.label.weight, 0.0);
        let none = make_batch(
            &TaughtFaces::default(),
            &RunConfig::new(10, 20, 1e-3),
            32,
            0,
        );
        assert_eq!(none.rows, 0);
    }
}
