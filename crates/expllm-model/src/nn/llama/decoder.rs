//! The whole language model.

use std::sync::Arc;

use burn::module::{Initializer, Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::super::{Linear, RmsNorm};
use super::mask::Branches;
use super::{AttentionContext, DecoderLayer, KvCache, Rotary, TokenMask};
use crate::processor::{self, Pass, ProcessorDecoder, Seen};
use crate::{LlmConfig, ModelError};

/// A language model of the LLaMA family.
#[derive(Module, Debug)]
pub struct Llama {
    /// The embedding table: `[vocab, width]`.
    pub embed_tokens: Embedding,
    /// The layers.
    pub layers: Vec<DecoderLayer>,
    /// The final norm.
    pub norm: RmsNorm,
    /// The head: `[vocab, width]`; `None` when it is the embedding table.
    pub lm_head: Option<Linear>,
    /// Packed weights, which are used in place of all of the above.
    #[module(skip)]
    processor: Option<Arc<ProcessorDecoder>>,
    #[module(skip)]
    rotary: Rotary,
    #[module(skip)]
    config: LlmConfig,
}

/// One vector per token.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[vocab, width]`.
    pub weight: Param<Tensor<2>>,
}

impl Llama {
    /// A frozen model with small random weights, trainable adapters.
    #[must_use]
    pub fn new(config: &LlmConfig, device: &Device) -> Self {
        let (vocab, width) = (config.vocab_size, config.hidden_size);
        let weight = Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        let weight: Param<Tensor<2>> = weight.init([vocab, width], device);
        let layers = (0..config.num_layers).map(|_| DecoderLayer::new(config, device));
        let head = || Linear::new([width, vocab], false, device);
        Self {
            embed_tokens: Embedding {
                weight: weight.set_require_grad(false),
            },
            layers: layers.collect(),
            norm: RmsNorm::new(width, config.rms_norm_eps, device),
            lm_head: (!config.tie_word_embeddings).then(head),
            processor: None,
            rotary: Rotary::new(config),
            config: config.clone(),
        }
    }

    /// Sizes and options.
    #[must_use]
    pub fn config(&self) -> &LlmConfig {
        &self.config
    }

    /// Runs with packed weights from now on.
    pub(crate) fn set_processor(&mut self, decoder: ProcessorDecoder) {
        self.processor = Some(Arc::new(decoder));
    }

    /// Bytes of packed weights; `None` for weights of burn.
    #[must_use]
    pub fn packed_bytes(&self) -> Option<usize> {
        self.processor.as_ref().map(|decoder| decoder.memory())
    }

    /// Number format of the weights; that of activations when weights are packed.
    #[must_use]
    pub fn dtype(&self) -> DType {
        if self.processor.is_some() {
            return DType::F32;
        }
        self.embed_tokens.weight.val().dtype()
    }

    /// Where the weights are.
    #[must_use]
    pub fn device(&self) -> Device {
        self.embed_tokens.weight.lazy_device()
    }

    /// An empty cache for `batch` rows of at most `capacity` tokens, padding included.
    #[must_use]
    pub fn cache(&self, batch: usize, capacity: usize) -> KvCache {
        let size = [batch, capacity];
        if self.processor.is_some() {
            return KvCache::on_processor(&self.config, size);
        }
        KvCache::new(&self.config, size, self.dtype(), &self.device())
    }

    /// Looks tokens up.
    ///
    /// # Shapes
    ///
    /// Rows of equal length to `[batch, length, width]`.
    ///
    /// # Errors
    ///
    /// [`ModelError::TokenOutsideVocabulary`].
    pub fn embed(&self, tokens: &[Vec<u32>]) -> Result<Tensor<3>, ModelError> {
        let vocab_size = self.config.vocab_size;
        let outside = |&&id: &&u32| id as usize >= vocab_size;
        if let Some(&id) = tokens.iter().flatten().find(outside) {
            return Err(ModelError::TokenOutsideVocabulary { id, vocab_size });
        }
        if let Some(decoder) = &self.processor {
            let rows = decoder.embed(tokens)?;
            let shape = [
                tokens.len(),
                tokens.first().map_or(0, Vec::len),
                self.config.hidden_size,
            ];
            return Ok(processor::tensor(rows, shape, &self.device()));
        }
        let ids: Vec<i64> = tokens.iter().flatten().map(|&id| i64::from(id)).collect();
        let (batch, count) = (tokens.len(), ids.len());
        let data = TensorData::new(ids, [count]);
        let ids = Tensor::<1, Int>::from_data(data, &self.device());
        let width = self.config.hidden_size;
        let rows = self.embed_tokens.weight.val().select(0, ids);
        Ok(rows.reshape([batch, count / batch.max(1), width]))
    }

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
    pub fn forward(
        &self,
        embeddings: Tensor<3>,
        mask: &TokenMask,
        mut cache: Option<&mut KvCache>,
    ) -> Result<Tensor<3>, ModelError> {
        let [batch, length, _] = embeddings.dims();
        if [mask.batch(), mask.length()] != [batch, length] || batch == 0 || length == 0 {
            return Err(ModelError::Input {
                what: "token mask",
                reason: format!(
                    "{} x {} for tokens of {batch} x {length}",
                    mask.batch(),
                    mask.length()
                ),
            });
        }
        if let Some(decoder) = &self.processor {
            return self.forward_packed(decoder, embeddings, mask, cache);
        }
        let context = self.context(&embeddings, mask, cache.as_deref_mut())?;
        Ok(self.run_layers(embeddings, &context, cache))
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
    pub fn forward_branches(
        &self,
        tokens: &[u32],
        parents: &[Option<usize>],
        cache: &mut KvCache,
    ) -> Result<Tensor<3>, ModelError> {
        let backwards = |(node, parent): (usize, &Option<usize>)| parent.is_some_and(|p| p >= node);
        if tokens.is_empty()
            || tokens.len() != parents.len()
            || parents.iter().enumerate().any(backwards)
        {
            return Err(ModelError::Input {
                what: "branches",
                reason: "every token needs a parent that stands before it".to_owned(),
            });
        }
        let start = cache.length();
        let batch = cache.mask().batch();
        let embeddings = self.embed(&vec![tokens.to_vec(); batch])?;
        cache.reserve(start + tokens.len())?;
        let device = embeddings.device();
        let branches = Branches::new(cache.mask(), parents, &device);
        if let Some(decoder) = &self.processor {
            cache.begin(&TokenMask::full(batch, tokens.len()))?;
            let seen = seen_by(branches.bias, batch);
            let pass = Pass {
                length: tokens.len(),
                start,
                positions: &branches.positions,
                seen: &seen,
            };
            let hidden = run_packed(decoder, embeddings, &pass, cache);
            cache.truncate(start);
            return hidden;
        }
        let rotary = &self.rotary;
        let context = AttentionContext {
            rotary: rotary.tables(&branches.positions, embeddings.dtype(), &device),
            bias: Some(branches.bias),
            start,
        };
        cache.begin(&TokenMask::full(batch, tokens.len()))?;
        let hidden = self.run_layers(embeddings, &context, Some(cache));
        cache.truncate(start);
        Ok(hidden)
    }

    fn forward_packed(
        &self,
        decoder: &ProcessorDecoder,
        embeddings: Tensor<3>,
        mask: &TokenMask,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor<3>, ModelError> {
        let size = [mask.batch(), mask.length()];
        let mut own = None;
        let cache = match cache {
            Some(cache) => cache,
            None => own.insert(KvCache::on_processor(&self.config, size)),
        };
        let start = cache.length();
        cache.begin(mask)?;
        let whole = cache.mask();
        let padded = whole.rows().iter().flatten().any(|&real| !real);
        let bias = match padded {
            true => whole.bias(start, &self.device()),
            false => None,
        };
        let seen = match bias {
            Some(bias) => seen_by(bias, mask.batch()),
            None => vec![Seen::Before; mask.batch()],
        };
        let positions = whole.positions(start);
        let pass = Pass {
            length: mask.length(),
            start,
            positions: &positions,
            seen: &seen,
        };
        run_packed(decoder, embeddings, &pass, cache)
    }

    fn run_layers(
        &self,
        mut tokens: Tensor<3>,
        context: &AttentionContext,
        mut cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        for (index, layer) in self.layers.iter().enumerate() {
            let cache = cache.as_mut().and_then(|cache| cache.layers.get_mut(index));
            tokens = layer.forward(tokens, context, cache);
        }
        self.norm.forward(tokens)
    }

    /// What the layers share: positions, masks and the place in the cache.
    fn context(
        &self,
        embeddings: &Tensor<3>,
        mask: &TokenMask,
        cache: Option<&mut KvCache>,
    ) -> Result<AttentionContext, ModelError> {
        let (start, whole) = match cache {
            Some(cache) => {
                let start = cache.length();
                cache.begin(mask)?;
                (start, cache.mask().clone())
            }
            None => {
                mask.check_limit(self.config.max_positions)?;
                (0, mask.clone())
            }
        };
        let device = embeddings.device();
        let positions = whole.positions(start);
        Ok(AttentionContext {
            rotary: self.rotary.tables(&positions, embeddings.dtype(), &device),
            bias: whole.bias(start, &device),
            start,
        })
    }

    /// Scores of every token of the vocabulary after each position.
    ///
    /// # Shapes
    ///
    /// `[batch, length, width]` to `[batch, length, vocab]`, f32.
    #[must_use]
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        if let Some(decoder) = &self.processor {
            let [batch, length, _] = hidden.dims();
            let vocab = self.config.vocab_size;
            let device = hidden.device();
            let scores = decoder.logits(&processor::numbers(hidden));
            // Sizes always fit; scores that are no numbers end generation with an error.
            let scores = scores.unwrap_or_else(|_| vec![f32::NAN; batch * length * vocab]);
            return processor::tensor(scores, [batch, length, vocab], &device);
        }
        let logits = match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => {
                let table = self.embed_tokens.weight.val().transpose();
                burn::tensor::module::linear(hidden, table, None)
            }
        };
        logits.cast(DType::F32)
    }

    /// Adds the adapters into the weights.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        let layers = self.layers.into_iter().map(DecoderLayer::merge_lora);
        self.layers = layers.collect();
        self
    }
}

/// Runs packed weights over new tokens, which the cache has taken note of.
fn run_packed(
    decoder: &ProcessorDecoder,
    embeddings: Tensor<3>,
    pass: &Pass<'_>,
    cache: &mut KvCache,
) -> Result<Tensor<3>, ModelError> {
    let (shape, device) = (embeddings.dims(), embeddings.device());
    let cache = cache.processor.as_mut().ok_or_else(|| ModelError::Input {
        what: "cache",
        reason: "it belongs to a model whose weights are not packed".to_owned(),
    })?;
    let hidden = decoder.forward(processor::numbers(embeddings), pass, cache)?;
    Ok(processor::tensor(hidden, shape, &device))
}

/// What each row sees, from what is added to its scores: `[batch or 1, 1, length, total]`.
fn seen_by(bias: Tensor<4>, batch: usize) -> Vec<Seen> {
    let rows = bias.dims()[0];
    let open: Vec<bool> = processor::numbers(bias)
        .into_iter()
        .map(|added| added == 0.0)
        .collect();
    let size = open.len() / rows.max(1);
    (0..batch)
        .map(|row| {
            let start = row.min(rows - 1) * size;
            Seen::Rows(open[start..start + size].to_vec())
        })
        .collect()
}
