//! The half of the recipe that teaches the fine look action units.

use std::path::Path;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};
use expllm_au::{AuNetworkConfig, UnitHead, face_crop};
use expllm_core::{ActionUnit, LANDMARK_COUNT, Similarity};
use expllm_face::ALIGNED_SIZE;
use expllm_face::backbone::Backbone;
use expllm_face::device::Backend;
use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::data::{AuFace, AuFaces};
use super::weak;
use crate::augment::{Jitter, degraded_crop, mirror, push};
use crate::backbone_steps::BackboneSteps;
use crate::landmarks::{in_crop, pseudo_huber, target};
use crate::run::{Recipe, row_rng, train};
use crate::{Progress, RunConfig, TrainError};

/// Of every 16 faces of a batch, how many are synthetic, of `wild` and of FER2013.
const SHARES: [usize; 3] = [10, 4, 2];

/// How far a crop strays from its proper place: as far as landmarks err.
pub(super) const JITTER: Jitter = Jitter {
    turn: 5.0,
    zoom: 1.07,
    shift: 0.03,
};

/// Share of the rendered faces that are only moved, not degraded.
const PLAIN_SHARE: f64 = 0.4;

/// How much of a label's weight goes to the other expressions.
pub(super) const SMOOTHING: f32 = 0.08;

/// Weight of an intensity measured on a mesh, beside 1 for an exact one.
const GEOMETRY_WEIGHT: f32 = 0.6;

/// Weights of the other parts of the loss, beside 1 for the intensities.
const WEAK_WEIGHT: f32 = 0.8;
const LANDMARK_WEIGHT: f32 = 3.0;

/// Below this error, in units of the side, the loss of a landmark turns quadratic.
const LANDMARK_BEND: f32 = 0.01;

/// Coordinates of all landmarks.
const COORDINATES: usize = 2 * LANDMARK_COUNT;

/// What the fine look starts from.
#[derive(Debug, Clone)]
pub struct FineStart {
    /// A backbone of its own shape.
    pub backbone: Backbone,
    /// A head on that backbone; a new one without it.
    pub head: Option<UnitHead>,
}

/// A fine look, its head, and a second head that is asked for landmarks while training: where
/// things are is the better half of what units are.
#[derive(Module, Debug)]
pub(super) struct UnitPupil {
    pub backbone: Backbone,
    pub head: UnitHead,
    landmarks: Linear,
}

/// Rows of one step; what is not known of a face has weight 0 or bounds 0 to 1.
#[derive(Default)]
struct Batch {
    rows: usize,
    crops: Vec<f32>,
    units: Vec<f32>,
    unit_weights: Vec<f32>,
    lower: Vec<f32>,
    upper: Vec<f32>,
    landmarks: Vec<f32>,
    landmark_weights: Vec<f32>,
}

/// Trains the fine look, resuming from `dir`.
pub(super) fn train_units(
    faces: &AuFaces,
    network: &AuNetworkConfig,
    run: &RunConfig,
    dir: &Path,
    (start, backend): (&FineStart, Backend),
    report: impl FnMut(&Progress),
) -> Result<UnitPupil, TrainError> {
    let side = network.encoder.side;
    let mut steps = BackboneSteps::new(&network.encoder.fine, side, backend)?;
    let device = steps.device().clone();
    let constants = Constants {
        groups: weak::group_means(&device),
        importance: importance(&faces.synthetic, &device),
    };
    let recipe = Recipe {
        batch: |step| make_batch(faces, run, side, step),
        gradients: |pupil: &UnitPupil, mut batch: Batch| {
            let crops = std::mem::take(&mut batch.crops);
            let loss = |features| loss(pupil, features, batch, &constants);
            steps.step((pupil, &pupil.backbone), crops, loss)
        },
        marker: std::marker::PhantomData,
    };
    let features = network.encoder.fine.features();
    let head = network.unit_head(&device);
    let pupil = UnitPupil {
        backbone: (network.encoder.fine.init(&device))
            .load_record(start.backbone.clone().into_record()),
        head: match &start.head {
            Some(start) => head.load_record(start.clone().into_record()),
            None => head,
        },
        landmarks: LinearConfig::new(features, COORDINATES).init(&device),
    };
    train(pupil, run, dir, recipe, report)
}

/// What the loss needs of the whole run.
struct Constants {
    groups: Tensor<2>,
    importance: Tensor<2>,
}

/// Weights of the units, `[1, 24]`, of mean 1: units that move little weigh as much as others.
fn importance(faces: &[AuFace], device: &Device) -> Tensor<2> {
    let known: Vec<_> = faces.iter().filter_map(|face| face.units).collect();
    let n = known.len().max(1) as f32;
    let weights = ActionUnit::FEAFA.map(|unit| {
        let values = || known.iter().map(|units| units[unit.index()]);
        let mean = values().sum::<f32>() / n;
        let variance = values().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
        1.0 / (variance + 0.01)
    });
    let mean = weights.iter().sum::<f32>() / ActionUnit::FEAFA_COUNT as f32;
    let weights = TensorData::new(
        weights.map(|w| w / mean).to_vec(),
        [1, ActionUnit::FEAFA_COUNT],
    );
    Tensor::from_data(weights, device)
}

/// The loss of a batch: cross-entropy of known intensities, how far unit groups lie outside of
/// what the expression allows, and the error of known landmarks.
fn loss(pupil: &UnitPupil, features: Tensor<2>, batch: Batch, constants: &Constants) -> Tensor<1> {
    let device = features.device();
    let rows = batch.rows;
    let tensor = |values: Vec<f32>, width: usize| {
        Tensor::<2>::from_data(TensorData::new(values, [rows, width]), &device)
    };
    let logits = pupil.head.forward(features.clone());
    let units = tensor(batch.units, ActionUnit::FEAFA_COUNT);
    let weights = tensor(batch.unit_weights, ActionUnit::FEAFA_COUNT);
    let known = weights.clone().sum() + 1e-6;
    let surprise = relu(logits.clone()) - logits.clone() * units
        + (logits.clone().abs().neg().exp() + 1.0).log();
    let unit_loss = (surprise * weights * constants.importance.clone()).sum() / known;

    let means = sigmoid(logits).matmul(constants.groups.clone());
    let below = relu(tensor(batch.lower, weak::GROUPS) - means.clone());
    let above = relu(means - tensor(batch.upper, weak::GROUPS));
    let weak_loss = (below.powi_scalar(2) + above.powi_scalar(2)).mean();

    let found = pupil.landmarks.forward(features);
    let error = pseudo_huber(found - tensor(batch.landmarks, COORDINATES), LANDMARK_BEND);
    let weights = tensor(batch.landmark_weights, 1);
    let landmark_loss = (error.mean_dim(1) * weights.clone()).sum() / (weights.sum() + 1e-6);

    unit_loss + weak_loss * WEAK_WEIGHT + landmark_loss * LANDMARK_WEIGHT
}

/// The transform from the network's crop of `side` pixels to the photo.
pub(super) fn view_of(face: &AuFace, side: usize) -> Similarity {
    face.to_image.after(&face_crop(ALIGNED_SIZE, side))
}

/// The batch of a step; the same step always gives the same batch.
fn make_batch(faces: &AuFaces, run: &RunConfig, side: usize, step: usize) -> Batch {
    let pools = [&faces.synthetic, &faces.wild, &faces.fer];
    let order: Vec<usize> = SHARES
        .iter()
        .enumerate()
        .flat_map(|(pool, &share)| vec![pool; share])
        .collect();
    let rows: Vec<Row> = (0..run.batch)
        .into_par_iter()
        .filter_map(|row| {
            let mut rng = row_rng(run, step, row);
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
        batch.lower.extend(row.bounds.0);
        batch.upper.extend(row.bounds.1);
        batch
            .landmark_weights
            .push(f32::from(u8::from(row.landmarks.is_some())));
        batch
            .landmarks
            .extend(row.landmarks.unwrap_or_else(|| vec![0.0; COORDINATES]));
    }
    batch
}

/// One augmented face.
struct Row {
    pixels: Vec<f32>,
    units: [f32; ActionUnit::FEAFA_COUNT],
    unit_weights: [f32; ActionUnit::FEAFA_COUNT],
    bounds: weak::Bounds,
    landmarks: Option<Vec<f32>>,
}

impl Row {
    fn new(face: &AuFace, side: usize, rng: &mut impl Rng) -> Self {
        let crop = JITTER.apply(&view_of(face, side), side, rng);
        // Renders are soft, noisy and hidden in places already.
        let as_it_is = face.units.is_some() && rng.random_bool(PLAIN_SHARE);
        let mut pixels = if as_it_is {
            face.image.crop(&crop, side)
        } else {
            degraded_crop(&face.image, &crop, side, rng)
        };
        let (mut units, mut unit_weights) = known_units(face);
        let mut landmarks = face.landmarks.as_ref().map(|marks| in_crop(marks, &crop));
        if rng.random_bool(0.5) {
            mirror(&mut pixels, side);
            units = ActionUnit::FEAFA.map(|unit| units[unit.mirrored().index()]);
            unit_weights = ActionUnit::FEAFA.map(|unit| unit_weights[unit.mirrored().index()]);
            landmarks = landmarks.map(|marks| marks.mirrored(side as f32));
        }
        let bounds = match (face.units, face.expression) {
            (None, Some(expression)) => weak::bounds(expression),
            _ => weak::FREE,
        };
        let landmarks = landmarks.map(|marks| {
            let mut numbers = target(&marks, side);
            numbers.truncate(COORDINATES);
            numbers
        });
        Self {
            pixels,
            units,
            unit_weights,
            bounds,
            landmarks,
        }
    }
}

/// Intensities and how far each is to be trusted.
fn known_units(
    face: &AuFace,
) -> (
    [f32; ActionUnit::FEAFA_COUNT],
    [f32; ActionUnit::FEAFA_COUNT],
) {
    if let Some(units) = face.units {
        return (units, [1.0; ActionUnit::FEAFA_COUNT]);
    }
    let (mut units, mut weights) = (
        [0.0; ActionUnit::FEAFA_COUNT],
        [0.0; ActionUnit::FEAFA_COUNT],
    );
    for (unit, intensity) in face.geometry.iter().flat_map(|g| g.intensities()) {
        units[unit.index()] = intensity;
        weights[unit.index()] = GEOMETRY_WEIGHT;
    }
    (units, weights)
}

#[cfg(test)]
mod tests {
    use super::super::data::tests::faces;
    use super::*;

    #[test]
    fn the_same_step_gives_the_same_batch() {
        let run = RunConfig::new(10, 16, 1e-3);
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
        let run = RunConfig::new(10, 16, 1e-3);
        let batch = make_batch(&faces(), &run, 32, 0);
        assert_eq!(batch.rows, 16);
        assert_eq!(batch.unit_weights[..10 * 24], [1.0; 240]);
        assert!(batch.unit_weights[10 * 24..].iter().all(|&w| w == 0.0));
        assert!(batch.landmark_weights.iter().all(|&w| w == 0.0));
    }
}
