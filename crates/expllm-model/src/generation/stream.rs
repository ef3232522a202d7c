//! Answers as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{GenerationSettings, Prefix, Sampler};
use crate::tokenizer::DecodeStream;
use crate::{ModelError, Tokenizer};

/// Ends generation from another thread; clones share one switch.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Ends every stream that holds a clone before its next token.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model ended it, or a stop token came.
    StopToken,
    /// A stop string came.
    StopString,
    /// The limit of new tokens or of the context.
    Length,
    /// [`CancelToken::cancel`].
    Cancelled,
    /// An error, which the stream has given.
    Error,
}

/// The tokens of an answer, each run when the one before has been taken.
#[derive(Debug)]
pub struct TokenStream<'m> {
    prefix: Prefix<'m>,
    sampler: Sampler,
    stop: Vec<u32>,
    left: usize,
    /// Chosen but not run yet, so that the last token of an answer costs nothing.
    pending: Option<u32>,
    cancel: CancelToken,
    finished: Option<FinishReason>,
}

impl<'m> TokenStream<'m> {
    /// An answer after a prefix.
    ///
    /// # Errors
    ///
    /// [`ModelError::Generation`].
    pub fn new(
        prefix: Prefix<'m>,
        settings: &GenerationSettings,
        cancel: CancelToken,
    ) -> Result<Self, ModelError> {
        let sampler = Sampler::new(settings, prefix.tokens())?;
        let mut stop = settings.stop_tokens.clone();
        stop.extend_from_slice(prefix.model().ends);
        Ok(Self {
            prefix,
            sampler,
            stop,
            left: settings.max_new_tokens,
            pending: None,
            cancel,
            finished: None,
        })
    }

    /// Why the answer ended; `None` while it goes on.
    #[must_use]
    pub fn finish_reason(&self) -> Option<FinishReason> {
        self.finished
    }

    /// Prompt and answer so far, to go on from; the last token may not have been run.
    #[must_use]
    pub fn into_prefix(self) -> Prefix<'m> {
        self.prefix
    }

    fn step(&mut self) -> Result<Option<u32>, ModelError> {
        if self.cancel.is_cancelled() {
            self.finished = Some(FinishReason::Cancelled);
            return Ok(None);
        }
        if self.left == 0 {
            self.finished = Some(FinishReason::Length);
            return Ok(None);
        }
        if let Some(token) = self.pending.take() {
            let limit = self.prefix.model().llm.config().max_positions;
            if self.prefix.tokens().len() >= limit {
                self.finished = Some(FinishReason::Length);
                return Ok(None);
            }
            self.prefix.push(&[token])?;
        }
        let token = self.sampler.choose(self.prefix.scores())?;
        if self.stop.contains(&token) {
            self.finished = Some(FinishReason::StopToken);
            return Ok(None);
        }
        self.left -= 1;
        self.pending = Some(token);
        Ok(Some(token))
    }
}

impl Iterator for TokenStream<'_> {
    type Item = Result<u32, ModelError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished.is_some() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.finished = Some(FinishReason::Error);
        }
        step.transpose()
    }
}

/// The text of an answer, in pieces that end between characters and never show a part of a stop
/// string.
#[derive(Debug)]
pub struct TextStream<'m> {
    tokens: TokenStream<'m>,
    decoder: DecodeStream,
    stop_strings: Vec<String>,
    /// Text that may be the beginning of a stop string.
    held: String,
    finished: Option<FinishReason>,
}

impl<'m> TextStream<'m> {
    /// An answer after a prefix.
    ///
    /// # Errors
    ///
    /// [`ModelError::Generation`].
    pub fn new(
        prefix: Prefix<'m>,
        tokenizer: &Tokenizer,
        settings: &GenerationSettings,
        cancel: CancelToken,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            tokens: TokenStream::new(prefix, settings, cancel)?,
            decoder: tokenizer.decode_stream(),
            stop_strings: settings.stop_strings.clone(),
            held: String::new(),
            finished: None,
        })
    }

    /// Why the answer ended; `None` while it goes on.
    #[must_use]
    pub fn finish_reason(&self) -> Option<FinishReason> {
        self.finished
    }

    fn step(&mut self) -> Result<Option<String>, ModelError> {
        while self.finished.is_none() {
            match self.tokens.next() {
                Some(token) => self.held += &self.decoder.push(token?)?,
                None => {
                    self.finished = self.tokens.finish_reason();
                    self.held += &self.decoder.finish()?;
                }
            }
            if let Some(place) = earliest(&self.held, &self.stop_strings) {
                self.held.truncate(place);
                self.finished = Some(FinishReason::StopString);
            }
            let certain = match self.finished {
                Some(_) => self.held.len(),
                None => self.held.len() - longest_open_end(&self.held, &self.stop_strings),
            };
            if certain > 0 {
                return Ok(Some(self.held.drain(..certain).collect()));
            }
        }
        Ok(None)
    }
}

impl Iterator for TextStream<'_> {
    type Item = Result<String, ModelError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.finished = Some(FinishReason::Error);
        }
        step.transpose()
    }
}

/// Where the first stop string begins.
pub(super) fn earliest(text: &str, stop: &[String]) -> Option<usize> {
    stop.iter().filter_map(|stop| text.find(stop)).min()
}

/// How many bytes at the end of a text may be the beginning of a stop string.
pub(super) fn longest_open_end(text: &str, stop: &[String]) -> usize {
    let open_end = |stop: &String| {
        let cuts = stop.char_indices().map(|(place, _)| place);
        cuts.filter(|&cut| text.ends_with(&stop[..cut])).max()
    };
    stop.iter().filter_map(open_end).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_may_become_stop_strings_are_held_back() {
        let stop = ["\nUSER:".to_owned(), "Ünd".to_owned()];
        assert_eq!(longest_open_end("joy\nUS", &stop), 3);
        assert_eq!(longest_open_end("joy Ü", &stop), 2);
        assert_eq!(longest_open_end("joy", &stop), 0);
        assert_eq!(earliest("a\nUSER: b Ünd", &stop), Some(1));
    }
}
