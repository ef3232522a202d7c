//! A prompt that has been run.

use burn::tensor::Tensor;

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
        };
        prefix.rewind_to(tokens)?;
        Ok(prefix)
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
        self.cache.reserve(self.tokens.len() + 1)?;
        let (llm, scores) = (self.model.llm, &mut self.scores);
        llm.step(token, &mut self.cache, scores)?;
        self.tokens.push(token);
        Ok(())
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
        let llm = self.model.llm;
        let hidden = llm.forward_branches(tokens, parents, &mut self.cache)?;
        let scores = numbers(llm.scores(hidden)?)?;
        let vocab = llm.config().vocab_size;
        Ok(scores.chunks_exact(vocab).map(<[f32]>::to_vec).collect())
    }

    /// The cache and the tokens in it.
    pub(super) fn cached(&self) -> (&KvCache, &[u32]) {
        (&self.cache, &self.tokens)
    }

    /// Goes on from a cache that holds the same image, with the scores after its tokens.
    pub(super) fn go_on_from(&mut self, cache: KvCache, tokens: Vec<u32>, scores: Vec<f32>) {
        (self.cache, self.tokens, self.scores) = (cache, tokens, scores);
    }

    fn run(&mut self, tokens: &[u32], image: Option<Tensor<3>>) -> Result<(), ModelError> {
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
