//! The whole language model.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::super::{Linear, RmsNorm};
use super::bias::bias;
use super::cache::Layers;
use super::{AttentionContext, DecoderLayer, Rotary};
use crate::parts::{Decoder, KvCache, Pass, check_tokens};
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
            rotary: Rotary::new(config),
            config: config.clone(),
        }
    }

    /// Sizes and options.
    #[must_use]
    pub fn config(&self) -> &LlmConfig {
        &self.config
    }

    /// Number format of the weights.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.embed_tokens.weight.val().dtype()
    }

    /// Where the weights are.
    #[must_use]
    pub fn device(&self) -> Device {
        self.embed_tokens.weight.lazy_device()
    }

    /// Scores of every token of the vocabulary after each position.
    ///
    /// # Shapes
    ///
    /// `[batch, length, width]` to `[batch, length, vocab]`, f32.
    #[must_use]
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
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

impl Decoder for Llama {
    fn config(&self) -> &LlmConfig {
        &self.config
    }

    fn dtype(&self) -> DType {
        self.dtype()
    }

    fn device(&self) -> Device {
        self.device()
    }

    fn cache(&self, batch: usize, capacity: usize) -> KvCache {
        let memory = (self.dtype(), &self.device());
        let layers = Layers::new(&self.config, [batch, capacity], memory);
        KvCache::new(layers, capacity, self.config.max_positions)
    }

    fn embed(&self, tokens: &[Vec<u32>]) -> Result<Tensor<3>, ModelError> {
        check_tokens(&self.config, tokens.iter().flatten())?;
        let ids: Vec<i64> = tokens.iter().flatten().map(|&id| i64::from(id)).collect();
        let (batch, count) = (tokens.len(), ids.len());
        let data = TensorData::new(ids, [count]);
        let ids = Tensor::<1, Int>::from_data(data, &self.device());
        let width = self.config.hidden_size;
        let rows = self.embed_tokens.weight.val().select(0, ids);
        Ok(rows.reshape([batch, count / batch.max(1), width]))
    }

    fn run(
        &self,
        mut tokens: Tensor<3>,
        pass: &Pass,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor<3>, ModelError> {
        let (dtype, device) = (tokens.dtype(), tokens.device());
        let context = AttentionContext {
            rotary: self.rotary.tables(&pass.positions, dtype, &device),
            bias: bias(pass, &device),
            start: pass.start,
        };
        let mut kept = cache.map(KvCache::values::<Layers>).transpose()?;
        for (index, layer) in self.layers.iter().enumerate() {
            let kept = kept.as_mut().and_then(|layers| layers.0.get_mut(index));
            tokens = layer.forward(tokens, &context, kept);
        }
        Ok(self.norm.forward(tokens))
    }

    fn scores(&self, hidden: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        Ok(self.logits(hidden))
    }
}
