//! The recipe of the action unit network.
//!
//! Three kinds of faces teach it: synthetic ones with exact intensities, photographed ones with
//! an expression and a face mesh, and small grey ones with an expression alone. Where real
//! intensities are missing, two weak teachers stand in: the geometry of the mesh for eyes and
//! jaw, and the units that FACS links to an expression (see [`weak`]).

mod batch;
mod data;
mod geometry;
mod score;
pub mod weak;

use std::path::Path;

use burn::module::Module;
use burn::tensor::activation::{log_softmax, relu, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};
use expllm_au::{AuNetwork, AuNetworkConfig};
use expllm_core::{ActionUnit, Expression};

use crate::run::{Recipe, train};
use crate::{Progress, RunConfig, TrainError};
use batch::{Batch, make_batch};

pub use data::{AuFace, AuFaces, real_faces, synthetic_faces};
pub use geometry::EyesAndJaw;
pub use score::{AuScores, FacePath, Figure, fit_temperature, score_au};

/// Weight of each part of the loss; the synthetic intensities have weight 1.
const EXPRESSION_WEIGHT: f32 = 0.04;
const WEAK_WEIGHT: f32 = 0.3;

/// Trains an action unit network, resuming from `dir`.
///
/// # Errors
///
/// [`TrainError::Diverged`], or trouble with checkpoints.
pub fn train_au(
    faces: &AuFaces,
    network: &AuNetworkConfig,
    run: &RunConfig,
    dir: &Path,
    device: &Device,
    report: impl FnMut(&Progress),
) -> Result<AuNetwork, TrainError> {
    let device = device.clone().autodiff();
    let side = network.side;
    let groups = weak::group_means(&device);
    let recipe = Recipe {
        batch: |step| make_batch(faces, run, side, step),
        loss: |network: &AuNetwork, batch: Batch| loss(network, batch, side, &groups),
        marker: std::marker::PhantomData,
    };
    Ok(train(network.init(&device), run, dir, recipe, report)?.valid())
}

/// The loss of a batch: squared error of known intensities, cross-entropy of expressions, and
/// how far unit groups lie outside of what the expression allows.
fn loss(network: &AuNetwork, batch: Batch, side: usize, groups: &Tensor<2>) -> Tensor<1> {
    let device = groups.device();
    let rows = batch.rows;
    let tensor = |values: Vec<f32>, width: usize| {
        Tensor::<2>::from_data(TensorData::new(values, [rows, width]), &device)
    };
    let crops = TensorData::new(batch.crops, [rows, 1, side, side]);
    let output = network.forward(Tensor::from_data(crops, &device));
    let units = sigmoid(output.units);

    let weights = tensor(batch.unit_weights, ActionUnit::COUNT);
    let error = (units.clone() - tensor(batch.units, ActionUnit::COUNT)).powi_scalar(2);
    let known = weights.clone().sum() + 1e-6;
    let unit_loss = (error * weights).sum() / known;

    let wanted = tensor(batch.expressions, Expression::COUNT);
    let expression_loss = (log_softmax(output.expressions, 1) * wanted.clone())
        .sum()
        .neg()
        / (wanted.sum() + 1e-6);

    let means = units.matmul(groups.clone());
    let below = relu(tensor(batch.lower, weak::GROUPS) - means.clone());
    let above = relu(means - tensor(batch.upper, weak::GROUPS));
    let weak_loss = (below.powi_scalar(2) + above.powi_scalar(2)).mean();

    unit_loss + expression_loss * EXPRESSION_WEIGHT + weak_loss * WEAK_WEIGHT
}
