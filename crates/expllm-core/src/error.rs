//! Errors of the vocabulary and of the stages.

use std::error::Error;
use std::fmt;

/// What can be wrong with a value that is turned into one of this crate's types.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// A number that must lie in [0, 1] does not (or is not a number).
    #[error("{what} must be a number from 0 to 1, found {value}")]
    OutOfUnitRange {
        /// What the number stands for.
        what: &'static str,
        /// The number found.
        value: f32,
    },
    /// A list has the wrong number of entries.
    #[error("{what} needs {expected} entries, found {found}")]
    WrongLength {
        /// What the list stands for.
        what: &'static str,
        /// Entries needed.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// A name that no action unit has.
    #[error("unknown action unit {0:?}; names are like \"left_lip_corner_pull\"")]
    UnknownActionUnit(String),
    /// A name that no expression has.
    #[error("unknown expression {0:?}; names are like \"Happiness\"")]
    UnknownExpression(String),
    /// A text in which no three-part chain of thought was found.
    #[error("no {missing} part in the chain of thought")]
    IncompleteChain {
        /// The first part that is missing or empty.
        missing: crate::ChainPart,
    },
    /// Pixels that do not fit the stated size.
    #[error("a {width} x {height} RGB image needs {expected} bytes, found {found}")]
    PixelCount {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes needed.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
}

/// The stages of the pipeline, as named in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Finding faces.
    Detection,
    /// Finding landmarks.
    Landmarks,
    /// Turning a face upright at a fixed size.
    Alignment,
    /// Reading action units.
    ActionUnits,
    /// Reading an expression.
    Expression,
    /// Writing a chain of thought.
    ChainOfThought,
    /// Explaining a face with a multimodal language model.
    Explanation,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detection => "face detection",
            Self::Landmarks => "landmark detection",
            Self::Alignment => "alignment",
            Self::ActionUnits => "action unit detection",
            Self::Expression => "expression classification",
            Self::ChainOfThought => "chain-of-thought writing",
            Self::Explanation => "explanation",
        })
    }
}

/// The failure of one stage; the typed error of the implementation is its source.
#[derive(Debug, thiserror::Error)]
#[error("{stage} failed: {source}")]
pub struct StageError {
    /// The stage that failed.
    pub stage: Stage,
    /// The implementation's own error; use [`StageError::downcast_ref`] for its type.
    pub source: Box<dyn Error + Send + Sync>,
}

impl StageError {
    /// A stage that gave another number of answers than it was asked for.
    #[must_use]
    pub fn count(stage: Stage, asked: usize, answered: usize) -> Self {
        Self::new(stage, format!("{answered} answers for {asked} inputs"))
    }

    /// Wraps an implementation's error.
    pub fn new(stage: Stage, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            stage,
            source: source.into(),
        }
    }

    /// The implementation's error as the type `E`, if it is one.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.source.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_error_keeps_the_typed_cause() {
        let cause = CoreError::UnknownExpression("Joyous".into());
        let error = StageError::new(Stage::Expression, cause.clone());
        assert_eq!(error.downcast_ref::<CoreError>(), Some(&cause));
        assert!(
            error
                .to_string()
                .starts_with("expression classification failed: unknown")
        );
    }
}
