//! The language model.

use std::borrow::Cow;
use std::fmt::Debug;

use burn::tensor::{DType, Device, Tensor};

use super::{KvCache, Seen, TokenMask, numbers};
use crate::{LlmConfig, ModelError};

/// New tokens of a batch, of which positions and sight are known.
#[derive(Debug, Clone, Default)]
pub struct Pass {
    /// Tokens per row that the cache held before.
    pub start: usize,
    /// New tokens per row.
    pub length: usize,
    /// Position of each new token, row by row.
    pub positions: Vec<Vec<usize>>,
    /// What each new token sees.
    pub seen: Seen,
}

impl Pass {
    /// A pass of one row without padding as shorter ones of at most so many tokens, one after the
    /// other; any other as it is.
    pub(crate) fn parts(&self, most: usize) -> Cow<'_, [Self]> {
        let count = self.length.div_ceil(most);
        let ([positions], Seen::Before, 2..) = (&self.positions[..], &self.seen, count) else {
            return std::slice::from_ref(self).into();
        };
        // Equal parts, so that the last one is not short.
        let step = self.length.div_ceil(count);
        let part = |(index, positions): (usize, &[usize])| Self {
            start: self.start + index * step,
            length: positions.len(),
            positions: vec![positions.to_vec()],
            seen: Seen::Before,
        };
        positions.chunks(step).enumerate().map(part).collect()
    }
}

/// A language model of the LLaMA family: tokens in, scores of the next token out.
///
/// [`forward`](Self::forward) and [`forward_branches`](Self::forward_branches) say how the parts
/// below them belong together; an implementation has [`run`](Self::run) and a cache of its own.
pub trait Decoder: Debug + Send + Sync {
    /// Sizes and options.
    fn config(&self) -> &LlmConfig;

    /// Number format of the activations.
    fn dtype(&self) -> DType;

    /// Where tensors that go in have to be.
    fn device(&self) -> Device;

    /// Bytes of weights that are packed; `None` for weights of burn.
    fn packed_bytes(&self) -> Option<usize> {
        None
    }

    /// Whether up to [`FEW_TOKENS`](expllm_kernels::FEW_TOKENS) tokens of a row give the same
    /// scores together as one by one, bit for bit.
    fn few_are_exact(&self) -> bool {
        false
    }

    /// An empty cache for `batch` rows of at most `capacity` tokens, padding included.
    fn cache(&self, batch: usize, capacity: usize) -> KvCache;

    /// Looks tokens up.
    ///
    /// # Shapes
    ///
    /// Rows of equal length to `[batch, length, width]`.
    ///
    /// # Errors
    ///
    /// [`ModelError::TokenOutsideVocabulary`].
    fn embed(&self, tokens: &[Vec<u32>]) -> Result<Tensor<3>, ModelError>;

    /// Runs the layers over new tokens, which the cache, if there is one, has taken note of.
    ///
    /// # Shapes
    ///
    /// `[batch, length, width]` to the same, after the final norm.
    ///
    /// # Errors
    ///
    /// [`ModelError::Input`] for the cache of another kind of decoder, [`ModelError::Device`]
    /// when the computation fails.
    fn run(
        &self,
        embeddings: Tensor<3>,
        pass: &Pass,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor<3>, ModelError>;

    /// Scores of every token of the vocabulary after each position.
    ///
    /// # Shapes
    ///
    /// `[batch, length, width]` to `[batch, length, vocab]`, f32.
    ///
    /// # Errors
    ///
    /// [`ModelError::Device`] when the computation fails.
    fn scores(&self, hidden: Tensor<3>) -> Result<Tensor<3>, ModelError>;

    /// Runs the layers over new tokens; with a cache, after those that it holds.
    ///
    /// # Shapes
    ///
    /// `[batch, length, width]` to the same, after the final norm.
    ///
    /// # Errors
    ///
    /// [`ModelError::ContextTooLong`], or [`ModelError::Input`] when mask and embeddings differ
    /// in size.
    fn forward(
        &self,
        embeddings: Tensor<3>,
        mask: &TokenMask,
        mut cache: Option<&mut KvCache>,
    ) -> Result<Tensor<3>, ModelError> {
        mask.check_size(&embeddings)?;
        let start = cache.as_ref().map_or(0, |cache| cache.length());
        let pass = match &mut cache {
            Some(cache) => {
                cache.begin(mask)?;
                cache.mask().pass(start)
            }
            None => {
                let limit = self.config().max_positions;
                TokenMask::default().check_limit(mask, limit)?;
                mask.pass(start)
            }
        };
        self.run(embeddings, &pass, cache)
    }

    /// Runs one token after the only row of a cache and puts the scores after it in place of
    /// others. An implementation may do so without taking memory.
    ///
    /// # Errors
    ///
    /// As [`embed`](Self::embed), [`forward`](Self::forward) and [`scores`](Self::scores).
    fn step(
        &self,
        token: u32,
        cache: &mut KvCache,
        scores: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        step(self, token, cache, scores)
    }

    /// Runs tokens that branch after each row of a cache, in one pass; the cache is left as it
    /// was, with room for the tokens.
    ///
    /// `parents[i]` is the token that comes before token `i`, or `None` for the end of the row.
    ///
    /// # Shapes
    ///
    /// Output: `[batch, tokens, width]`, after the final norm.
    ///
    /// # Errors
    ///
    /// [`ModelError::ContextTooLong`], [`ModelError::TokenOutsideVocabulary`], or
    /// [`ModelError::Input`] when a parent does not stand before its child.
    fn forward_branches(
        &self,
        tokens: &[u32],
        parents: &[Option<usize>],
        cache: &mut KvCache,
    ) -> Result<Tensor<3>, ModelError> {
        check_parents(tokens, parents)?;
        let (start, batch) = (cache.length(), cache.mask().batch());
        let embeddings = self.embed(&vec![tokens.to_vec(); batch])?;
        cache.reserve(start + tokens.len())?;
        let pass = cache.mask().branches(parents);
        cache.begin(&TokenMask::full(batch, tokens.len()))?;
        let hidden = self.run(embeddings, &pass, Some(cache));
        cache.truncate(start);
        hidden
    }
}

/// One token as any others.
pub(crate) fn step<D: Decoder + ?Sized>(
    decoder: &D,
    token: u32,
    cache: &mut KvCache,
    scores: &mut Vec<f32>,
) -> Result<(), ModelError> {
    let embedded = decoder.embed(&[vec![token]])?;
    let hidden = decoder.forward(embedded, &TokenMask::full(1, 1), Some(cache))?;
    *scores = numbers(decoder.scores(hidden)?)?;
    Ok(())
}

/// Checks that all tokens are in the vocabulary.
pub(crate) fn check_tokens<'a>(
    config: &LlmConfig,
    tokens: impl IntoIterator<Item = &'a u32>,
) -> Result<(), ModelError> {
    let vocab_size = config.vocab_size;
    let outside = |&&id: &&u32| id as usize >= vocab_size;
    match tokens.into_iter().find(outside) {
        Some(&id) => Err(ModelError::TokenOutsideVocabulary { id, vocab_size }),
        None => Ok(()),
    }
}

fn check_parents(tokens: &[u32], parents: &[Option<usize>]) -> Result<(), ModelError> {
    let stands = |(node, parent): (usize, &Option<usize>)| parent.is_none_or(|p| p < node);
    let fits = !tokens.is_empty() && tokens.len() == parents.len();
    if fits && parents.iter().enumerate().all(stands) {
        return Ok(());
    }
    Err(ModelError::Input {
        what: "branches",
        reason: "every token needs a parent that stands before it".to_owned(),
    })
}
