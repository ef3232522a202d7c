//! Keys and values of tokens already seen.

use std::any::Any;
use std::fmt::Debug;

use super::TokenMask;
use crate::ModelError;

/// Where a kind of decoder keeps keys and values of all layers.
pub trait KeyValues: Any + Debug + Send + Sync {
    /// Makes room for `capacity` tokens per row; keeps the first `length`.
    fn grow(&mut self, length: usize, capacity: usize);

    /// Keys and values of the named rows, also repeatedly.
    ///
    /// # Panics
    ///
    /// When a row does not exist.
    fn select(&self, rows: &[usize]) -> Box<dyn KeyValues>;

    /// The same once more; memory may be shared until one of the two is written.
    fn duplicate(&self) -> Box<dyn KeyValues>;

    /// Whether room takes memory only where it is written, so that it may be made ahead.
    fn is_cleared_lazily(&self) -> bool;
}

/// Keys and values of all layers.
///
/// A clone shares memory with its original until one of them is written, so a cache that holds a
/// common prefix can be kept and cloned for each continuation.
#[derive(Debug)]
pub struct KvCache {
    values: Box<dyn KeyValues>,
    capacity: usize,
    limit: usize,
    mask: TokenMask,
}

impl KvCache {
    /// An empty cache with room for `capacity` tokens per row, padding included, of which `limit`
    /// may be real.
    #[must_use]
    pub fn new(values: impl KeyValues, capacity: usize, limit: usize) -> Self {
        Self {
            values: Box::new(values),
            capacity,
            limit,
            mask: TokenMask::default(),
        }
    }

    /// The keys and values, for the decoder that made the cache.
    ///
    /// # Errors
    ///
    /// [`ModelError::Input`] when another kind of decoder made it.
    pub fn values<V: KeyValues>(&mut self) -> Result<&mut V, ModelError> {
        let values: &mut dyn Any = self.values.as_mut();
        values.downcast_mut().ok_or_else(|| ModelError::Input {
            what: "cache",
            reason: "another kind of decoder made it".to_owned(),
        })
    }

    /// Tokens per row so far, padding included.
    #[must_use]
    pub fn length(&self) -> usize {
        self.mask.length()
    }

    /// Tokens per row that fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Which of the tokens so far are real.
    #[must_use]
    pub fn mask(&self) -> &TokenMask {
        &self.mask
    }

    /// Forgets all but the first tokens of every row.
    pub fn truncate(&mut self, length: usize) {
        self.mask.truncate(length);
    }

    /// Makes room for more tokens per row; keeps what is there.
    ///
    /// # Errors
    ///
    /// [`ModelError::ContextTooLong`] beyond the positions of the model; padding takes none.
    pub fn reserve(&mut self, tokens: usize) -> Result<(), ModelError> {
        let limit = self.limit + self.mask.most_padding();
        if tokens > limit {
            return Err(ModelError::ContextTooLong { tokens, limit });
        }
        if tokens > self.capacity {
            // Growing by half again keeps the cost of copying small when tokens come one by one.
            // Room that takes no memory is made ahead.
            let known = match self.values.is_cleared_lazily() {
                true => tokens,
                false => self.capacity,
            };
            let capacity = (known + known / 2).clamp(tokens, limit);
            self.values.grow(self.mask.length(), capacity);
            self.capacity = capacity;
        }
        self.mask.reserve(tokens);
        Ok(())
    }

    /// Notes one token after the only row, where there is no padding and room for it, and gives
    /// its position; [`begin`](Self::begin) says what is wrong elsewhere.
    pub(crate) fn begin_token(&mut self) -> Option<usize> {
        let position = self.length();
        let fits = position < self.capacity.min(self.limit) && self.mask.push();
        fits.then_some(position)
    }

    /// Notes new tokens; their keys and values follow layer by layer.
    pub(super) fn begin(&mut self, new: &TokenMask) -> Result<(), ModelError> {
        let tokens = self.length() + new.length();
        if tokens > self.capacity {
            return Err(ModelError::ContextTooLong {
                tokens,
                limit: self.capacity,
            });
        }
        if self.mask.batch() != 0 && self.mask.batch() != new.batch() {
            return Err(ModelError::Input {
                what: "tokens",
                reason: format!("{} rows for a cache of {}", new.batch(), self.mask.batch()),
            });
        }
        self.mask.check_limit(new, self.limit)?;
        self.mask.extend(new);
        Ok(())
    }

    /// A cache whose rows are the named ones of this, also repeatedly.
    ///
    /// # Panics
    ///
    /// When a row does not exist.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            values: self.values.select(rows),
            capacity: self.capacity,
            limit: self.limit,
            mask: self.mask.select(rows),
        }
    }
}

impl Clone for KvCache {
    fn clone(&self) -> Self {
        Self {
            values: self.values.duplicate(),
            capacity: self.capacity,
            limit: self.limit,
            mask: self.mask.clone(),
        }
    }
}
