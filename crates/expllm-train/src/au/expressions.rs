//! The half of the recipe that teaches the coarse look expressions.

use std::path::Path;

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use expllm_au::{AuNetworkConfig, ExpressionHead};
use expllm_core::Expression;
use expllm_face::backbone::Backbone;
use expllm_face::device::Backend;
use expllm_face::encoder::coarse_look;
use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::data::{AuFace, AuFaces};
use super::units::{SMOOTHING, view_of};
use crate::augment::{Jitter, hide_patch, mirror, tone};
use crate::backbone_steps::BackboneSteps;
use crate::run::{Recipe, row_rng, train};
use crate::{Progress, RunConfig, TrainError};

/// Of every 8 faces of a batch, how many are of FER2013; the others are of `wild`.
const FER_SHARE: usize = 6;

/// Faces that are imagined of every expression in a pool, so that none is impossible there.
const IMAGINED: f32 = 0.1;

/// How far a crop strays from its proper place.
const JITTER: Jitter = Jitter {
    turn: 12.0,
    zoom: 1.15,
    shift: 0.07,
};

/// Range of the blur of a look, in pixels of the fine crop: small photographs are blurred already.
const SMALL_BLUR: std::ops::Range<f32> = 0.6..1.8;
const LARGE_BLUR: std::ops::Range<f32> = 3.4..4.8;

/// A coarse look and its head.
#[derive(Module, Debug)]
pub(super) struct ExpressionPupil {
    pub backbone: Backbone,
    pub head: ExpressionHead,
}

/// Share of each expression, in expression order.
pub(super) type Shares = [f32; Expression::COUNT];

/// A pool of faces and how often each expression is among them.
pub(super) struct Pool<'a> {
    faces: &'a [AuFace],
    pub(super) shares: Shares,
}

/// Coarse looks and what they show, as distributions.
struct Batch {
    looks: Vec<f32>,
    wanted: Vec<f32>,
    /// Logarithms of the shares of the pool that each face is of.
    expected: Vec<f32>,
}

/// Trains the coarse look, resuming from `dir`.
///
/// The two pools hold the expressions in other shares, and look different. So that the network
/// does not answer by where a face is from, the shares of its pool are added to its logits while
/// it learns (logit adjustment, Menon et al. 2021); what it learns is what the face itself says.
/// The mean of both pools' shares is added for good at the end.
pub(super) fn train_expressions(
    faces: &AuFaces,
    network: &AuNetworkConfig,
    run: &RunConfig,
    dir: &Path,
    backend: Backend,
    report: impl FnMut(&Progress),
) -> Result<ExpressionPupil, TrainError> {
    let sides = (network.encoder.side, network.encoder.coarse_side);
    let mut steps = BackboneSteps::new(&network.encoder.coarse, sides.1, backend)?;
    let device = steps.device().clone();
    let pools = [Pool::new(&faces.fer), Pool::new(&faces.wild)];
    let recipe = Recipe {
        batch: |step| make_batch(&pools, run, sides, step),
        gradients: |pupil: &ExpressionPupil, batch: Batch| {
            let rows = |numbers: Vec<f32>| {
                let data = TensorData::new(numbers, [run.batch, Expression::COUNT]);
                Tensor::<2>::from_data(data, &device)
            };
            let (wanted, expected) = (rows(batch.wanted), rows(batch.expected));
            let loss = |features| {
                let found = log_softmax(pupil.head.forward(features) + expected, 1);
                (found * wanted).sum().neg() / run.batch as f32
            };
            steps.step((pupil, &pupil.backbone), batch.looks, loss)
        },
        marker: std::marker::PhantomData,
    };
    let pupil = ExpressionPupil {
        backbone: network.encoder.coarse.init(&device),
        head: network.expression_head(&device),
    };
    let mut pupil = train(pupil, run, dir, recipe, report)?;
    let shares = std::array::from_fn(|i| (pools[0].shares[i] + pools[1].shares[i]) / 2.0);
    pupil.head = pupil.head.expecting(shares);
    Ok(pupil)
}

impl<'a> Pool<'a> {
    pub(super) fn new(faces: &'a [AuFace]) -> Self {
        let mut counts = [IMAGINED; Expression::COUNT];
        for expression in faces.iter().filter_map(|face| face.expression) {
            counts[expression.index()] += 1.0;
        }
        let sum: f32 = counts.iter().sum();
        Self {
            faces,
            shares: counts.map(|count| count / sum),
        }
    }
}

/// The batch of a step from the pools of small and of large faces.
fn make_batch(
    [small, large]: &[Pool<'_>; 2],
    run: &RunConfig,
    sides: (usize, usize),
    step: usize,
) -> Batch {
    let rows: Vec<_> = (0..run.batch)
        .into_par_iter()
        .map(|row| {
            let mut rng = row_rng(run, step, row);
            let is_small = row % 8 < FER_SHARE && !small.faces.is_empty();
            let (pool, blur) = match is_small {
                true => (small, SMALL_BLUR),
                false => (large, LARGE_BLUR),
            };
            let face = &pool.faces[rng.random_range(0..pool.faces.len())];
            let blur = rng.random_range(blur);
            let wanted = smoothed(face.expression, &pool.shares);
            let expected = pool.shares.map(f32::ln);
            (look(face, sides, blur, &mut rng), wanted, expected)
        })
        .collect();
    let mut batch = Batch {
        looks: Vec::new(),
        wanted: Vec::new(),
        expected: Vec::new(),
    };
    for (look, wanted, expected) in rows {
        batch.looks.extend(look);
        batch.wanted.extend(wanted);
        batch.expected.extend(expected);
    }
    batch
}

/// A coarse look at a face, moved, lit, mirrored and partly hidden at random.
fn look(face: &AuFace, (side, coarse): (usize, usize), blur: f32, rng: &mut impl Rng) -> Vec<f32> {
    let crop = JITTER.apply(&view_of(face, side), side, rng);
    let mut pixels = face.image.crop(&crop, side);
    tone(&mut pixels, rng);
    if rng.random_bool(0.25) {
        hide_patch(&mut pixels, side, rng);
    }
    if rng.random_bool(0.5) {
        mirror(&mut pixels, side);
    }
    expllm_face::standardise(&mut pixels);
    coarse_look(&pixels, side, coarse, blur)
}

/// The label as a distribution, in which the other expressions keep a little of their shares; all
/// zero without a label.
pub(super) fn smoothed(expression: Option<Expression>, shares: &Shares) -> Shares {
    let Some(expression) = expression else {
        return [0.0; Expression::COUNT];
    };
    let mut wanted = shares.map(|share| SMOOTHING * share);
    wanted[expression.index()] += 1.0 - SMOOTHING;
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_distributions() {
        let shares = [1.0 / Expression::COUNT as f32; Expression::COUNT];
        let sum: f32 = smoothed(Some(Expression::Fear), &shares).iter().sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert!(smoothed(None, &shares).iter().all(|&p| p == 0.0));
    }

    #[test]
    fn the_same_step_gives_the_same_looks() {
        let faces = super::super::data::tests::faces();
        let run = RunConfig::new(10, 16, 1e-3);
        let pools = [Pool::new(&faces.fer), Pool::new(&faces.wild)];
        let looks = |step| make_batch(&pools, &run, (48, 16), step).looks;
        assert_eq!(looks(3), looks(3));
        assert_ne!(looks(3), looks(4));
        assert_eq!(looks(1).len(), 16 * 16 * 16);
    }

    #[test]
    fn shares_count_every_expression_and_add_up() {
        let faces = super::super::data::tests::faces();
        let shares = Pool::new(&faces.wild).shares;
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(shares[Expression::Anger.index()] > 0.5);
        assert!(shares.iter().all(|&share| share > 0.0));
    }
}
