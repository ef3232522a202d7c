//! Classification from a confusion matrix.

use serde::{Deserialize, Serialize};

use crate::MetricError;

/// Counts of (truth, prediction) pairs; the streaming accumulator of every classification metric.
///
/// Beside the columns of the classes there is one for *no valid answer*: such a sample is wrong
/// in every metric and is never left out.
///
/// ```
/// use expllm_metrics::Confusion;
///
/// let mut left = Confusion::new(2);
/// left.add(0, Some(0))?;
/// let mut right = Confusion::new(2);
/// right.add(1, None)?;
/// left.merge(&right)?;
/// assert_eq!(left.accuracy(), Some(0.5));
/// # Ok::<(), expllm_metrics::MetricError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    classes: usize,
    /// Row by row: one row per true class, one column per class and one for no answer.
    counts: Vec<u64>,
}

impl Confusion {
    /// An empty matrix.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * (classes + 1)],
        }
    }

    /// The matrix of two lists of class indices.
    ///
    /// # Errors
    ///
    /// [`MetricError::LengthMismatch`] or [`MetricError::ClassOutOfRange`].
    pub fn from_labels(
        classes: usize,
        truth: &[usize],
        predictions: &[Option<usize>],
    ) -> Result<Self, MetricError> {
        crate::error::check_lengths("truth and predictions", truth.len(), predictions.len())?;
        let mut confusion = Self::new(classes);
        for (&truth, &prediction) in truth.iter().zip(predictions) {
            confusion.add(truth, prediction)?;
        }
        Ok(confusion)
    }

    /// A matrix from its cells, row by row (see [`Confusion::cells`]).
    pub(crate) fn from_cells(classes: usize, counts: Vec<u64>) -> Self {
        Self { classes, counts }
    }

    /// Counts one sample; `None` is a sample without a valid answer.
    ///
    /// # Errors
    ///
    /// [`MetricError::ClassOutOfRange`].
    pub fn add(&mut self, truth: usize, prediction: Option<usize>) -> Result<(), MetricError> {
        let column = prediction.unwrap_or(self.classes);
        let beyond = prediction.filter(|&p| p >= self.classes);
        if let Some(found) = beyond.or((truth >= self.classes).then_some(truth)) {
            let classes = self.classes;
            return Err(MetricError::ClassOutOfRange { found, classes });
        }
        self.counts[truth * (self.classes + 1) + column] += 1;
        Ok(())
    }

    /// Adds the counts of another shard.
    ///
    /// # Errors
    ///
    /// [`MetricError::ShapeMismatch`] when the classes differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if self.classes != other.classes {
            return Err(MetricError::ShapeMismatch {
                what: "classes",
                left: self.classes,
                right: other.classes,
            });
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        Ok(())
    }

    /// How many classes there are.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The cells: one row per true class; columns are the classes, then no answer.
    #[must_use]
    pub fn cells(&self) -> &[u64] {
        &self.counts
    }

    /// Samples of class `truth` that were answered with `prediction`; 0 beyond the classes.
    #[must_use]
    pub fn count(&self, truth: usize, prediction: Option<usize>) -> u64 {
        let column = prediction.unwrap_or(self.classes);
        if truth >= self.classes || prediction.is_some_and(|p| p >= self.classes) {
            return 0;
        }
        self.counts[truth * (self.classes + 1) + column]
    }

    /// Samples of a true class.
    #[must_use]
    pub fn support(&self, class: usize) -> u64 {
        let width = self.classes + 1;
        let row = self.counts.chunks(width).nth(class).unwrap_or_default();
        row.iter().sum()
    }

    /// Samples answered with a class.
    #[must_use]
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes).map(|t| self.count(t, Some(class))).sum()
    }

    /// Samples without a valid answer.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        (0..self.classes).map(|t| self.count(t, None)).sum()
    }

    /// All samples.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn correct(&self) -> u64 {
        (0..self.classes).map(|c| self.count(c, Some(c))).sum()
    }

    /// Correct samples over all samples, unanswered ones included; `None` without samples.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.correct(), self.total())
    }

    /// Correct samples of a class over its samples; `None` when the class does not occur.
    #[must_use]
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, Some(class)), self.support(class))
    }

    /// Correct samples of a class over the samples answered with it; `None` when none was.
    #[must_use]
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, Some(class)), self.predicted(class))
    }

    /// `2 TP / (2 TP + FP + FN)`; `None` when the class is neither in truth nor predicted.
    #[must_use]
    pub fn f1(&self, class: usize) -> Option<f64> {
        let both = self.support(class) + self.predicted(class);
        ratio(2 * self.count(class, Some(class)), both)
    }

    /// Unweighted mean recall over the classes that occur in truth (UAR, balanced accuracy);
    /// `None` without samples.
    #[must_use]
    pub fn uar(&self) -> Option<f64> {
        mean((0..self.classes).filter_map(|c| self.recall(c)))
    }

    /// Unweighted mean F1 over the classes that occur in truth or prediction, scikit-learn's
    /// `f1_score(average="macro")`; `None` without samples.
    #[must_use]
    pub fn macro_f1(&self) -> Option<f64> {
        (self.total() > 0)
            .then(|| mean((0..self.classes).filter_map(|c| self.f1(c))))
            .flatten()
    }

    /// Unweighted F1 of the micro-expression challenges (UF1): the mean over *all* classes, a
    /// class that is neither in truth nor predicted counting 0; `None` without samples.
    #[must_use]
    pub fn uf1(&self) -> Option<f64> {
        (self.total() > 0)
            .then(|| mean((0..self.classes).map(|c| self.f1(c).unwrap_or(0.0))))
            .flatten()
    }

    /// Mean F1 weighted by the samples of each true class; `None` without samples.
    #[must_use]
    pub fn weighted_f1(&self) -> Option<f64> {
        let total = self.total();
        let sum: f64 = (0..self.classes)
            .filter_map(|c| Some(self.f1(c)? * self.support(c) as f64))
            .sum();
        (total > 0).then(|| sum / total as f64)
    }

    /// Cohen's kappa `(p_o - p_e) / (1 - p_e)`; no answer counts as one more answer. `None`
    /// without samples and when chance agreement is complete (both sides use one class only).
    #[must_use]
    pub fn kappa(&self) -> Option<f64> {
        let n = self.total() as f64;
        let chance: f64 = (0..self.classes)
            .map(|c| self.support(c) as f64 * self.predicted(c) as f64)
            .sum::<f64>();
        let room = n * n - chance;
        (room > 0.0).then(|| (self.correct() as f64 * n - chance) / room)
    }

    /// Matthews correlation for many classes (Gorodkin 2004); no answer counts as one more
    /// answer. 0 when truth or prediction is constant, `None` without samples.
    #[must_use]
    pub fn mcc(&self) -> Option<f64> {
        let n = self.total() as f64;
        if n == 0.0 {
            return None;
        }
        let supports = (0..self.classes).map(|c| self.support(c) as f64);
        let unanswered = self.unanswered() as f64;
        let mut products = (0.0, 0.0, unanswered * unanswered);
        for (class, support) in supports.enumerate() {
            let predicted = self.predicted(class) as f64;
            products.0 += support * predicted;
            products.1 += support * support;
            products.2 += predicted * predicted;
        }
        let covariance = self.correct() as f64 * n - products.0;
        let spread = (n * n - products.1) * (n * n - products.2);
        Some(if spread > 0.0 {
            covariance / spread.sqrt()
        } else {
            0.0
        })
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0u32), |(sum, n), v| (sum + v, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_gives_nothing() {
        let empty = Confusion::new(3);
        for metric in [
            empty.accuracy(),
            empty.uar(),
            empty.macro_f1(),
            empty.uf1(),
            empty.weighted_f1(),
            empty.kappa(),
            empty.mcc(),
        ] {
            assert_eq!(metric, None);
        }
    }

    #[test]
    fn wrong_classes_and_lengths_are_refused() {
        let mut matrix = Confusion::new(2);
        assert!(matrix.add(2, Some(0)).is_err());
        assert!(matrix.add(0, Some(2)).is_err());
        assert!(matrix.merge(&Confusion::new(3)).is_err());
        assert!(Confusion::from_labels(2, &[0], &[]).is_err());
        assert_eq!(matrix.total(), 0);
    }

    proptest! {
        #[test]
        fn shards_merge_to_the_whole(pairs in prop::collection::vec((0usize..4, prop::option::of(0usize..4)), 0..60), cut in 0usize..60) {
            let cut = cut.min(pairs.len());
            let of = |pairs: &[(usize, Option<usize>)]| {
                let (truth, predictions): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
                Confusion::from_labels(4, &truth, &predictions).unwrap()
            };
            let mut merged = of(&pairs[..cut]);
            merged.merge(&of(&pairs[cut..])).unwrap();
            prop_assert_eq!(&merged, &of(&pairs));
            for value in [merged.accuracy(), merged.uar(), merged.macro_f1(), merged.weighted_f1()].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&value));
            }
        }
    }
}
