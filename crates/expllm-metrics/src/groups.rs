//! Breakdowns by group, and protocols by subject.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Confusion, MetricError};

/// One confusion matrix per group (age, gender, data set, subject, ...).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    classes: usize,
    groups: BTreeMap<String, Confusion>,
}

impl Groups {
    /// No group yet.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            groups: BTreeMap::new(),
        }
    }

    /// Counts one sample of a group.
    ///
    /// # Errors
    ///
    /// [`MetricError::ClassOutOfRange`].
    pub fn add(
        &mut self,
        group: &str,
        truth: usize,
        prediction: Option<usize>,
    ) -> Result<(), MetricError> {
        let classes = self.classes;
        let of_group = self.groups.entry(group.to_owned());
        of_group
            .or_insert_with(|| Confusion::new(classes))
            .add(truth, prediction)
    }

    /// The groups by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Confusion)> {
        self.groups
            .iter()
            .map(|(name, matrix)| (name.as_str(), matrix))
    }

    /// All samples in one matrix: with one group per left-out subject this is the usual
    /// leave-one-subject-out protocol, in which counts are pooled before F1 is taken.
    ///
    /// # Errors
    ///
    /// [`MetricError::ShapeMismatch`] never, since all groups share their classes.
    pub fn pooled(&self) -> Result<Confusion, MetricError> {
        let mut all = Confusion::new(self.classes);
        for matrix in self.groups.values() {
            all.merge(matrix)?;
        }
        Ok(all)
    }

    /// Unweighted mean of a figure over the groups that have it, and how many they are: the
    /// subject-wise protocol.
    pub fn mean(&self, figure: impl Fn(&Confusion) -> Option<f64>) -> Option<(f64, usize)> {
        let values: Vec<_> = self.groups.values().filter_map(figure).collect();
        let n = values.len();
        (n > 0).then(|| (values.iter().sum::<f64>() / n as f64, n))
    }
}

/// Checks that no subject lies in two folds.
///
/// # Errors
///
/// [`MetricError::SubjectInTwoFolds`] names the first that does.
pub fn check_folds<'a>(
    samples: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), MetricError> {
    let mut folds = BTreeMap::new();
    for (subject, fold) in samples {
        let first = *folds.entry(subject).or_insert(fold);
        if first != fold {
            return Err(MetricError::SubjectInTwoFolds {
                subject: subject.to_owned(),
                first: first.to_owned(),
                second: fold.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_and_averaging_differ() {
        let mut groups = Groups::new(2);
        for _ in 0..3 {
            groups.add("ann", 0, Some(0)).unwrap();
        }
        groups.add("bob", 0, Some(1)).unwrap();
        assert_eq!(groups.mean(Confusion::accuracy), Some((0.5, 2)));
        assert_eq!(groups.pooled().unwrap().accuracy(), Some(0.75));
        assert_eq!(groups.iter().count(), 2);
    }

    #[test]
    fn a_subject_in_two_folds_is_named() {
        assert!(check_folds([("ann", "1"), ("bob", "2"), ("ann", "1")]).is_ok());
        let error = check_folds([("ann", "1"), ("ann", "2")]).unwrap_err();
        assert!(error.to_string().contains("\"ann\""));
    }
}
