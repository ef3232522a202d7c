//! Agreement of two series of numbers: errors, correlations, intraclass correlations.

use serde::{Deserialize, Serialize};

use crate::MetricError;
use crate::error::{check_finite, check_lengths};

/// Moments of pairs (truth `x`, prediction `y`); one pass in constant memory.
///
/// Means and sums of squares are updated as by Welford (1962) and merged as by Chan, Golub and
/// LeVeque (1979), so that large offsets do not cancel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    n: u64,
    mean_x: f64,
    mean_y: f64,
    /// Sum of squared deviations of x, of y, and of their products.
    sxx: f64,
    syy: f64,
    sxy: f64,
    absolute: f64,
    squared: f64,
}

impl Agreement {
    /// The moments of two lists.
    ///
    /// # Errors
    ///
    /// [`MetricError::LengthMismatch`] or [`MetricError::NotFinite`].
    pub fn from_slices(truth: &[f64], prediction: &[f64]) -> Result<Self, MetricError> {
        check_lengths("truth and prediction", truth.len(), prediction.len())?;
        check_finite("truth", truth)?;
        check_finite("prediction", prediction)?;
        let mut moments = Self::default();
        for (&x, &y) in truth.iter().zip(prediction) {
            moments.push(x, y);
        }
        Ok(moments)
    }

    /// Adds one pair.
    ///
    /// # Errors
    ///
    /// [`MetricError::NotFinite`]; the pair is then not counted.
    pub fn add(&mut self, truth: f64, prediction: f64) -> Result<(), MetricError> {
        let index = usize::try_from(self.n).unwrap_or(usize::MAX);
        for (what, value) in [("truth", truth), ("prediction", prediction)] {
            if !value.is_finite() {
                return Err(MetricError::NotFinite { what, index });
            }
        }
        self.push(truth, prediction);
        Ok(())
    }

    fn push(&mut self, x: f64, y: f64) {
        self.n += 1;
        let n = self.n as f64;
        let (dx, dy) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += dx / n;
        self.mean_y += dy / n;
        self.sxx += dx * (x - self.mean_x);
        self.syy += dy * (y - self.mean_y);
        self.sxy += dx * (y - self.mean_y);
        self.absolute += (x - y).abs();
        self.squared += (x - y) * (x - y);
    }

    /// Adds the pairs of another shard.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        let (a, b) = (self.n as f64, other.n as f64);
        let (dx, dy) = (other.mean_x - self.mean_x, other.mean_y - self.mean_y);
        let weight = a * b / (a + b);
        self.sxx += other.sxx + dx * dx * weight;
        self.syy += other.syy + dy * dy * weight;
        self.sxy += other.sxy + dx * dy * weight;
        self.mean_x += dx * b / (a + b);
        self.mean_y += dy * b / (a + b);
        self.n += other.n;
        self.absolute += other.absolute;
        self.squared += other.squared;
    }

    /// Pairs counted.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Mean absolute error; `None` without pairs.
    #[must_use]
    pub fn mae(&self) -> Option<f64> {
        (self.n > 0).then(|| self.absolute / self.n as f64)
    }

    /// Mean squared error; `None` without pairs.
    #[must_use]
    pub fn mse(&self) -> Option<f64> {
        (self.n > 0).then(|| self.squared / self.n as f64)
    }

    /// Pearson's correlation; `None` when one side does not vary.
    #[must_use]
    pub fn pcc(&self) -> Option<f64> {
        let spread = self.sxx.sqrt() * self.syy.sqrt();
        (spread > 0.0).then(|| (self.sxy / spread).clamp(-1.0, 1.0))
    }

    /// Lin's concordance `2 cov / (var x + var y + (mean x - mean y)^2)` with population
    /// moments; `None` without pairs and when both sides are the same constant.
    #[must_use]
    pub fn ccc(&self) -> Option<f64> {
        let n = self.n as f64;
        let shift = self.mean_x - self.mean_y;
        let whole = self.sxx + self.syy + n * shift * shift;
        (self.n > 0 && whole > 0.0).then(|| 2.0 * self.sxy / whole)
    }

    /// ICC(3,1), two-way mixed, single, consistency (Shrout and Fleiss 1979):
    /// `(MSR - MSE) / (MSR + MSE)` for two raters. `None` with fewer than two pairs and when
    /// nothing varies.
    #[must_use]
    pub fn icc3(&self) -> Option<f64> {
        let (rows, error, _) = self.mean_squares()?;
        (rows + error > 0.0).then(|| (rows - error) / (rows + error))
    }

    /// ICC(2,1), two-way random, single, absolute agreement:
    /// `(MSR - MSE) / (MSR + MSE + 2 (MSC - MSE) / n)`. `None` as for [`Agreement::icc3`].
    #[must_use]
    pub fn icc2(&self) -> Option<f64> {
        let (rows, error, columns) = self.mean_squares()?;
        let whole = rows + error + 2.0 * (columns - error) / self.n as f64;
        (whole > 0.0).then(|| (rows - error) / whole)
    }

    /// Mean squares between rows, of the error, and between the two columns.
    fn mean_squares(&self) -> Option<(f64, f64, f64)> {
        if self.n < 2 {
            return None;
        }
        let free = (self.n - 1) as f64;
        let rows = (self.sxx + self.syy + 2.0 * self.sxy) / 2.0 / free;
        let error = (self.sxx + self.syy - 2.0 * self.sxy).max(0.0) / 2.0 / free;
        let shift = self.mean_x - self.mean_y;
        Some((rows, error, self.n as f64 * shift * shift / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn constants_and_bad_numbers_have_no_correlation() {
        let flat = Agreement::from_slices(&[2.0; 3], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(flat.pcc(), None);
        assert_eq!(flat.ccc(), Some(0.0));
        let same = Agreement::from_slices(&[2.0; 3], &[2.0; 3]).unwrap();
        assert_eq!((same.ccc(), same.icc3(), same.icc2()), (None, None, None));
        assert_eq!(Agreement::default().mse(), None);
        assert!(Agreement::from_slices(&[f64::NAN], &[0.0]).is_err());
        assert!(Agreement::default().add(0.0, f64::INFINITY).is_err());
    }

    proptest! {
        #[test]
        fn shards_merge_to_the_whole(pairs in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 3..50), cut in 0usize..50) {
            let cut = cut.min(pairs.len());
            let (x, y): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let whole = Agreement::from_slices(&x, &y).unwrap();
            let mut merged = Agreement::from_slices(&x[..cut], &y[..cut]).unwrap();
            merged.merge(&Agreement::from_slices(&x[cut..], &y[cut..]).unwrap());
            for (a, b) in [(merged.pcc(), whole.pcc()), (merged.icc2(), whole.icc2()), (merged.mse(), whole.mse())] {
                prop_assert!((a.unwrap() - b.unwrap()).abs() < 1e-9);
            }
            // Swapping truth and prediction changes none of the symmetric measures.
            let swapped = Agreement::from_slices(&y, &x).unwrap();
            prop_assert!((swapped.ccc().unwrap() - whole.ccc().unwrap()).abs() < 1e-12);
        }
    }
}
