use burn::tensor::Shape;
use expllm_face::device::default_device;

use super::*;

/// How often weights are drawn anew before two ways are said to differ.
const DRAWS: usize = 4;

/// Whether two tensors say the same.
type Same = fn(&[f32], &[f32]) -> bool;

fn crops(batch: usize, side: usize) -> Vec<f32> {
    (0..batch * side * side)
        .map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) + (i as f32 * 0.01).sin())
        .collect()
}

/// Features and gradients of `sum(features * direction)` agree with burn's own: exact sums to
/// one in five thousand, tiles in direction.
fn agrees(config: &BackboneConfig, side: usize) {
    agrees_once(config, side, BackboneByHand::exact, close);
    agrees_once(config, side, BackboneByHand::new, along);
}

/// A rectifier whose input is next to zero may be on for one way and off for the other, which
/// changes a gradient by far more than rounding does. Such weights are rare, a fault is in all of
/// them: so one of a few random draws has to agree.
fn agrees_once(
    config: &BackboneConfig,
    side: usize,
    plan: fn(&BackboneConfig, usize) -> BackboneByHand,
    same: Same,
) {
    let found: Vec<String> = (0..DRAWS)
        .map_while(|_| differs(config, side, plan(config, side), same))
        .collect();
    assert!(found.len() < DRAWS, "{found:?}");
}

/// What differs from burn with weights that are drawn here.
fn differs(
    config: &BackboneConfig,
    side: usize,
    mut by_hand: BackboneByHand,
    same: Same,
) -> Option<String> {
    let device = default_device().autodiff();
    let network = config.init(&device);
    // A whole group and a part of another.
    let (batch, width) = (FACES + 3, config.features());
    let crops = crops(batch, side);
    let direction: Vec<f32> = (0..batch * width).map(|i| (i as f32 * 0.7).cos()).collect();

    let faces = TensorData::new(crops.clone(), [batch, 1, side, side]);
    let features = network.forward(Tensor::from_data(faces, &device));
    let along = TensorData::new(direction.clone(), [batch, width]);
    let loss = (features.clone() * Tensor::from_data(along, &device)).sum();
    let expected = GradientsParams::from_grads(loss.backward(), &network);

    let weights = BackboneWeights::read(&network);
    let found = by_hand.forward(&weights, &crops);
    let wanted: Vec<f32> = features.into_data().try_to_vec().unwrap();
    if !same(&found, &wanted) {
        return Some("features".into());
    }
    let mut gradients = GradientsParams::new();
    let sums = by_hand.backward(&weights, &crops, &direction);
    sums.register(&mut gradients, &device.clone().inner());
    assert_eq!(gradients.len(), expected.len());
    let different = |(id, shape): &&(burn::module::ParamId, Shape)| {
        let numbers = |from: &GradientsParams| -> Vec<f32> {
            let data = match shape.rank() {
                4 => from.get::<4>(*id).unwrap().into_data(),
                _ => from.get::<1>(*id).unwrap().into_data(),
            };
            data.try_to_vec().unwrap()
        };
        !same(&numbers(&gradients), &numbers(&expected))
    };
    let (_, shape) = weights.tensors.iter().find(different)?;
    Some(format!("{shape:?}"))
}

fn close(found: &[f32], wanted: &[f32]) -> bool {
    let most = wanted.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    let mut pairs = found.iter().zip(wanted);
    found.len() == wanted.len() && pairs.all(|(a, b)| (a - b).abs() <= 2e-4 * most)
}

/// Whether two gradients point the same way. Numbers of bf16 err by one in 256, and the
/// rectifiers that they turn on and off add to that.
fn along(found: &[f32], wanted: &[f32]) -> bool {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosine = dot(found, wanted) / (dot(found, found) * dot(wanted, wanted)).sqrt();
    found.len() == wanted.len() && cosine > 0.97
}

#[test]
fn gradients_equal_those_of_the_framework() {
    let config = BackboneConfig::new(vec![8, 16], vec![16, 24], vec![2, 1]).with_grid(2);
    agrees(&config, 40);
    // Sides that do not halve evenly, and a grid that does not divide the map.
    agrees(&config.clone().with_grid(3), 50);
    agrees(&BackboneConfig::new(vec![8], vec![16], vec![1]), 13);
}
