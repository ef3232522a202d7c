//! Self-attention of the language model.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Tensor};

use super::super::Linear;
use super::{LayerCache, RotaryTables};
use crate::LlmConfig;

/// What all layers share in one pass.
#[derive(Debug, Clone)]
pub struct AttentionContext {
    /// Sines and cosines of the new tokens.
    pub(super) rotary: RotaryTables,
    /// Added to the scores, so that tokens see what they may.
    pub(super) bias: Option<Tensor<4>>,
    /// Tokens that the cache held before.
    pub(super) start: usize,
}

/// Grouped-query attention with rotary positions
/// ([Ainslie et al. 2023](https://arxiv.org/abs/2305.13245)).
#[derive(Module, Debug)]
pub struct LlamaAttention {
    /// Queries: `[heads * head_dim, width]`.
    pub q_proj: Linear,
    /// Keys: `[kv_heads * head_dim, width]`.
    pub k_proj: Linear,
    /// Values: `[kv_heads * head_dim, width]`.
    pub v_proj: Linear,
    /// Output: `[width, heads * head_dim]`.
    pub o_proj: Linear,
    num_heads: usize,
    num_kv_heads: usize,
    head_dim: usize,
}

impl LlamaAttention {
    /// Frozen projections with small random weights, trainable adapters.
    #[must_use]
    pub fn new(config: &LlmConfig, device: &Device) -> Self {
        let inner = config.num_heads * config.head_dim;
        let shared = config.num_kv_heads * config.head_dim;
        let width = config.hidden_size;
        let linear = |name, shape| projection(name, shape, config, device);
        Self {
            q_proj: linear("q_proj", [width, inner]),
            k_proj: linear("k_proj", [width, shared]),
            v_proj: linear("v_proj", [width, shared]),
            o_proj: linear("o_proj", [inner, width]),
            num_heads: config.num_heads,
            num_kv_heads: config.num_kv_heads,
            head_dim: config.head_dim,
        }
    }

    /// Each token attends to the real tokens up to itself.
    ///
    /// # Shapes
    ///
    /// `[batch, length, width]` to the same.
    #[must_use]
    pub fn forward(
        &self,
        tokens: Tensor<3>,
        context: &AttentionContext,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let [batch, length, _] = tokens.dims();
        let heads = |projection: &Linear, count: usize| {
            projection
                .forward(tokens.clone())
                .reshape([batch, length, count, self.head_dim])
                .swap_dims(1, 2)
        };
        let query = context.rotary.apply(heads(&self.q_proj, self.num_heads));
        let key = context.rotary.apply(heads(&self.k_proj, self.num_kv_heads));
        let value = heads(&self.v_proj, self.num_kv_heads);
        let [key, value] = match cache {
            Some(cache) => cache.update(context.start, [key, value]),
            None => [key, value],
        };
        let mixed = grouped_query_attention(query, [key, value], context.bias.clone());
        let inner = self.num_heads * self.head_dim;
        self.o_proj
            .forward(mixed.swap_dims(1, 2).reshape([batch, length, inner]))
    }

    /// Adds the adapters into the weights.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        self.q_proj = self.q_proj.merge_lora();
        self.k_proj = self.k_proj.merge_lora();
        self.v_proj = self.v_proj.merge_lora();
        self.o_proj = self.o_proj.merge_lora();
        self
    }
}

/// `softmax(q k^T / sqrt(head_dim) + bias) v`, the softmax in f32; neighbouring query heads share
/// a head of keys and values.
///
/// # Shapes
///
/// - `query`: `[batch, heads, length, head_dim]`
/// - keys and values: `[batch, kv_heads, total, head_dim]`, `kv_heads` a divisor of `heads`
/// - `bias`: `[batch or 1, 1, length, total]`, f32
/// - output: as `query`
#[must_use]
pub fn grouped_query_attention(
    query: Tensor<4>,
    [key, value]: [Tensor<4>; 2],
    bias: Option<Tensor<4>>,
) -> Tensor<4> {
    let [batch, heads, length, head_dim] = query.dims();
    let [_, kv_heads, total, _] = key.dims();
    let dtype = query.dtype();
    // Queries that share keys are stacked, so that keys are read once and never repeated.
    let rows = heads / kv_heads * length;
    let query = query.reshape([batch, kv_heads, rows, head_dim]);
    let scores = query.matmul(key.transpose()).cast(DType::F32);
    let mut scores = scores.reshape([batch, heads, length, total]) / (head_dim as f64).sqrt();
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    softmax(scores, 3)
        .cast(dtype)
        .reshape([batch, kv_heads, rows, total])
        .matmul(value)
        .reshape([batch, heads, length, head_dim])
}

/// A projection without bias, with an adapter where the configuration names it.
pub(super) fn projection(
    name: &str,
    shape: [usize; 2],
    config: &LlmConfig,
    device: &Device,
) -> Linear {
    let linear = Linear::new(shape, false, device);
    match config.lora.as_ref().filter(|lora| lora.adapts(name)) {
        Some(lora) => linear.with_lora(lora),
        None => linear,
    }
}
