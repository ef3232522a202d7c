//! Bicubic resampling of the position embedding.

use burn::tensor::{DType, Tensor, TensorData};

/// What the authors add to the wanted grid before they divide by the stored one, so that
/// rounding never loses a row. The quotient drives the coordinate map, so it matters.
const GRID_OFFSET: f64 = 0.1;

/// Sharpness of the cubic kernel in PyTorch.
const A: f64 = -0.75;

/// The weights that turn a square grid of embeddings into one of another size.
///
/// Reproduces `interpolate(mode="bicubic", scale_factor=(to + 0.1) / from)` of PyTorch
/// (`align_corners` false, no antialiasing): there the factor, not the ratio of the sizes, sets
/// the distance between sample points.
#[derive(Debug, Clone, PartialEq)]
pub struct PositionResampler {
    from: usize,
    to: usize,
    /// `[to, from]`, row major; empty when the grids are equal.
    weights: Vec<f32>,
}

impl PositionResampler {
    /// Weights from a grid of `from` x `from` to one of `to` x `to`; no side is zero.
    #[must_use]
    pub fn new(from: usize, to: usize) -> Self {
        let mut weights = Vec::new();
        if from != to {
            weights = vec![0.0; from * to];
            let step = from as f64 / (to as f64 + GRID_OFFSET);
            for (target, row) in weights.chunks_exact_mut(from).enumerate() {
                fill_row(row, (target as f64 + 0.5) * step - 0.5);
            }
        }
        Self { from, to, weights }
    }

    /// Resamples the positions of a grid behind that of the class token.
    ///
    /// # Shapes
    ///
    /// `[1, 1 + from * from, width]` to `[1, 1 + to * to, width]`.
    #[must_use]
    pub fn with_class(&self, stored: Tensor<3>) -> Tensor<3> {
        let [_, positions, _] = stored.dims();
        let class = stored.clone().narrow(1, 0, 1);
        let grid = stored.narrow(1, 1, positions - 1).squeeze_dim(0);
        Tensor::cat(vec![class, self.forward(grid).unsqueeze()], 1)
    }

    /// Resamples along both sides.
    ///
    /// # Shapes
    ///
    /// `[from * from, width]` to `[to * to, width]`.
    #[must_use]
    pub fn forward(&self, grid: Tensor<2>) -> Tensor<2> {
        if self.weights.is_empty() {
            return grid;
        }
        let Self { from, to, .. } = *self;
        let dtype = grid.dtype();
        let [_, width] = grid.dims();
        let data = TensorData::new(self.weights.clone(), [to, from]);
        let weights = Tensor::<2>::from_data(data, (&grid.device(), DType::F32));
        // Along x: every row of the grid is a batch entry.
        let rows = grid.cast(DType::F32).reshape([from, from, width]);
        let narrow = weights.clone().unsqueeze::<3>().matmul(rows);
        // Along y.
        let columns = narrow.reshape([from, to * width]);
        weights
            .matmul(columns)
            .reshape([to * to, width])
            .cast(dtype)
    }
}

/// Adds the four kernel weights around `centre` into a row; samples beyond the edge repeat it.
fn fill_row(row: &mut [f32], centre: f64) {
    let base = centre.floor();
    let t = centre - base;
    let last = row.len() as i64 - 1;
    for (tap, weight) in [outer(t + 1.0), inner(t), inner(1.0 - t), outer(2.0 - t)]
        .into_iter()
        .enumerate()
    {
        let index = (base as i64 + tap as i64 - 1).clamp(0, last);
        row[index as usize] += weight as f32;
    }
}

/// The kernel at a distance of at most 1.
fn inner(x: f64) -> f64 {
    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
}

/// The kernel at a distance from 1 to 2.
fn outer(x: f64) -> f64 {
    ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_a_sample_sum_to_one() {
        for (from, to) in [(37, 16), (7, 4), (4, 9), (2, 3)] {
            let resampler = PositionResampler::new(from, to);
            for row in resampler.weights.chunks_exact(from) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_scale_factor_sets_the_step() {
        // 37 / 16.1 = 2.298: the last of 16 samples lies at 15.5 * 2.298 - 0.5 = 35.12, so
        // its taps are 34 to 37, the last one folded onto the edge.
        let resampler = PositionResampler::new(37, 16);
        let last = &resampler.weights[15 * 37..];
        assert!(
            last[35] > 0.9 && last[33] == 0.0 && last[34] != 0.0,
            "{last:?}"
        );
    }

    #[test]
    fn equal_grids_pass_through() {
        assert!(PositionResampler::new(16, 16).weights.is_empty());
    }
}
