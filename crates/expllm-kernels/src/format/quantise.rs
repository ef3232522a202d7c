//! Choosing scales.

use super::BLOCK;

/// Steps of a 4-bit number.
const STEPS: f32 = 15.0;

/// How far the first step size is varied, in steps over the range of the block.
const TRIALS: [f32; 7] = [-0.6, -0.3, 0.0, 0.3, 0.6, 0.9, 1.2];

/// `weight = scale * q - offset` with `q` from 0 to 15; neither is negative.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Affine {
    pub(super) scale: f32,
    pub(super) offset: f32,
}

/// Added and taken away again, it rounds numbers below four million to whole ones.
const ROUNDING: f32 = 12_582_912.0;

impl Affine {
    /// The pair with a small squared error: for several step sizes the numbers are rounded and
    /// the best line through them is taken.
    pub(super) fn fit(block: &[f32; BLOCK]) -> Self {
        let low = block.iter().copied().fold(0.0_f32, f32::min);
        let high = block.iter().copied().fold(f32::MIN, f32::max);
        if high <= low {
            return Self {
                scale: 0.0,
                offset: -low,
            };
        }
        let plain = Self {
            scale: high / STEPS - low / STEPS,
            offset: -low,
        };
        let range = high - low;
        let mut best = plain;
        let mut smallest = best.error(block);
        for trial in TRIALS {
            let start = Self {
                scale: range / (STEPS + trial),
                offset: -low,
            };
            let candidate = start.refit(block);
            let error = candidate.error(block);
            // Sums of huge squares are no numbers; then the plain range stands.
            if error < smallest {
                (best, smallest) = (candidate, error);
            }
        }
        best
    }

    /// From the smallest number, or zero, to the largest in `steps` steps.
    pub(super) fn range(block: &[f32; BLOCK], steps: f32) -> Self {
        let low = block.iter().copied().fold(0.0_f32, f32::min);
        let high = block.iter().copied().fold(f32::MIN, f32::max);
        Self {
            scale: (high / steps - low / steps).max(0.0),
            offset: -low,
        }
    }

    /// The nearest of the 16 values.
    pub(super) fn round(self, weight: f32) -> u8 {
        self.level(self.inverse(), weight) as u8
    }

    fn inverse(self) -> f32 {
        match self.scale > 0.0 {
            true => (1.0 / self.scale).min(f32::MAX),
            false => 0.0,
        }
    }

    /// As `round`, written so that compilers take several numbers at once.
    #[inline(always)]
    fn level(self, inverse: f32, weight: f32) -> f32 {
        let exact = ((weight + self.offset) * inverse).clamp(0.0, STEPS);
        (exact + ROUNDING) - ROUNDING
    }

    fn error(self, block: &[f32; BLOCK]) -> f32 {
        let inverse = self.inverse();
        let mut sums = [0.0_f32; 8];
        for weights in block.as_chunks::<8>().0 {
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                let found = self.scale * self.level(inverse, weight) - self.offset;
                *sum += (found - weight) * (found - weight);
            }
        }
        sums.iter().sum()
    }

    /// Least squares of the weights over their rounded values; an offset below zero becomes zero.
    fn refit(self, block: &[f32; BLOCK]) -> Self {
        let inverse = self.inverse();
        let mut sums = [[0.0_f32; 8]; 4];
        for weights in block.as_chunks::<8>().0 {
            for (lane, &weight) in weights.iter().enumerate() {
                let q = self.level(inverse, weight);
                sums[0][lane] += q;
                sums[1][lane] += q * q;
                sums[2][lane] += weight;
                sums[3][lane] += q * weight;
            }
        }
        let [q_sum, qq_sum, w_sum, qw_sum] = sums.map(|lanes| lanes.iter().sum::<f32>());
        let count = BLOCK as f32;
        let spread = count * qq_sum - q_sum * q_sum;
        if spread <= 0.0 {
            return self;
        }
        let scale = (count * qw_sum - q_sum * w_sum) / spread;
        let offset = (scale * q_sum - w_sum) / count;
        let fitted = if offset < 0.0 {
            Self {
                scale: qw_sum / qq_sum,
                offset: 0.0,
            }
        } else {
            Self { scale, offset }
        };
        match fitted.scale.is_finite() && fitted.offset.is_finite() && fitted.scale > 0.0 {
            true => fitted,
            false => self,
        }
    }
}

/// Largest magnitude of a block.
pub(super) fn largest(block: &[f32]) -> f32 {
    block.iter().fold(0.0, |largest, w| w.abs().max(largest))
}

/// The number of the largest magnitude, with its sign.
pub(super) fn extreme(block: &[f32]) -> f32 {
    let larger = |a: f32, b: &f32| if b.abs() > a.abs() { *b } else { a };
    block.iter().fold(0.0, larger)
}

/// A row cut into blocks, the last one filled up with zeros.
pub(super) fn blocks(row: &[f32]) -> impl Iterator<Item = [f32; BLOCK]> + '_ {
    row.chunks(BLOCK).map(|chunk| {
        let mut block = [0.0; BLOCK];
        block[..chunk.len()].copy_from_slice(chunk);
        block
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitted_lines_beat_the_plain_range() {
        let mut block = [0.0_f32; BLOCK];
        for (index, weight) in block.iter_mut().enumerate() {
            *weight = ((index * 37 % 32) as f32 / 16.0 - 1.0).powi(3);
        }
        let plain = Affine {
            scale: 2.0 / STEPS,
            offset: 1.0,
        };
        assert!(Affine::fit(&block).error(&block) < plain.error(&block));
    }

    #[test]
    fn constant_and_positive_blocks_are_exact_enough() {
        let zero = Affine::fit(&[0.0; BLOCK]);
        assert_eq!(zero.scale * f32::from(zero.round(0.0)) - zero.offset, 0.0);
        let below = Affine::fit(&[-2.5; BLOCK]);
        assert_eq!(
            below.scale * f32::from(below.round(-2.5)) - below.offset,
            -2.5
        );
        let above = Affine::fit(&[3.0; BLOCK]);
        let found = above.scale * f32::from(above.round(3.0)) - above.offset;
        assert!(
            (found - 3.0).abs() < 1e-5 && above.offset == 0.0,
            "{above:?}"
        );
    }
}
