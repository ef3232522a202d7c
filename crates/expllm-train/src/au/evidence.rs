//! The last step of the recipe: what action units say of the expression, beside the coarse look.

use burn::module::Module;
use burn::nn::Linear;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::{log_softmax, sigmoid};
use burn::tensor::{Tensor, TensorData};
use expllm_au::{AuNetwork, AuNetworkConfig};
use expllm_core::{ActionUnit, Expression};
use expllm_face::device::reading_device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::data::AuFace;
use super::expressions::{Pool, Shares, smoothed};
use super::units::{JITTER, view_of};
use crate::augment::{degraded_crop, push};

/// Faces looked at together.
const BATCH: usize = 64;

/// Steps over all faces at once.
const STEPS: usize = 600;
const RATE: f64 = 1e-2;
const WEIGHT_DECAY: f32 = 1e-3;

/// Units and the coarse look speak of the same face, so that what one says is no news after the
/// other; their sum would be too sure.
const SHARE: f32 = 0.5;

/// Units of faces and the expressions they show, as distributions.
struct Readings {
    units: Vec<f32>,
    wanted: Vec<f32>,
    rows: usize,
}

/// Adds what units say of the expression, learnt from sharp photographs alone; the coarse look has
/// learnt from them and from many blurred ones.
///
/// Logits are adjusted by the shares of the expressions among the faces, as for the coarse look.
pub(super) fn learn(network: AuNetwork, faces: &[AuFace], sizes: &AuNetworkConfig) -> AuNetwork {
    let pool = Pool::new(faces);
    let readings = read(&network, faces, &pool.shares, sizes.encoder.side);
    if readings.rows == 0 {
        return network;
    }
    let device = reading_device().autodiff();
    let tensor = |values: Vec<f32>, width| {
        Tensor::<2>::from_data(TensorData::new(values, [readings.rows, width]), &device)
    };
    let units = tensor(readings.units, ActionUnit::FEAFA_COUNT);
    let wanted = tensor(readings.wanted, Expression::COUNT);
    let expected = Tensor::<1>::from_floats(pool.shares.map(f32::ln), &device).unsqueeze::<2>();
    let mut optimiser = AdamWConfig::new().with_weight_decay(WEIGHT_DECAY).init();
    let mut evidence: Linear = sizes.evidence(&device);
    for _ in 0..STEPS {
        let found = log_softmax(evidence.forward(units.clone()) + expected.clone(), 1);
        let loss = (found * wanted.clone()).sum().neg() / readings.rows as f32;
        let gradients = GradientsParams::from_grads(loss.backward(), &evidence);
        evidence = optimiser.step(RATE, evidence, gradients);
    }
    network.with_evidence(evidence.valid(), SHARE)
}

/// Two looks at every labelled face, the second one moved and degraded, each plain and mirrored.
fn read(network: &AuNetwork, faces: &[AuFace], shares: &Shares, side: usize) -> Readings {
    let mut readings = Readings {
        units: Vec::new(),
        wanted: Vec::new(),
        rows: 0,
    };
    let labelled: Vec<_> = faces.iter().filter(|f| f.expression.is_some()).collect();
    for (index, batch) in labelled.chunks(BATCH).enumerate() {
        let crops: Vec<Vec<f32>> = batch
            .par_iter()
            .enumerate()
            .flat_map_iter(|(row, face)| {
                let mut rng = ChaCha8Rng::seed_from_u64((index * BATCH + row) as u64);
                let proper = view_of(face, side);
                let strayed = JITTER.apply(&proper, side, &mut rng);
                let degraded = degraded_crop(&face.image, &strayed, side, &mut rng);
                [face.image.crop(&proper, side), degraded]
            })
            .collect();
        let rows = crops.len();
        let mut pixels = Vec::with_capacity(rows * side * side);
        crops.into_iter().for_each(|crop| push(&mut pixels, crop));
        let data = TensorData::new(pixels, [rows, 1, side, side]);
        let crops = Tensor::<4>::from_data(data, &reading_device());
        let units = sigmoid(network.forward(crops).units).into_data();
        let units = units.try_to_vec::<f32>().unwrap_or_default();
        for (units, row) in units.chunks_exact(ActionUnit::FEAFA_COUNT).zip(0..) {
            let face = batch[row / 2];
            let mirrored = ActionUnit::FEAFA.map(|unit| units[unit.mirrored().index()]);
            readings.units.extend(units.iter().chain(&mirrored));
            for _ in 0..2 {
                let wanted = smoothed(face.expression, shares);
                readings.wanted.extend(wanted);
            }
            readings.rows += 2;
        }
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::super::data::tests::faces;
    use super::*;
    use expllm_face::backbone::BackboneConfig;
    use expllm_face::encoder::FaceEncoderConfig;

    #[test]
    fn evidence_changes_expressions_and_leaves_units_alone() {
        let small = || BackboneConfig::new(vec![8], vec![16], vec![1]);
        let encoder = FaceEncoderConfig::new().with_side(32).with_coarse_side(16);
        let sizes =
            AuNetworkConfig::new().with_encoder(encoder.with_fine(small()).with_coarse(small()));
        let network = sizes.init(&reading_device());
        let before = network.clone();
        let after = learn(network, &faces().wild, &sizes);
        let crops = || Tensor::<4>::ones([1, 1, 32, 32], &reading_device());
        let probability = |network: &AuNetwork| {
            let logits = network.forward(crops()).expressions;
            let all = burn::tensor::activation::softmax(logits, 1).into_data();
            all.try_to_vec::<f32>().unwrap()[Expression::Anger.index()]
        };
        assert!(probability(&after) != probability(&before));
        let units = |network: &AuNetwork| network.forward(crops()).units.into_data();
        assert_eq!(units(&after), units(&before));
    }
}
