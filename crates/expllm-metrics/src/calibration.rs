//! How far confidences can be trusted.

use serde::{Deserialize, Serialize};

use crate::MetricError;

/// One bar of a reliability diagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Samples in the bin.
    pub n: u64,
    /// Of these, correct ones.
    pub correct: u64,
    /// Sum of their confidences.
    pub confidence: f64,
}

/// Confidence of the answer against its correctness in bins of equal width; a streaming
/// accumulator. Bin `i` of `b` holds confidences in `(i/b, (i+1)/b]`, the first one also 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    bins: Vec<ReliabilityBin>,
    brier: f64,
    n: u64,
}

impl Calibration {
    /// An empty accumulator; the usual number of bins is 15 (Guo et al. 2017). At least one.
    #[must_use]
    pub fn new(bins: usize) -> Self {
        Self {
            bins: vec![ReliabilityBin::default(); bins.max(1)],
            brier: 0.0,
            n: 0,
        }
    }

    /// Counts one sample from the probability of each class; the answer is the likeliest class,
    /// the lower of equal ones.
    ///
    /// # Errors
    ///
    /// [`MetricError::NotAProbability`] or [`MetricError::ClassOutOfRange`]; the sample is then
    /// not counted.
    pub fn add(&mut self, truth: usize, probabilities: &[f64]) -> Result<(), MetricError> {
        if let Some(&p) = probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return Err(MetricError::NotAProbability(p));
        }
        if truth >= probabilities.len() {
            let classes = probabilities.len();
            let found = truth;
            return Err(MetricError::ClassOutOfRange { found, classes });
        }
        let mut answer = 0;
        for (class, &p) in probabilities.iter().enumerate() {
            if p > probabilities[answer] {
                answer = class;
            }
            let wanted = f64::from(u8::from(class == truth));
            self.brier += (p - wanted) * (p - wanted);
        }
        let confidence = probabilities[answer];
        let count = self.bins.len();
        let bin = (confidence * count as f64).ceil() as usize;
        let bin = &mut self.bins[bin.clamp(1, count) - 1];
        bin.n += 1;
        bin.correct += u64::from(answer == truth);
        bin.confidence += confidence;
        self.n += 1;
        Ok(())
    }

    /// Adds the samples of another shard.
    ///
    /// # Errors
    ///
    /// [`MetricError::ShapeMismatch`] when the number of bins differs.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if self.bins.len() != other.bins.len() {
            return Err(MetricError::ShapeMismatch {
                what: "bins",
                left: self.bins.len(),
                right: other.bins.len(),
            });
        }
        for (mine, theirs) in self.bins.iter_mut().zip(&other.bins) {
            mine.n += theirs.n;
            mine.correct += theirs.correct;
            mine.confidence += theirs.confidence;
        }
        self.brier += other.brier;
        self.n += other.n;
        Ok(())
    }

    /// The bins from low to high confidence.
    #[must_use]
    pub fn bins(&self) -> &[ReliabilityBin] {
        &self.bins
    }

    /// Expected calibration error: the mean over samples of their bin's distance between
    /// accuracy and mean confidence; `None` without samples.
    #[must_use]
    pub fn ece(&self) -> Option<f64> {
        ece_of(&self.bins)
    }

    /// Brier score of many classes: the mean over samples of the squared distance between the
    /// probabilities and the one-hot truth, 0 to 2; `None` without samples.
    #[must_use]
    pub fn brier(&self) -> Option<f64> {
        (self.n > 0).then(|| self.brier / self.n as f64)
    }
}

pub(crate) fn ece_of(bins: &[ReliabilityBin]) -> Option<f64> {
    let n: u64 = bins.iter().map(|b| b.n).sum();
    let gap: f64 = bins
        .iter()
        .map(|b| (b.correct as f64 - b.confidence).abs())
        .sum();
    (n > 0).then(|| gap / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perfect_and_worst_forecasts() {
        let mut sure = Calibration::new(10);
        sure.add(0, &[1.0, 0.0]).unwrap();
        assert_eq!((sure.ece(), sure.brier()), (Some(0.0), Some(0.0)));
        sure.add(1, &[1.0, 0.0]).unwrap();
        assert_eq!((sure.ece(), sure.brier()), (Some(0.5), Some(1.0)));
        assert_eq!(sure.bins()[9].n, 2);
        assert_eq!(Calibration::new(0).ece(), None);
    }

    #[test]
    fn bad_samples_are_not_counted() {
        let mut empty = Calibration::new(5);
        assert!(empty.add(0, &[f64::NAN, 0.0]).is_err());
        assert!(empty.add(2, &[0.5, 0.5]).is_err());
        assert!(empty.merge(&Calibration::new(6)).is_err());
        assert_eq!(empty, Calibration::new(5));
    }
}
