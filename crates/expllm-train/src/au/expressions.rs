//! The half of the recipe that teaches the coarse look expressions.

use std::path::Path;

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use expllm_au::{AuNetworkConfig, ExpressionHead};
use expllm_core::Expression;
use expllm_face::backbone::Backbone;
use expllm_face::encoder::coarse_look;
use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::data::{AuFace, AuFaces};
use super::units::{SMOOTHING, view_of};
use crate::augment::{Jitter, hide_patch, mirror, tone};
use crate::host::HostBackbone;
use crate::run::{Recipe, row_rng, train};
use crate::{Progress, RunConfig, TrainError};

/// Of every 8 faces of a batch, how many are of FER2013; the others are of `wild`.
const FER_SHARE: usize = 5;

/// How far a crop strays from its proper place.
const JITTER: Jitter = Jitter {
    turn: 12.0,
    zoom: 1.15,
    shift: 0.07,
};

/// Range of the blur of a look, in pixels of the fine crop: small photographs are blurred already.
const SMALL_BLUR: std::ops::Range<f32> = 0.8..1.8;
const LARGE_BLUR: std::ops::Range<f32> = 2.2..3.4;

/// A coarse look and its head.
#[derive(Module, Debug)]
pub(super) struct ExpressionPupil {
    pub backbone: Backbone,
    pub head: ExpressionHead,
}

/// Coarse looks and what they show, as distributions.
struct Batch {
    looks: Vec<f32>,
    wanted: Vec<f32>,
}

/// Trains the coarse look, resuming from `dir`.
pub(super) fn train_expressions(
    faces: &AuFaces,
    network: &AuNetworkConfig,
    run: &RunConfig,
    dir: &Path,
    device: &Device,
    report: impl FnMut(&Progress),
) -> Result<ExpressionPupil, TrainError> {
    let sides = (network.encoder.side, network.encoder.coarse_side);
    let mut host = HostBackbone::new(&network.encoder.coarse, sides.1);
    let recipe = Recipe {
        batch: |step| make_batch(faces, run, sides, step),
        gradients: |pupil: &ExpressionPupil, batch: Batch| {
            let wanted = TensorData::new(batch.wanted, [run.batch, Expression::COUNT]);
            let wanted = Tensor::<2>::from_data(wanted, device);
            let loss = |features| {
                let found = log_softmax(pupil.head.forward(features), 1);
                (found * wanted).sum().neg() / run.batch as f32
            };
            host.step((pupil, &pupil.backbone), &batch.looks, device, loss)
        },
        marker: std::marker::PhantomData,
    };
    let pupil = ExpressionPupil {
        backbone: network.encoder.coarse.init(device),
        head: network.expression_head(device),
    };
    train(pupil, run, dir, recipe, report)
}

fn make_batch(faces: &AuFaces, run: &RunConfig, sides: (usize, usize), step: usize) -> Batch {
    let rows: Vec<_> = (0..run.batch)
        .into_par_iter()
        .map(|row| {
            let mut rng = row_rng(run, step, row);
            let small = row % 8 < FER_SHARE && !faces.fer.is_empty();
            let pool = if small { &faces.fer } else { &faces.wild };
            let face = &pool[rng.random_range(0..pool.len())];
            let blur = rng.random_range(if small { SMALL_BLUR } else { LARGE_BLUR });
            (look(face, sides, blur, &mut rng), smoothed(face.expression))
        })
        .collect();
    let (looks, wanted): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    Batch {
        looks: looks.concat(),
        wanted: wanted.concat(),
    }
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

/// The label as a distribution; all zero without a label.
fn smoothed(expression: Option<Expression>) -> Vec<f32> {
    let Some(expression) = expression else {
        return vec![0.0; Expression::COUNT];
    };
    let mut wanted = vec![SMOOTHING / Expression::COUNT as f32; Expression::COUNT];
    wanted[expression.index()] += 1.0 - SMOOTHING;
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_distributions() {
        let sum: f32 = smoothed(Some(Expression::Fear)).iter().sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert!(smoothed(None).iter().all(|&p| p == 0.0));
    }

    #[test]
    fn the_same_step_gives_the_same_looks() {
        let faces = super::super::data::tests::faces();
        let run = RunConfig::new(10, 16, 1e-3);
        let looks = |step| make_batch(&faces, &run, (48, 16), step).looks;
        assert_eq!(looks(3), looks(3));
        assert_ne!(looks(3), looks(4));
        assert_eq!(looks(1).len(), 16 * 16 * 16);
    }
}
