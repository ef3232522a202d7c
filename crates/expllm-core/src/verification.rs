//! The seam between who writes a chain and who holds its sentences against the face.

use crate::{AuVector, Expression};

/// What the sentences of a chain are held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedFace {
    /// The units that were read.
    pub action_units: AuVector,
    /// The label that the chain is to conclude with; `None` where it is read from the chain.
    pub label: Option<Expression>,
}

/// A text up to the end of its newest sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSentence<'a> {
    /// Everything written so far.
    pub text: &'a str,
    /// Where the newest sentence begins, in bytes; what was judged before stands ahead of it.
    pub start: usize,
    /// Whether the text ends with it.
    pub last: bool,
}

/// What a judge says of a new sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The face bears it out, or it says nothing that can be checked.
    Stands {
        /// How many active units it names that no sentence before has named.
        new_units: usize,
    },
    /// It stands, but leaves the observations while active units are unnamed.
    Hasty,
    /// The face contradicts it.
    Contradicted,
    /// It repeats a sentence, is in another language, or ends a text that is no chain: a text that
    /// goes on like this will not come to anything.
    Astray,
}

impl Verdict {
    /// Whether the sentence may be shown without a mark.
    #[must_use]
    pub const fn stands(self) -> bool {
        matches!(self, Self::Stands { .. } | Self::Hasty)
    }
}

/// Holds each sentence of a chain against a face as soon as it is finished.
pub trait SentenceJudge: Send + Sync {
    /// Whether a sentence ends at a place of a text, in bytes, which lies between characters;
    /// `None` while what follows it is not known.
    fn ends(&self, text: &str, place: usize) -> Option<bool>;

    /// Judges the newest sentence of a text.
    fn judge(&self, sentence: &NewSentence<'_>, face: &JudgedFace) -> Verdict;
}
