//! One sentence with what its words mean.

use std::ops::Range;

use super::idioms;
use super::lexicon::{Mark, Sense};
use super::mood::{self, Mood};
use super::parts::{self, Part};
use super::tokens::{Token, tokens};

/// A sentence, word by word.
#[derive(Debug)]
pub(crate) struct Sentence {
    pub(super) tokens: Vec<Token>,
    senses: Vec<Sense>,
    /// The parts of the face that it names, in order.
    pub(super) parts: Vec<Part>,
    /// Stretches between words that open a clause.
    pub(super) clauses: Vec<Range<usize>>,
    /// In what mood each word stands.
    pub(super) moods: Vec<Mood>,
}

impl Sentence {
    pub(crate) fn read(text: &str) -> Self {
        let tokens = tokens(text);
        let words: Vec<&str> = tokens.iter().map(|t| t.text.as_str()).collect();
        let senses = idioms::senses(&words);
        let parts = parts::parts(&tokens);
        let mut sentence = Self {
            senses,
            parts,
            clauses: Vec::new(),
            moods: vec![Mood::Told; tokens.len()],
            tokens,
        };
        sentence.clauses = super::clauses::clauses(&sentence);
        sentence.moods = mood::moods(&sentence);
        sentence
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The word at a place; empty outside the sentence.
    pub(crate) fn word(&self, at: usize) -> &str {
        parts::word(&self.tokens, at)
    }

    pub(super) fn sense(&self, at: usize) -> Sense {
        self.senses.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn is(&self, at: usize, mark: Mark) -> bool {
        self.sense(at).is(mark)
    }

    /// Whether a mark such as a comma stands at a place.
    pub(crate) fn breaks(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| t.is_break)
    }

    /// The part that a word belongs to.
    pub(super) fn part_at(&self, at: usize) -> Option<&Part> {
        self.parts.iter().find(|p| (p.start..=p.end).contains(&at))
    }

    /// In what mood a word stands.
    pub(crate) fn mood(&self, at: usize) -> Mood {
        self.moods.get(at).copied().unwrap_or(Mood::Told)
    }

    /// The clause that a word stands in.
    pub(crate) fn clause_of(&self, at: usize) -> Range<usize> {
        let mut clauses = self.clauses.iter();
        clauses
            .find(|c| c.contains(&at))
            .cloned()
            .unwrap_or(0..self.len())
    }
}
