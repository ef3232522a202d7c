//! One answer in the making, without what runs it.

use super::stream::{earliest, longest_open_end};
use super::{GenerationSettings, Sampler};
use crate::tokenizer::DecodeStream;
use crate::{ModelError, Tokenizer};

/// Where answers end.
#[derive(Debug)]
pub(super) struct Ends {
    tokens: Vec<u32>,
    strings: Vec<String>,
    /// Tokens that the model can hold, prompt included.
    positions: usize,
}

impl Ends {
    pub(super) fn new(settings: &GenerationSettings, ends: &[u32], positions: usize) -> Self {
        Self {
            tokens: [&settings.stop_tokens, ends].concat(),
            strings: settings.stop_strings.clone(),
            positions,
        }
    }
}

/// The tokens of an answer with their text. A clone goes its own way.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) sampler: Sampler,
    decoder: DecodeStream,
    pub(super) text: String,
    /// Tokens chosen so far.
    pub(super) tokens: Vec<u32>,
    /// Tokens that may still be chosen.
    left: usize,
    /// Whether the answer has ended.
    pub(super) done: bool,
}

impl Line {
    pub(super) fn new(sampler: Sampler, tokenizer: &Tokenizer, limit: usize) -> Self {
        Self {
            sampler,
            decoder: tokenizer.decode_stream(),
            text: String::new(),
            tokens: Vec::new(),
            left: limit,
            done: false,
        }
    }

    /// Chooses the next token after those that were `run`, prompt included; gives it where it has
    /// to be run, and nothing once the answer has ended.
    pub(super) fn step(
        &mut self,
        (scores, run): (&[f32], usize),
        ends: &Ends,
    ) -> Result<Option<u32>, ModelError> {
        let token = self.sampler.choose(scores)?;
        if ends.tokens.contains(&token) {
            return self.finish(ends);
        }
        self.left -= 1;
        self.tokens.push(token);
        self.text += &self.decoder.push(token)?;
        if let Some(place) = earliest(&self.text, &ends.strings) {
            self.text.truncate(place);
            self.done = true;
            return Ok(None);
        }
        // The last token of an answer need not be run.
        match self.left == 0 || run >= ends.positions {
            true => self.finish(ends),
            false => Ok(Some(token)),
        }
    }

    fn finish(&mut self, ends: &Ends) -> Result<Option<u32>, ModelError> {
        self.done = true;
        self.text += &self.decoder.finish()?;
        if let Some(place) = earliest(&self.text, &ends.strings) {
            self.text.truncate(place);
        }
        Ok(None)
    }

    /// The text that no stop string can take back.
    pub(super) fn certain<'a>(&'a self, ends: &Ends) -> &'a str {
        match self.done {
            true => &self.text,
            false => &self.text[..self.text.len() - longest_open_end(&self.text, &ends.strings)],
        }
    }
}
