//! Percentile bootstrap intervals and McNemar's test.

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::calibration::{ReliabilityBin, ece_of};
use crate::{Calibration, Confusion};

/// A figure with its 95 % interval; written as an object with these four keys.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure on the samples themselves.
    pub value: f64,
    /// 2.5th percentile over the resamples.
    pub low: f64,
    /// 97.5th percentile over the resamples.
    pub high: f64,
    /// Samples behind the figure.
    pub n: u64,
}

/// How the intervals are found.
#[derive(Debug, Clone, Copy)]
pub struct Bootstrap {
    /// Resamples; 1,000 is usual.
    pub resamples: usize,
    /// The same seed gives the same interval.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 1_000,
            seed: 0,
        }
    }
}

impl Bootstrap {
    fn rng(&self, resample: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(resample as u64);
        rng
    }

    /// A figure of a confusion matrix.
    ///
    /// Drawing `n` rows with replacement and counting them is the same as drawing the cells of
    /// the matrix from a multinomial distribution, so the cost does not depend on `n`. Resamples
    /// without the figure are left out; `None` when the matrix itself has none.
    pub fn confusion(
        &self,
        matrix: &Confusion,
        figure: impl Fn(&Confusion) -> Option<f64> + Sync,
    ) -> Option<Estimate> {
        let value = figure(matrix)?;
        let drawn = (0..self.resamples).into_par_iter().filter_map(|resample| {
            let cells = multinomial(matrix.cells(), &mut self.rng(resample));
            figure(&Confusion::from_cells(matrix.classes(), cells))
        });
        Some(estimate(value, drawn.collect(), matrix.total()))
    }

    /// The expected calibration error; cells are (bin, correct or not). A resampled bin keeps
    /// the mean confidence that it has in the data.
    #[must_use]
    pub fn ece(&self, calibration: &Calibration) -> Option<Estimate> {
        let value = calibration.ece()?;
        let bins = calibration.bins();
        let cells: Vec<u64> = bins
            .iter()
            .flat_map(|b| [b.correct, b.n - b.correct])
            .collect();
        let drawn = (0..self.resamples).into_par_iter().filter_map(|resample| {
            let cells = multinomial(&cells, &mut self.rng(resample));
            let resampled: Vec<_> = bins
                .iter()
                .zip(cells.chunks(2))
                .map(|(bin, drawn)| {
                    let n = drawn[0] + drawn[1];
                    let mean = bin.confidence / bin.n.max(1) as f64;
                    ReliabilityBin {
                        n,
                        correct: drawn[0],
                        confidence: mean * n as f64,
                    }
                })
                .collect();
            ece_of(&resampled)
        });
        let n = bins.iter().map(|b| b.n).sum();
        Some(estimate(value, drawn.collect(), n))
    }

    /// The mean of one number per sample; `None` without samples.
    #[must_use]
    pub fn mean(&self, values: &[f64]) -> Option<Estimate> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let value = values.iter().sum::<f64>() / n as f64;
        let drawn = (0..self.resamples).into_par_iter().map(|resample| {
            let mut rng = self.rng(resample);
            let sum: f64 = (0..n).filter_map(|_| values.choose(&mut rng)).sum();
            sum / n as f64
        });
        Some(estimate(value, drawn.collect(), n as u64))
    }
}

/// Draws as many samples as there are, cell by cell, each from the binomial of what is left.
fn multinomial(cells: &[u64], rng: &mut ChaCha8Rng) -> Vec<u64> {
    let mut left: u64 = cells.iter().sum();
    let mut weight = left;
    cells
        .iter()
        .map(|&cell| {
            let drawn = match (cell, weight) {
                (0, _) | (_, 0) => 0,
                (cell, weight) if cell == weight => left,
                (cell, weight) => Binomial::new(left, cell as f64 / weight as f64)
                    .map_or(0, |binomial| binomial.sample(rng)),
            };
            weight -= cell;
            left -= drawn;
            drawn
        })
        .collect()
}

fn estimate(value: f64, mut drawn: Vec<f64>, n: u64) -> Estimate {
    drawn.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * drawn.len().saturating_sub(1) as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        match (drawn.get(low), drawn.get(high)) {
            (Some(a), Some(b)) => a + (b - a) * (place - place.floor()),
            _ => value,
        }
    };
    Estimate {
        value,
        low: at(0.025),
        high: at(0.975),
        n,
    }
}

/// McNemar's exact test of two classifiers on the same samples: the two-sided probability of so
/// uneven a split of the samples that only one of them gets right, if both were equally good.
#[must_use]
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let n = only_first + only_second;
    let less = only_first.min(only_second);
    // Terms of the binomial (n, 1/2) from the largest down, relative to it.
    let mut log_choose = 0.0;
    for k in 0..less {
        log_choose += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    let largest = (log_choose - n as f64 * std::f64::consts::LN_2).exp();
    let (mut term, mut sum) = (1.0, 0.0);
    for k in (0..=less).rev() {
        sum += term;
        term *= k as f64 / (n - k + 1) as f64;
    }
    (2.0 * largest * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resamples_keep_their_number_and_mean() {
        let cells = [10, 0, 500, 3, 100_000];
        let total: u64 = cells.iter().sum();
        let mut sums = [0u64; 5];
        for resample in 0..2_000 {
            let drawn = multinomial(&cells, &mut Bootstrap::default().rng(resample));
            assert_eq!(drawn.iter().sum::<u64>(), total);
            for (sum, drawn) in sums.iter_mut().zip(drawn) {
                *sum += drawn;
            }
        }
        for (sum, cell) in sums.iter().zip(cells) {
            let error = *sum as f64 / 2_000.0 - cell as f64;
            assert!(
                error.abs() <= 4.0 * (cell as f64 / 2_000.0).sqrt(),
                "{cell}: {error}"
            );
        }
    }

    #[test]
    fn the_interval_of_accuracy_is_that_of_theory() {
        let mut matrix = Confusion::new(2);
        for index in 0..1_000 {
            matrix
                .add(index % 2, Some(usize::from(index < 300)))
                .unwrap();
        }
        let found = Bootstrap::default()
            .confusion(&matrix, Confusion::accuracy)
            .unwrap();
        let half = 1.96 * (found.value * (1.0 - found.value) / 1_000.0).sqrt();
        assert!(
            (found.high - found.low - 2.0 * half).abs() < 0.1 * half,
            "{found:?}"
        );
        assert_eq!(
            Bootstrap::default().confusion(&matrix, Confusion::accuracy),
            Some(found)
        );
    }

    #[test]
    fn even_splits_say_nothing() {
        assert_eq!(mcnemar(0, 0), 1.0);
        assert_eq!(mcnemar(7, 7), 1.0);
        assert!((mcnemar(0, 10) - 2.0 / 1024.0).abs() < 1e-15);
    }
}
