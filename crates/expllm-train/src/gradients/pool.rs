//! Averages of the cells of a grid over the last map.

use super::BackboneByHand;

impl BackboneByHand {
    /// Averages of the cells of the grid, face by face.
    pub(super) fn pool(&self, map: &[f32], faces: usize) -> Vec<f32> {
        let width = self.channels * self.grid * self.grid;
        let mut features = vec![0.0; width * faces];
        for (face, features) in features.chunks_exact_mut(width).enumerate() {
            self.each_cell(face, faces, |feature, position, weight| {
                features[feature] += weight * map[position];
            });
        }
        features
    }

    /// Visits every pair of a feature of a face and a position of the last map that it averages.
    pub(super) fn each_cell(
        &self,
        face: usize,
        faces: usize,
        mut visit: impl FnMut(usize, usize, f32),
    ) {
        let (side, grid) = (self.last_side, self.grid);
        let bounds = |i: usize| (i * side / grid, ((i + 1) * side).div_ceil(grid));
        for channel in 0..self.channels {
            for gy in 0..grid {
                for gx in 0..grid {
                    let ((y0, y1), (x0, x1)) = (bounds(gy), bounds(gx));
                    let weight = 1.0 / ((y1 - y0) * (x1 - x0)) as f32;
                    for y in y0..y1 {
                        for x in x0..x1 {
                            let position = ((channel * faces + face) * side + y) * side + x;
                            visit((channel * grid + gy) * grid + gx, position, weight);
                        }
                    }
                }
            }
        }
    }
}
