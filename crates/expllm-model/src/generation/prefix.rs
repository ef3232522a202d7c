//! A prompt that has been run.

use burn::tensor::Tensor;

use super::phrases::{Ahead, Phrases};
use crate::parts::{KvCache, TokenMask, numbers};
use crate::{ModelError, Speaker};

/// Keys and values of a prompt, and the scores of the token after it.
///
/// A clone shares memory until one of the two grows.
#[derive(Debug, Clone)]
pub struct Prefix<'m> {
    model: Speaker<'m>,
    cache: KvCache,
    /// Tokens of the image: `[1, patches, width]`.
    image: Option<Tensor<3>>,
    tokens: Vec<u32>,
    scores: Vec<f32>,
    /// Tokens that the cache holds beyond these, on a guess.
    ahead: Ahead,
}

impl<'m> Prefix<'m> {
    /// Runs a prompt.
    ///
    /// # Shapes
    ///
    /// `image`: `[1, patches, width]`, from [`ExpLlm::encode_images`](crate::ExpLlm::encode_images).
    ///
    /// # Errors
    ///
    /// As [`ExpLlm::forward`](crate::ExpLlm::forward).
    pub fn new(
        model: impl Into<Speaker<'m>>,
        tokens: &[u32],
        image: Option<Tensor<3>>,
    ) -> Result<Self, ModelError> {
        let model = model.into();
        let mut prefix = Self {
            model,
            cache: model.llm.cache(1, 0),
            image,
            tokens: Vec::new(),
            scores: Vec::new(),
            ahead: Ahead::default(),
        };
        prefix.rewind_to(tokens)?;
        Ok(prefix)
    }

    /// The same, which guesses from phrases what comes after a token that is pushed, runs both at
    /// once and adds to the phrases what is pushed. The scores are those without, up to the
    /// rounding of sums; it pays where several tokens at once cost less than one by one.
    #[must_use]
    pub fn guessing(mut self, phrases: &Phrases) -> Self {
        self.ahead.follow(phrases);
        self
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> Speaker<'m> {
        self.model
    }

    /// The tokens that have been run.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// A score for each token of the vocabulary to be next.
    #[must_use]
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// Makes room for more tokens at once, so that nothing is copied while they come.
    ///
    /// # Errors
    ///
    /// [`ModelError::ContextTooLong`].
    pub fn reserve(&mut self, more: usize) -> Result<(), ModelError> {
        self.tokens.reserve(more);
        self.cache.reserve(self.tokens.len() + more)
    }

    /// Runs more tokens after those so far; the image is not among them.
    ///
    /// # Errors
    ///
    /// As [`ExpLlm::forward`](crate::ExpLlm::forward).
    pub fn push(&mut self, tokens: &[u32]) -> Result<(), ModelError> {
        match *tokens {
            [token] if Some(token) != self.model.image_token => self.step(token),
            _ => self.run(tokens, None),
        }
    }

    fn step(&mut self, token: u32) -> Result<(), ModelError> {
        if self.ahead.take(token, &mut self.scores) {
            self.tokens.push(token);
        } else {
            self.forget_guesses();
            self.tokens.push(token);
            let run = self.run_last();
            if run.is_err() {
                self.tokens.pop();
                self.cache.truncate(self.tokens.len());
            }
            run?;
        }
        self.ahead.learn(&self.tokens);
        Ok(())
    }

    /// Runs the last token, which the cache does not hold yet, with what may come after it.
    fn run_last(&mut self) -> Result<(), ModelError> {
        let (llm, count) = (self.model.llm, self.tokens.len());
        let room = llm.config().max_positions.saturating_sub(count);
        let guesses = self.ahead.guess(&self.tokens, room);
        self.cache.reserve(count + guesses.len())?;
        let token = self.tokens[count - 1];
        if guesses.is_empty() {
            return llm.step(token, &mut self.cache, &mut self.scores);
        }
        let row = [&[token], &guesses[..]].concat();
        let mask = TokenMask::full(1, row.len());
        let hidden = (self.model).forward(&[row], &mask, None, Some(&mut self.cache))?;
        let mut scores = numbers(llm.scores(hidden)?)?;
        let after = scores.split_off(llm.config().vocab_size);
        self.ahead.keep(&guesses, &after);
        self.scores = scores;
        Ok(())
    }

    /// Takes out of the cache what was run on a guess and not pushed.
    fn forget_guesses(&mut self) {
        if self.ahead.forget() {
            self.cache.truncate(self.tokens.len());
        }
    }

    /// Goes to another prompt, running only what differs from this one; returns how many tokens
    /// did not have to be run again.
    ///
    /// # Errors
    ///
    /// As [`ExpLlm::forward`](crate::ExpLlm::forward); the prefix is then empty.
    pub fn rewind_to(&mut self, tokens: &[u32]) -> Result<usize, ModelError> {
        let pairs = self.tokens.iter().zip(tokens);
        // At least one token is run, for the scores after it.
        let limit = tokens.len().saturating_sub(1);
        let mut kept = pairs.take_while(|(a, b)| a == b).count().min(limit);
        let is_image = |&id: &u32| Some(id) == self.model.image_token;
        if tokens[kept..].iter().any(is_image) {
            // An image is run whole.
            kept = 0;
        }
        self.forget_guesses();
        self.cache.truncate(kept);
        self.tokens.truncate(kept);
        let image = if kept == 0 { self.image.clone() } else { None };
        self.run(&tokens[kept..], image)?;
        Ok(kept)
    }

    /// Scores after each of several tokens that branch after this prefix: one row of the
    /// vocabulary per token. See
    /// [`Decoder::forward_branches`](crate::parts::Decoder::forward_branches).
    pub(super) fn branch_scores(
        &mut self,
        tokens: &[u32],
        parents: &[Option<usize>],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        self.forget_guesses();
        let llm = self.model.llm;
        let hidden = llm.forward_branches(tokens, parents, &mut self.cache)?;
        let scores = numbers(llm.scores(hidden)?)?;
        let vocab = llm.config().vocab_size;
        Ok(scores.chunks_exact(vocab).map(<[f32]>::to_vec).collect())
    }

    /// The cache and the tokens with which it begins.
    pub(super) fn cached(&self) -> (&KvCache, &[u32]) {
        (&self.cache, &self.tokens)
    }

    /// Goes on from a cache that holds the same image, with the scores after its tokens.
    pub(super) fn go_on_from(&mut self, cache: KvCache, tokens: Vec<u32>, scores: Vec<f32>) {
        self.ahead.forget();
        (self.cache, self.tokens, self.scores) = (cache, tokens, scores);
    }

    fn run(&mut self, tokens: &[u32], image: Option<Tensor<3>>) -> Result<(), ModelError> {
        self.forget_guesses();
        let (model, length) = (self.model, tokens.len());
        self.cache.reserve(self.tokens.len() + length)?;
        let mask = TokenMask::full(1, length);
        let rows = [tokens.to_vec()];
        let hidden = model.forward(&rows, &mask, image.as_ref(), Some(&mut self.cache))?;
        self.scores = numbers(model.llm.scores(hidden.narrow(1, length - 1, 1))?)?;
        self.tokens.extend_from_slice(tokens);
        Ok(())
    }
}
