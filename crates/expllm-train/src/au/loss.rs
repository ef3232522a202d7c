//! What a pupil is asked, and how wrong its answers are.

use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, relu, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};
use expllm_core::ActionUnit;

use super::batch::{Batch, Opinions, Ranges};
use super::gather::TaughtFaces;
use super::lesson::Bounds;
use super::panel::{MOVEMENT_COUNT, MOVEMENTS};
use super::recipe::Pupil;
use crate::landmarks::pseudo_huber;

/// Weights of the parts of the loss. The parts that
/// are means over units or movements pull a hundredth of their weight at each, so that they need
/// large ones to be heard beside an expression.
const SEEN_WEIGHT: f32 = 2.0;
const LABEL_WEIGHT: f32 = 1.2;
const UNIT_WEIGHT: f32 = 20.0;
const MOVEMENT_WEIGHT: f32 = 12.0;
const BLENDSHAPE_WEIGHT: f32 = 3.0;
const LANDMARK_WEIGHT: f32 = 2.0;

/// Below this error, in units of the side, the loss of a landmark turns quadratic.
const LANDMARK_BEND: f32 = 0.01;

/// Probabilities are kept this far from 0 and 1, whose logarithms have no bounds.
const EDGE: f32 = 1e-4;

/// What the loss needs of the whole run.
pub(super) struct Constants {
    /// `[35, movements]`: the movements as means of units.
    means: Tensor<2>,
    /// `[1, 35]`: weights of the units, of mean 1.
    units: Tensor<2>,
    /// `[1, movements]`: weights of the movements, of mean 1.
    movements: Tensor<2>,
}

impl Constants {
    pub fn new(faces: &TaughtFaces, device: &Device) -> Self {
        let mut means = vec![0.0; ActionUnit::COUNT * MOVEMENT_COUNT];
        for (i, movement) in MOVEMENTS.iter().enumerate() {
            // Where any of the units may show the movement, the first stands for it.
            let units = if movement.strongest {
                &movement.units[..1]
            } else {
                movement.units
            };
            for unit in units {
                means[unit.index() * MOVEMENT_COUNT + i] = 1.0 / units.len() as f32;
            }
        }
        let units = importance(
            faces
                .renders
                .iter()
                .map(|face| (&face.lesson.units[..], &face.lesson.unit_weights[..])),
            ActionUnit::COUNT,
        );
        let movements = importance(
            faces.rated.iter().map(|face| {
                (
                    &face.lesson.movements[..],
                    &face.lesson.movement_weights[..],
                )
            }),
            MOVEMENT_COUNT,
        );
        let tensor = |values: Vec<f32>, rows| {
            let columns = values.len() / rows;
            Tensor::from_data(TensorData::new(values, [rows, columns]), device)
        };
        Self {
            means: tensor(means, ActionUnit::COUNT),
            units: tensor(units, 1),
            movements: tensor(movements, 1),
        }
    }
}

/// Weights of mean 1: what moves little weighs as much as what moves a lot.
fn importance<'a>(
    rows: impl Iterator<Item = (&'a [Bounds], &'a [f32])> + Clone,
    width: usize,
) -> Vec<f32> {
    let weights: Vec<f32> = (0..width)
        .map(|i| {
            let values = || {
                rows.clone()
                    .filter(|(_, w)| w[i] > 0.0)
                    .map(|(b, _)| (b[i][0] + b[i][1]) / 2.0)
            };
            let n = values().count().max(1) as f32;
            let mean = values().sum::<f32>() / n;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            1.0 / (variance + 0.01)
        })
        .collect();
    let mean = weights.iter().sum::<f32>() / width as f32;
    weights.into_iter().map(|w| w / mean).collect()
}

/// The loss of a batch.
pub(super) fn loss(
    pupil: &Pupil,
    features: Tensor<2>,
    batch: Batch,
    constants: &Constants,
) -> Tensor<1> {
    let device = features.device();
    let rows = batch.rows;
    let tensor = |values: Vec<f32>| {
        let width = values.len() / rows.max(1);
        Tensor::<2>::from_data(TensorData::new(values, [rows, width]), &device)
    };
    let ranges = |ranges: Ranges| {
        (
            tensor(ranges.low),
            tensor(ranges.high),
            tensor(ranges.weights),
        )
    };
    let dropped = pupil.dropout.forward(features.clone());
    let opinion = |head: &Linear, said: Opinions| {
        let found = log_softmax(head.forward(dropped.clone()), 1);
        (found * tensor(said.shares)).sum().neg() / said.weight.max(1.0)
    };
    let seen = opinion(&pupil.seen, batch.seen);
    let label = opinion(&pupil.label, batch.label);
    let units = pupil.units.forward(dropped.clone());
    let means = sigmoid(units.clone()).matmul(constants.means.clone());
    let units = unit_loss(units, ranges(batch.units), &constants.units);
    let movements = movement_loss(means, ranges(batch.movements), &constants.movements);
    let blendshapes = surprise(
        pupil.blendshapes.forward(features.clone()),
        tensor(batch.blendshapes),
    );
    let landmarks = pupil.landmarks.forward(features) - tensor(batch.landmarks);
    let landmarks = pseudo_huber(landmarks, LANDMARK_BEND);
    seen * SEEN_WEIGHT
        + label * LABEL_WEIGHT
        + units * UNIT_WEIGHT
        + movements * MOVEMENT_WEIGHT
        + of_known(blendshapes, tensor(batch.blendshape_weights)) * BLENDSHAPE_WEIGHT
        + of_known(landmarks, tensor(batch.landmark_weights)) * LANDMARK_WEIGHT
}

/// Lowest and highest values that a source allows, and their weights.
type Allowed = (Tensor<2>, Tensor<2>, Tensor<2>);

fn unit_loss(
    logits: Tensor<2>,
    (low, high, weights): Allowed,
    importance: &Tensor<2>,
) -> Tensor<1> {
    let wanted = nearest(sigmoid(logits.clone()), low, high);
    let weighted = surprise(logits, wanted) * weights.clone() * importance.clone();
    weighted.sum() / (weights.sum() + 1.0)
}

fn movement_loss(
    means: Tensor<2>,
    (low, high, weights): Allowed,
    importance: &Tensor<2>,
) -> Tensor<1> {
    let means = means.clamp(EDGE, 1.0 - EDGE);
    let wanted = nearest(means.clone(), low, high);
    let not = |t: Tensor<2>| t.neg() + 1.0;
    let surprise = wanted.clone() * means.clone().log() + not(wanted) * not(means).log();
    let weighted = surprise.neg() * weights.clone() * importance.clone();
    weighted.sum() / (weights.sum() + 1.0)
}

/// Cross-entropy of probabilities, given as logits, with what is wanted.
fn surprise(logits: Tensor<2>, wanted: Tensor<2>) -> Tensor<2> {
    relu(logits.clone()) - logits.clone() * wanted + (logits.abs().neg().exp() + 1.0).log()
}

/// The mean over the rows whose weight, `[rows, 1]`, is 1.
fn of_known(errors: Tensor<2>, weights: Tensor<2>) -> Tensor<1> {
    (errors.mean_dim(1) * weights.clone()).sum() / (weights.sum() + 1.0)
}

/// The value within the bounds that lies nearest to what was found: nothing is learnt from it but
/// the way there.
fn nearest(found: Tensor<2>, low: Tensor<2>, high: Tensor<2>) -> Tensor<2> {
    found.detach().max_pair(low).min_pair(high)
}

#[cfg(test)]
mod tests {
    use expllm_face::device::reading_device;

    use super::*;

    fn row(values: &[f32]) -> Tensor<2> {
        Tensor::<1>::from_floats(values, &reading_device()).unsqueeze()
    }

    #[test]
    fn the_nearest_allowed_value_is_wanted() {
        let found = nearest(row(&[0.1, 0.3, 0.9]), row(&[0.2; 3]), row(&[0.4; 3]));
        let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
        assert_eq!(found, [0.2, 0.3, 0.4]);
    }

    #[test]
    fn what_lies_within_its_bounds_has_no_gradient() {
        let device = reading_device().autodiff();
        let logits = Tensor::<2>::from_floats([[-1.0, 2.0]], &device).require_grad();
        let bounds = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
        let allowed = (bounds([0.2, 0.0]), bounds([0.4, 0.5]), bounds([1.0, 1.0]));
        let gradients = unit_loss(logits.clone(), allowed, &bounds([1.0, 1.0])).backward();
        let found: Vec<f32> = logits
            .grad(&gradients)
            .unwrap()
            .into_data()
            .try_to_vec()
            .unwrap();
        assert!(found[0].abs() < 1e-6 && found[1] > 0.05, "{found:?}");
    }
}
