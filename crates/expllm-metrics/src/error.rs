//! Why a metric cannot be taken of its input.

/// Input that does not fit together; a metric that is undefined on good input is `None` instead.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// Two lists that belong together differ in length.
    #[error("{what}: {left} entries beside {right}")]
    LengthMismatch {
        /// The lists.
        what: &'static str,
        /// Entries of the first.
        left: usize,
        /// Entries of the second.
        right: usize,
    },
    /// A class index beyond the classes in play.
    #[error("class {found} of {classes} classes")]
    ClassOutOfRange {
        /// The index found.
        found: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A score, probability or intensity that is not a finite number.
    #[error("{what} of sample {index} is not a finite number")]
    NotFinite {
        /// What the number stands for.
        what: &'static str,
        /// The sample, counted from 0.
        index: usize,
    },
    /// A probability outside [0, 1].
    #[error("a probability must be from 0 to 1, found {0}")]
    NotAProbability(f64),
    /// Two accumulators of different shapes.
    #[error("cannot merge {what} of {left} with {what} of {right}")]
    ShapeMismatch {
        /// What differs.
        what: &'static str,
        /// Size on the left.
        left: usize,
        /// Size on the right.
        right: usize,
    },
    /// A subject whose samples lie in more than one fold.
    #[error("subject {subject:?} is in fold {first:?} and in fold {second:?}")]
    SubjectInTwoFolds {
        /// The subject.
        subject: String,
        /// The fold seen first.
        first: String,
        /// The other fold.
        second: String,
    },
}

/// Refuses the first number that is not finite.
pub(crate) fn check_finite(what: &'static str, values: &[f64]) -> Result<(), MetricError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(MetricError::NotFinite { what, index }),
        None => Ok(()),
    }
}

/// Refuses lists of different length.
pub(crate) fn check_lengths(
    what: &'static str,
    left: usize,
    right: usize,
) -> Result<(), MetricError> {
    if left == right {
        Ok(())
    } else {
        Err(MetricError::LengthMismatch { what, left, right })
    }
}
