//! Self-attention of the vision encoder.

use burn::module::Module;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, Tensor};

use super::super::{Linear, LoraAdapter};
use crate::Dinov2Config;

/// Multi-head self-attention with one fused projection, and adapters on slices of it.
#[derive(Module, Debug)]
pub struct VisionAttention {
    /// Query, key and value projections, one above the other: `[3 * width, width]`.
    pub qkv: Linear,
    /// Output projection.
    pub proj: Linear,
    /// Adapter of the query slice.
    pub lora_q: Option<LoraAdapter>,
    /// Adapter of the key slice.
    pub lora_k: Option<LoraAdapter>,
    /// Adapter of the value slice.
    pub lora_v: Option<LoraAdapter>,
    num_heads: usize,
}

impl VisionAttention {
    /// Frozen projections with small random weights, trainable adapters.
    #[must_use]
    pub fn new(config: &Dinov2Config, device: &Device) -> Self {
        let width = config.embed_dim;
        let adapter = |name: &str| {
            let lora = config.lora.as_ref().filter(|lora| lora.adapts(name))?;
            Some(LoraAdapter::new([width, width], lora, device))
        };
        Self {
            qkv: Linear::new([width, 3 * width], true, device),
            proj: Linear::new([width, width], true, device),
            lora_q: adapter("q"),
            lora_k: adapter("k"),
            lora_v: adapter("v"),
            num_heads: config.num_heads,
        }
    }

    /// Every token attends to every token.
    ///
    /// # Shapes
    ///
    /// `[batch, tokens, width]` to the same.
    #[must_use]
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let fused = self.qkv.forward(tokens.clone());
        let slice = |index: usize, lora: &Option<LoraAdapter>| {
            let mut part = fused.clone().narrow(2, index * width, width);
            if let Some(lora) = lora {
                part = part + lora.forward(tokens.clone());
            }
            part.reshape([batch, length, self.num_heads, width / self.num_heads])
                .swap_dims(1, 2)
        };
        let query = slice(0, &self.lora_q);
        let key = slice(1, &self.lora_k);
        let value = slice(2, &self.lora_v);
        let options = AttentionModuleOptions::default();
        let mixed = attention(query, key, value, None, None, options);
        self.proj
            .forward(mixed.swap_dims(1, 2).reshape([batch, length, width]))
    }

    /// Adds the adapters into their slices of the fused weight and drops them.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        let adapters = [self.lora_q.take(), self.lora_k.take(), self.lora_v.take()];
        if adapters.iter().all(Option::is_none) {
            return self;
        }
        self.qkv.weight = self.qkv.weight.map(|weight| {
            let dtype = weight.dtype();
            let slices = weight.cast(DType::F32).chunk(3, 0);
            let merged = slices
                .into_iter()
                .zip(&adapters)
                .map(|(slice, lora)| match lora {
                    Some(lora) => slice + lora.delta(),
                    None => slice,
                });
            Tensor::cat(merged.collect(), 0).cast(dtype)
        });
        self
    }
}
