//! What can be wrong with a knowledge file.

/// An entry of a knowledge file that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{file}: {entry}: {fault}")]
pub struct KnowledgeError {
    /// Name of the file.
    pub file: String,
    /// The entry, such as `combination felt_smile`.
    pub entry: String,
    /// What is wrong with it.
    pub fault: KnowledgeFault,
}

impl KnowledgeError {
    pub(crate) fn new(file: &str, entry: impl Into<String>, fault: KnowledgeFault) -> Self {
        let (file, entry) = (file.to_owned(), entry.into());
        Self { file, entry, fault }
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KnowledgeFault {
    /// The file cannot be read.
    #[error("{0}")]
    File(String),
    /// The file is not TOML, or not of this form.
    #[error("{0}")]
    Syntax(String),
    /// No such action unit.
    #[error("no action unit is called {0:?}; names are as in `left_lip_corner_pull`")]
    UnknownUnit(String),
    /// No such cue.
    #[error("no cue is called {0:?}; add a [[cue]] of this name or correct it")]
    UnknownCue(String),
    /// No such combination.
    #[error("no combination is called {0:?}")]
    UnknownCombination(String),
    /// No such expression.
    #[error("no expression is called {0:?}")]
    UnknownExpression(String),
    /// A source that is not listed under `[sources]`.
    #[error("no source is called {0:?}; list it under [sources]")]
    UnknownSource(String),
    /// A combination that builds on itself.
    #[error("it builds on itself: {0}")]
    Cycle(String),
    /// A number outside its range.
    #[error("{name} is {value}; it must lie between {low} and {high}")]
    OutOfRange {
        /// What the number is for.
        name: String,
        /// The number.
        value: f32,
        /// The least allowed.
        low: f32,
        /// The most allowed.
        high: f32,
    },
    /// Something that is there twice.
    #[error("{0} is given twice")]
    Duplicate(String),
    /// Too many, too few or none of something.
    #[error("{0}")]
    Count(String),
}
