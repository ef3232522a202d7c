//! Batches of augmented faces with whatever is known of them.

use expllm_au::face_crop;
use expllm_core::{ActionUnit, Expression};
use expllm_face::ALIGNED_SIZE;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::data::{AuFace, AuFaces};
use super::weak;
use crate::RunConfig;
use crate::augment::{Jitter, degraded_crop, mirror, push};

/// Of every 12 faces of a batch, how many are synthetic, of `wild` and of FER2013.
const SHARES: [usize; 3] = [6, 4, 2];

/// How far a crop strays from its proper place: as far as landmarks err.
const JITTER: Jitter = Jitter {
    turn: 7.0,
    zoom: 1.09,
    shift: 0.045,
};

/// How much of a label's weight goes to the other expressions.
const SMOOTHING: f32 = 0.08;

/// Weight of an intensity measured on a mesh, beside 1 for an exact one.
const GEOMETRY_WEIGHT: f32 = 0.6;

/// Rows of one step; what is not known of a face has weight 0 or bounds 0 to 1.
#[derive(Default)]
pub(super) struct Batch {
    pub rows: usize,
    pub crops: Vec<f32>,
    pub units: Vec<f32>,
    pub unit_weights: Vec<f32>,
    pub expressions: Vec<f32>,
    pub lower: Vec<f32>,
    pub upper: Vec<f32>,
}

/// The batch of a step; the same step always gives the same batch.
pub(super) fn make_batch(faces: &AuFaces, run: &RunConfig, side: usize, step: usize) -> Batch {
    let pools = [&faces.synthetic, &faces.wild, &faces.fer];
    let order: Vec<usize> = SHARES
        .iter()
        .enumerate()
        .flat_map(|(pool, &share)| vec![pool; share])
        .collect();
    let rows: Vec<Row> = (0..run.batch)
        .into_par_iter()
        .filter_map(|row| {
            let mut rng = ChaCha8Rng::seed_from_u64(run.seed);
            rng.set_stream((step * run.batch + row) as u64);
            let pool = pools[order[row % order.len()]];
            (!pool.is_empty())
                .then(|| Row::new(&pool[rng.random_range(0..pool.len())], side, &mut rng))
        })
        .collect();
    let mut batch = Batch {
        rows: rows.len(),
        ..Batch::default()
    };
    for row in rows {
        push(&mut batch.crops, row.pixels);
        batch.units.extend(row.units);
        batch.unit_weights.extend(row.unit_weights);
        batch.expressions.extend(row.expression);
        batch.lower.extend(row.bounds.0);
        batch.upper.extend(row.bounds.1);
    }
    batch
}

/// One augmented face.
struct Row {
    pixels: Vec<f32>,
    units: [f32; ActionUnit::COUNT],
    unit_weights: [f32; ActionUnit::COUNT],
    expression: [f32; Expression::COUNT],
    bounds: weak::Bounds,
}

impl Row {
    fn new(face: &AuFace, side: usize, rng: &mut impl Rng) -> Self {
        let proper = face.to_image.after(&face_crop(ALIGNED_SIZE, side));
        let crop = JITTER.apply(&proper, side, rng);
        let mut pixels = degraded_crop(&face.image, &crop, side, rng);
        let (mut units, mut unit_weights) = known_units(face);
        if rng.random_bool(0.5) {
            mirror(&mut pixels, side);
            units = ActionUnit::ALL.map(|unit| units[unit.mirrored().index()]);
            unit_weights = ActionUnit::ALL.map(|unit| unit_weights[unit.mirrored().index()]);
        }
        let bounds = match (face.units, face.expression) {
            (None, Some(expression)) => weak::bounds(expression),
            _ => weak::FREE,
        };
        Self {
            pixels,
            units,
            unit_weights,
            expression: smoothed(face.expression),
            bounds,
        }
    }
}

/// Intensities and how far each is to be trusted.
fn known_units(face: &AuFace) -> ([f32; ActionUnit::COUNT], [f32; ActionUnit::COUNT]) {
    if let Some(units) = face.units {
        return (units, [1.0; ActionUnit::COUNT]);
    }
    let (mut units, mut weights) = ([0.0; ActionUnit::COUNT], [0.0; ActionUnit::COUNT]);
    for (unit, intensity) in face.geometry.iter().flat_map(|g| g.intensities()) {
        units[unit.index()] = intensity;
        weights[unit.index()] = GEOMETRY_WEIGHT;
    }
    (units, weights)
}

/// The label as a distribution; all zero without a label.
fn smoothed(expression: Option<Expression>) -> [f32; Expression::COUNT] {
    let Some(expression) = expression else {
        return [0.0; Expression::COUNT];
    };
    let mut wanted = [SMOOTHING / Expression::COUNT as f32; Expression::COUNT];
    wanted[expression.index()] += 1.0 - SMOOTHING;
    wanted
}

#[cfg(test)]
mod tests {
    use expllm_core::Similarity;
    use expllm_face::GreyImage;

    use super::*;

    fn face(units: Option<[f32; 24]>, expression: Option<Expression>) -> AuFace {
        let pixels = (0..64 * 64).map(|i| (i * 7 % 251) as u8).collect();
        AuFace {
            image: GreyImage::new(64, 64, pixels).unwrap(),
            to_image: Similarity {
                a: 0.5,
                ..Similarity::IDENTITY
            },
            units,
            geometry: None,
            expression,
        }
    }

    fn faces() -> AuFaces {
        AuFaces {
            synthetic: vec![face(Some([0.3; 24]), None)],
            wild: vec![face(None, Some(Expression::Anger))],
            fer: vec![face(None, Some(Expression::Neutral))],
        }
    }

    #[test]
    fn the_same_step_gives_the_same_batch() {
        let run = RunConfig::new(10, 12, 1e-3);
        let (a, b) = (
            make_batch(&faces(), &run, 32, 3),
            make_batch(&faces(), &run, 32, 3),
        );
        assert_eq!((a.crops, a.units, a.lower), (b.crops, b.units, b.lower));
        assert_ne!(
            make_batch(&faces(), &run, 32, 4).crops,
            make_batch(&faces(), &run, 32, 3).crops
        );
    }

    #[test]
    fn unknown_labels_carry_no_weight() {
        let run = RunConfig::new(10, 12, 1e-3);
        let batch = make_batch(&faces(), &run, 32, 0);
        assert_eq!(batch.rows, 12);
        assert_eq!(batch.unit_weights[..6 * 24], [1.0; 144]);
        assert!(batch.unit_weights[6 * 24..].iter().all(|&w| w == 0.0));
        assert!(batch.expressions[..6 * 8].iter().all(|&p| p == 0.0));
        let sums: Vec<f32> = batch
            .expressions
            .chunks(8)
            .skip(6)
            .map(|r| r.iter().sum())
            .collect();
        assert!(sums.iter().all(|s| (s - 1.0).abs() < 1e-6));
    }
}
