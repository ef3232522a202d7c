//! Keys and values of tokens already seen.

use burn::tensor::{DType, Device, Tensor, s};

use super::TokenMask;
use crate::processor::ProcessorCache;
use crate::{LlmConfig, ModelError};

/// Keys and values of one layer, in memory for the whole sequence from the start.
#[derive(Debug, Clone)]
pub struct LayerCache {
    /// `[batch, kv_heads, capacity, head_dim]`; `None` only while it is being written.
    buffers: Option<[Tensor<4>; 2]>,
}

/// Keys and values of all layers.
///
/// A clone shares memory with its original until one of them is written, so a cache that holds a
/// common prefix can be kept and cloned for each continuation.
#[derive(Debug, Clone)]
pub struct KvCache {
    pub(super) layers: Vec<LayerCache>,
    /// In place of the layers, for a model with packed weights.
    pub(super) processor: Option<ProcessorCache>,
    capacity: usize,
    limit: usize,
    mask: TokenMask,
}

impl KvCache {
    /// An empty cache for `batch` rows of at most `capacity` tokens, padding included.
    #[must_use]
    pub fn new(
        config: &LlmConfig,
        [batch, capacity]: [usize; 2],
        dtype: DType,
        device: &Device,
    ) -> Self {
        let shape = [batch, config.num_kv_heads, capacity, config.head_dim];
        let layer = || LayerCache {
            buffers: Some([(); 2].map(|()| Tensor::zeros(shape, (device, dtype)))),
        };
        Self {
            layers: (0..config.num_layers).map(|_| layer()).collect(),
            processor: None,
            capacity,
            limit: config.max_positions,
            mask: TokenMask::default(),
        }
    }

    /// As [`new`](Self::new), in f16 and for packed weights.
    pub(crate) fn on_processor(config: &LlmConfig, [batch, capacity]: [usize; 2]) -> Self {
        Self {
            layers: Vec::new(),
            processor: Some(ProcessorCache::new(config, [batch, capacity])),
            capacity,
            limit: config.max_positions,
            mask: TokenMask::default(),
        }
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
            // On the processor room that is not written takes no memory, so it is made ahead.
            let known = match self.processor {
                Some(_) => tokens,
                None => self.capacity,
            };
            let capacity = (known + known / 2).clamp(tokens, limit);
            let length = self.length();
            self.layers
                .iter_mut()
                .for_each(|layer| layer.grow(length, capacity));
            if let Some(processor) = &mut self.processor {
                processor.grow(length, capacity);
            }
            self.capacity = capacity;
        }
        Ok(())
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
        let mut whole = self.mask.clone();
        whole.extend(new);
        whole.check_limit(self.limit)?;
        self.mask = whole;
        Ok(())
    }

    /// A cache whose rows are the named ones of this, also repeatedly.
    ///
    /// # Panics
    ///
    /// When a row does not exist.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let layers = self.layers.iter().map(|layer| layer.select(rows));
        Self {
            layers: layers.collect(),
            processor: self.processor.as_ref().map(|cache| cache.select(rows)),
            capacity: self.capacity,
            limit: self.limit,
            mask: self.mask.select(rows),
        }
    }
}

impl LayerCache {
    /// Writes new keys and values after `start` and returns all up to there.
    ///
    /// # Shapes
    ///
    /// `new`: `[batch, kv_heads, length, head_dim]` each; output: the same with
    /// `start + length`.
    pub(super) fn update(&mut self, start: usize, new: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
        let end = start + new[0].dims()[2];
        let Some(buffers) = self.buffers.take() else {
            return new;
        };
        // The buffers are owned here alone, so that backends write in place.
        let [keys, values] = new;
        let [key_buffer, value_buffer] = buffers;
        let buffers = [
            key_buffer.slice_assign(s![.., .., start..end, ..], keys),
            value_buffer.slice_assign(s![.., .., start..end, ..], values),
        ];
        self.buffers = Some(buffers.clone());
        buffers.map(|buffer| buffer.narrow(2, 0, end))
    }

    fn grow(&mut self, length: usize, capacity: usize) {
        self.buffers = self.buffers.take().map(|buffers| {
            buffers.map(|buffer| {
                let [batch, heads, _, width] = buffer.dims();
                let options = (&buffer.device(), buffer.dtype());
                let larger = Tensor::zeros([batch, heads, capacity, width], options);
                if length == 0 {
                    return larger;
                }
                larger.slice_assign(s![.., .., 0..length, ..], buffer.narrow(2, 0, length))
            })
        });
    }

    fn select(&self, rows: &[usize]) -> Self {
        let pick = |buffer: &Tensor<4>| {
            let rows = rows
                .iter()
                .map(|&row| buffer.clone().narrow(0, row, 1))
                .collect();
            Tensor::cat(rows, 0)
        };
        Self {
            buffers: self.buffers.as_ref().map(|[k, v]| [pick(k), pick(v)]),
        }
    }
}
