//! Occurrence of action units: binary counts and F1.

use serde::{Deserialize, Serialize};

use crate::MetricError;
use crate::error::{check_finite, check_lengths};

/// Counts of one yes-or-no label; a streaming accumulator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// There and found.
    pub true_positives: u64,
    /// Not there but found.
    pub false_positives: u64,
    /// There but not found.
    pub false_negatives: u64,
    /// Not there and not found.
    pub true_negatives: u64,
}

impl Occurrence {
    /// Counts one sample.
    pub fn add(&mut self, truth: bool, prediction: bool) {
        *match (truth, prediction) {
            (true, true) => &mut self.true_positives,
            (false, true) => &mut self.false_positives,
            (true, false) => &mut self.false_negatives,
            (false, false) => &mut self.true_negatives,
        } += 1;
    }

    /// Counts two lists of numbers: a unit occurs when its truth is **at least**
    /// `truth_threshold` (DISFA: 2 of 5) and is found when its prediction is **at least**
    /// `prediction_threshold`. A truth of `None` was not coded and is passed over.
    ///
    /// # Errors
    ///
    /// When lengths differ or a prediction is not finite.
    pub fn from_scores(
        truth: &[Option<f64>],
        prediction: &[f64],
        (truth_threshold, prediction_threshold): (f64, f64),
    ) -> Result<Self, MetricError> {
        check_lengths("truth and prediction", truth.len(), prediction.len())?;
        check_finite("prediction", prediction)?;
        let mut counts = Self::default();
        for (truth, &score) in truth.iter().zip(prediction) {
            if let Some(truth) = truth {
                counts.add(*truth >= truth_threshold, score >= prediction_threshold);
            }
        }
        Ok(counts)
    }

    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: &Self) {
        self.true_positives += other.true_positives;
        self.false_positives += other.false_positives;
        self.false_negatives += other.false_negatives;
        self.true_negatives += other.true_negatives;
    }

    /// Samples counted.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
    }

    /// `2 TP / (2 TP + FP + FN)`; 0 when samples hold no positive on either side (the custom of
    /// AU papers), `None` without samples.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        let hits = 2 * self.true_positives;
        let whole = hits + self.false_positives + self.false_negatives;
        match (self.n(), whole) {
            (0, _) => None,
            (_, 0) => Some(0.0),
            _ => Some(hits as f64 / whole as f64),
        }
    }

    /// Share of samples on which both sides agree; `None` without samples.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let agree = self.true_positives + self.true_negatives;
        (self.n() > 0).then(|| agree as f64 / self.n() as f64)
    }
}

/// Unweighted mean F1 over the units that have samples, and how many they are.
#[must_use]
pub fn mean_f1(units: &[Occurrence]) -> Option<(f64, usize)> {
    let scores: Vec<_> = units.iter().filter_map(Occurrence::f1).collect();
    (!scores.is_empty()).then(|| {
        (
            scores.iter().sum::<f64>() / scores.len() as f64,
            scores.len(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_inclusive_and_gaps_passed_over() {
        let truth = [Some(2.0), Some(1.0), None, Some(5.0)];
        let counts = Occurrence::from_scores(&truth, &[0.5, 0.5, 0.9, 0.4], (2.0, 0.5)).unwrap();
        assert_eq!((counts.n(), counts.f1()), (3, Some(0.5)));
        let none = Occurrence::from_scores(&[Some(0.0)], &[0.0], (2.0, 0.5)).unwrap();
        assert_eq!(none.f1(), Some(0.0));
        assert_eq!(
            mean_f1(&[counts, none, Occurrence::default()]),
            Some((0.25, 2))
        );
        assert!(Occurrence::from_scores(&[None], &[f64::NAN], (2.0, 0.5)).is_err());
    }
}
