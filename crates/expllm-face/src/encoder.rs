//! Two looks at an aligned face: a fine one for movements, a coarse one for the expression.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::backbone::{Backbone, BackboneConfig};

/// Deviation of the blur of the coarse look, in pixels of the fine crop.
///
/// It leaves about as much detail as the most blurred faces that the expression is learnt from,
/// so that sharp and blurred photographs look alike.
pub const COARSE_BLUR: f32 = 4.1;

/// Keeps a nearly flat coarse look from being blown up to full contrast.
const COARSE_FLOOR: f32 = 0.01;

/// Sizes of a [`FaceEncoder`].
#[derive(Config, Debug, PartialEq)]
pub struct FaceEncoderConfig {
    /// Side of the fine crop in pixels.
    #[config(default = 96)]
    pub side: usize,
    /// Side of the coarse look in pixels.
    #[config(default = 32)]
    pub coarse_side: usize,
    /// The network of the fine look.
    #[config(
        default = "BackboneConfig::new(vec![16, 32], vec![64, 128], vec![3, 2]).with_grid(3)"
    )]
    pub fine: BackboneConfig,
    /// The network of the coarse look.
    #[config(default = "BackboneConfig::new(vec![32], vec![64, 128], vec![2, 1]).with_grid(2)")]
    pub coarse: BackboneConfig,
}

/// Two residual networks over one crop of an aligned face.
#[derive(Module, Debug)]
pub struct FaceEncoder {
    fine: Backbone,
    coarse: Backbone,
    side: usize,
    coarse_side: usize,
}

impl FaceEncoderConfig {
    /// Cells of both looks together; both have [`BackboneConfig::channels`] numbers each.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.fine.grid * self.fine.grid + self.coarse.grid * self.coarse.grid
    }

    /// An encoder with random weights.
    #[must_use]
    pub fn init(&self, device: &Device) -> FaceEncoder {
        FaceEncoder {
            fine: self.fine.init(device),
            coarse: self.coarse.init(device),
            side: self.side,
            coarse_side: self.coarse_side,
        }
    }
}

impl FaceEncoder {
    /// Features of the fine look.
    ///
    /// # Shapes
    /// - `crops`: `[batch, 1, side, side]`, standardised grey
    /// - output: `[batch, fine.features()]`
    #[must_use]
    pub fn fine(&self, crops: Tensor<4>) -> Tensor<2> {
        self.fine.forward(crops)
    }

    /// Features of the coarse look at the same crops.
    ///
    /// # Shapes
    /// - `crops`: `[batch, 1, side, side]`, standardised grey
    /// - output: `[batch, coarse.features()]`
    #[must_use]
    pub fn coarse(&self, crops: Tensor<4>) -> Tensor<2> {
        self.coarse.forward(self.look_coarsely(crops))
    }

    /// The cells of both looks as a sequence: the fine grid row by row from the top, then the
    /// coarse one.
    ///
    /// # Shapes
    /// - `crops`: `[batch, 1, side, side]`, standardised grey
    /// - output: `[batch, cells, channels]`
    #[must_use]
    pub fn cells(&self, crops: Tensor<4>) -> Tensor<3> {
        let coarse = self.coarse.cells(self.look_coarsely(crops.clone()));
        Tensor::cat(vec![self.fine.cells(crops), coarse], 1)
    }

    /// The networks of the fine and the coarse look.
    #[must_use]
    pub fn backbones(&self) -> (&Backbone, &Backbone) {
        (&self.fine, &self.coarse)
    }

    /// The same encoder with other networks.
    #[must_use]
    pub fn with_backbones(mut self, fine: Backbone, coarse: Backbone) -> Self {
        (self.fine, self.coarse) = (fine, coarse);
        self
    }

    fn look_coarsely(&self, crops: Tensor<4>) -> Tensor<4> {
        let device = crops.device();
        let (fine, coarse) = (self.side, self.coarse_side);
        let shrink = shrinking(fine, coarse, COARSE_BLUR);
        let rows = TensorData::new(shrink, [1, 1, coarse, fine]);
        let rows = Tensor::<4>::from_data(rows, &device);
        let small = rows.clone().matmul(crops).matmul(rows.swap_dims(2, 3));
        let flat: Tensor<2> = small.flatten(1, 3);
        let mean = flat.clone().mean_dim(1);
        let flat = flat - mean;
        let variance = flat.clone().powi_scalar(2).mean_dim(1);
        let [batch, _] = flat.dims();
        (flat / (variance + COARSE_FLOOR).sqrt()).reshape([batch, 1, coarse, coarse])
    }
}

/// The matrix `[to, from]` that shrinks a line of pixels, blurring it by a normal distribution of
/// `blur` pixels of the line; beyond the ends nothing is counted.
#[must_use]
pub fn shrinking(from: usize, to: usize, blur: f32) -> Vec<f32> {
    let ratio = from as f32 / to as f32;
    let mut matrix = vec![0.0; to * from];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let centre = (i as f32 + 0.5) * ratio - 0.5;
        for (x, weight) in row.iter_mut().enumerate() {
            *weight = (-((x as f32 - centre) / blur).powi(2) / 2.0).exp();
        }
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|weight| *weight /= sum);
    }
    matrix
}

/// The coarse look at one crop of `side` pixels, `to` pixels wide and high: what
/// [`FaceEncoder::coarse`] sees when `blur` is [`COARSE_BLUR`].
#[must_use]
pub fn coarse_look(crop: &[f32], side: usize, to: usize, blur: f32) -> Vec<f32> {
    let shrink = shrinking(side, to, blur);
    let mut narrow = vec![0.0; to * side];
    for (line, out) in crop.chunks_exact(side).zip(narrow.chunks_exact_mut(to)) {
        for (o, weights) in out.iter_mut().zip(shrink.chunks_exact(side)) {
            *o = line.iter().zip(weights).map(|(v, w)| v * w).sum();
        }
    }
    let mut small = vec![0.0; to * to];
    for (out, weights) in small.chunks_exact_mut(to).zip(shrink.chunks_exact(side)) {
        for (line, &weight) in narrow.chunks_exact(to).zip(weights) {
            if weight > 1e-6 {
                out.iter_mut().zip(line).for_each(|(o, v)| *o += weight * v);
            }
        }
    }
    let n = small.len() as f32;
    let mean = small.iter().sum::<f32>() / n;
    let variance = small.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
    let scale = 1.0 / (variance + COARSE_FLOOR).sqrt();
    small.iter_mut().for_each(|v| *v = (*v - mean) * scale);
    small
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::default_device;

    #[test]
    fn both_ways_to_look_coarsely_agree() {
        let device = default_device();
        let config = FaceEncoderConfig::new().with_side(48).with_coarse_side(16);
        let crop: Vec<f32> = (0..48 * 48).map(|i| (i as f32 * 0.37).sin()).collect();
        let data = TensorData::new(crop.clone(), [1, 1, 48, 48]);
        let encoder = config.init(&device);
        let seen = encoder.look_coarsely(Tensor::from_data(data, &device));
        let seen: Vec<f32> = seen.into_data().try_to_vec().unwrap();
        for (a, b) in coarse_look(&crop, 48, 16, COARSE_BLUR).iter().zip(&seen) {
            assert!((a - b).abs() < 1e-3, "{a} is not {b}");
        }
    }

    #[test]
    fn a_flat_face_stays_flat_and_cells_are_counted() {
        let device = default_device();
        let config = FaceEncoderConfig::new();
        assert!(
            coarse_look(&[3.0; 96 * 96], 96, 32, 2.0)
                .iter()
                .all(|v| v.abs() < 1e-3)
        );
        let cells = config
            .init(&device)
            .cells(Tensor::zeros([2, 1, 96, 96], &device));
        assert_eq!(cells.dims(), [2, config.cells(), config.fine.channels()]);
    }
}
