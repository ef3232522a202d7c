//! Several prompts that have been run side by side.

use burn::tensor::Tensor;

use super::Prefix;
use crate::parts::{KvCache, TokenMask, numbers};
use crate::tokenizer::common_prefix;
use crate::{ModelError, Speaker};

/// Keys and values of several prompts, and the scores of the token after each: a
/// [`Prefix`](super::Prefix) with rows. Prompts of different length are padded where they end.
#[derive(Debug, Clone)]
pub struct BatchPrefix<'m> {
    model: Speaker<'m>,
    cache: KvCache,
    /// Tokens of the images: `[rows, patches, width]`.
    images: Option<Tensor<3>>,
    /// Tokens of each row, padding left out.
    tokens: Vec<Vec<u32>>,
    scores: Vec<Vec<f32>>,
}

impl<'m> BatchPrefix<'m> {
    /// Runs prompts, each after its image if there are images.
    ///
    /// # Shapes
    ///
    /// `images`: `[rows, patches, width]`, from [`ExpLlm::encode_images`](crate::ExpLlm::encode_images).
    ///
    /// # Errors
    ///
    /// As [`ExpLlm::forward`](crate::ExpLlm::forward).
    pub fn new(
        model: impl Into<Speaker<'m>>,
        prompts: &[Vec<u32>],
        images: Option<Tensor<3>>,
    ) -> Result<Self, ModelError> {
        let model = model.into();
        let mut prefix = Self {
            model,
            cache: model.llm.cache(prompts.len(), 0),
            images,
            tokens: vec![Vec::new(); prompts.len()],
            scores: vec![Vec::new(); prompts.len()],
        };
        prefix.rewind_to(prompts)?;
        Ok(prefix)
    }

    /// As many rows as wanted of the first tokens of a prefix, which shares nothing with them;
    /// `scores` are those after these tokens.
    pub(super) fn of_prefix(
        prefix: &Prefix<'m>,
        length: usize,
        scores: &[f32],
        rows: usize,
    ) -> Self {
        let (cache, tokens) = prefix.cached();
        let mut cache = cache.select(&vec![0; rows]);
        cache.truncate(length);
        Self {
            model: prefix.model(),
            cache,
            images: None,
            tokens: vec![tokens[..length].to_vec(); rows],
            scores: vec![scores.to_vec(); rows],
        }
    }

    /// Goes on in a prefix from the first tokens of a row, none of them padding, whose scores
    /// are known.
    pub(super) fn go_on_in(&self, prefix: &mut Prefix<'m>, row: usize, end: (usize, Vec<f32>)) {
        let (length, scores) = end;
        let mut cache = self.cache.select(&[row]);
        cache.truncate(length);
        prefix.go_on_from(cache, self.tokens[row][..length].to_vec(), scores);
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> Speaker<'m> {
        self.model
    }

    /// How many prompts there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens that have been run, row by row.
    #[must_use]
    pub fn tokens(&self) -> &[Vec<u32>] {
        &self.tokens
    }

    /// For each row, a score for each token of the vocabulary to be next.
    #[must_use]
    pub fn scores(&self) -> &[Vec<f32>] {
        &self.scores
    }

    /// Runs one more token of every row; a row without one stays as it is, and its scores mean
    /// nothing until it goes on.
    ///
    /// # Errors
    ///
    /// As [`ExpLlm::forward`](crate::ExpLlm::forward).
    pub fn push(&mut self, next: &[Option<u32>]) -> Result<(), ModelError> {
        let ends: Vec<Vec<u32>> = next
            .iter()
            .map(|token| token.iter().copied().collect())
            .collect();
        self.run(&ends, None)
    }

    /// Goes to other prompts, one a row, running only what no row has in common with its last;
    /// returns how many tokens of each row did not have to be run again.
    ///
    /// # Errors
    ///
    /// As [`ExpLlm::forward`](crate::ExpLlm::forward), and [`ModelError::Input`] for another number of prompts or an
    /// empty one.
    pub fn rewind_to(&mut self, prompts: &[Vec<u32>]) -> Result<usize, ModelError> {
        if prompts.len() != self.rows() || prompts.iter().any(Vec::is_empty) {
            return Err(ModelError::Input {
                what: "prompts",
                reason: format!(
                    "{} for {} rows; none may be empty",
                    prompts.len(),
                    self.rows()
                ),
            });
        }
        let rows = self.tokens.iter().zip(prompts);
        // At least one token of every row is run, for the scores after it.
        let shared = rows.map(|(old, new)| common_prefix(old, new).min(new.len() - 1));
        let mut kept = shared.min().unwrap_or(0).min(self.cache.mask().unpadded());
        let is_image = |&id: &u32| Some(id) == self.model.image_token;
        if (prompts.iter()).any(|prompt| prompt[kept..].iter().any(is_image)) {
            // An image is run whole.
            kept = 0;
        }
        self.cache.truncate(kept);
        self.tokens.iter_mut().for_each(|row| row.truncate(kept));
        let images = if kept == 0 { self.images.clone() } else { None };
        let ends: Vec<_> = prompts
            .iter()
            .map(|prompt| prompt[kept..].to_vec())
            .collect();
        self.run(&ends, images)?;
        Ok(kept)
    }

    /// The named rows alone, in their order.
    ///
    /// # Panics
    ///
    /// When a row does not exist.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let images = self.images.as_ref().map(|images| {
            let pick = |&row: &usize| images.clone().narrow(0, row, 1);
            Tensor::cat(rows.iter().map(pick).collect(), 0)
        });
        Self {
            model: self.model,
            cache: self.cache.select(rows),
            images,
            tokens: rows.iter().map(|&row| self.tokens[row].clone()).collect(),
            scores: rows.iter().map(|&row| self.scores[row].clone()).collect(),
        }
    }

    /// As [`Prefix::branch_scores`](super::Prefix), for every row.
    pub(super) fn branch_scores(
        &mut self,
        tokens: &[u32],
        parents: &[Option<usize>],
    ) -> Result<Vec<Vec<Vec<f32>>>, ModelError> {
        let llm = self.model.llm;
        let hidden = llm.forward_branches(tokens, parents, &mut self.cache)?;
        let scores = numbers(llm.scores(hidden)?)?;
        let vocab = llm.config().vocab_size;
        let of_row = |row: &[f32]| row.chunks_exact(vocab).map(<[f32]>::to_vec).collect();
        Ok(scores
            .chunks_exact(tokens.len() * vocab)
            .map(of_row)
            .collect())
    }

    /// Runs tokens after each row, padded on the left to one length.
    fn run(&mut self, ends: &[Vec<u32>], images: Option<Tensor<3>>) -> Result<(), ModelError> {
        let (model, llm) = (self.model, self.model.llm);
        let longest = ends.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Ok(());
        }
        self.cache.reserve(self.cache.length() + longest)?;
        let padded = |end: &Vec<u32>| [&vec![model.pad; longest - end.len()], &end[..]].concat();
        let real = |end: &Vec<u32>| (0..longest).map(|at| at + end.len() >= longest).collect();
        let rows: Vec<_> = ends.iter().map(padded).collect();
        // All rows have the longest length.
        let mask = TokenMask::new(ends.iter().map(real).collect()).unwrap_or_default();
        let hidden = model.forward(&rows, &mask, images.as_ref(), Some(&mut self.cache))?;
        let scores = numbers(llm.scores(hidden.narrow(1, longest - 1, 1))?)?;
        let of_rows = scores.chunks_exact(llm.config().vocab_size);
        self.scores = of_rows.map(<[f32]>::to_vec).collect();
        for (row, end) in self.tokens.iter_mut().zip(ends) {
            row.extend_from_slice(end);
        }
        Ok(())
    }
}
