//! One layer of the language model.

use burn::module::Module;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use super::super::{Linear, RmsNorm};
use super::attention::projection;
use super::{AttentionContext, LayerCache, LlamaAttention};
use crate::LlmConfig;

/// `down(silu(gate(x)) * up(x))` ([Shazeer 2020](https://arxiv.org/abs/2002.05202)).
#[derive(Module, Debug)]
pub struct LlamaMlp {
    /// `[hidden, width]`.
    pub gate_proj: Linear,
    /// `[hidden, width]`.
    pub up_proj: Linear,
    /// `[width, hidden]`.
    pub down_proj: Linear,
}

impl LlamaMlp {
    fn new(config: &LlmConfig, device: &Device) -> Self {
        let (width, hidden) = (config.hidden_size, config.intermediate_size);
        Self {
            gate_proj: projection("gate_proj", [width, hidden], config, device),
            up_proj: projection("up_proj", [width, hidden], config, device),
            down_proj: projection("down_proj", [hidden, width], config, device),
        }
    }

    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let gate = silu(self.gate_proj.forward(tokens.clone()));
        self.down_proj.forward(gate * self.up_proj.forward(tokens))
    }

    fn merge_lora(mut self) -> Self {
        self.gate_proj = self.gate_proj.merge_lora();
        self.up_proj = self.up_proj.merge_lora();
        self.down_proj = self.down_proj.merge_lora();
        self
    }
}

/// Attention and MLP, each on normed input and added.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Norm before attention.
    pub input_layernorm: RmsNorm,
    /// Attention.
    pub self_attn: LlamaAttention,
    /// Norm before the MLP.
    pub post_attention_layernorm: RmsNorm,
    /// The MLP.
    pub mlp: LlamaMlp,
}

impl DecoderLayer {
    /// A frozen layer with small random weights, trainable adapters.
    #[must_use]
    pub fn new(config: &LlmConfig, device: &Device) -> Self {
        let norm = || RmsNorm::new(config.hidden_size, config.rms_norm_eps, device);
        Self {
            input_layernorm: norm(),
            self_attn: LlamaAttention::new(config, device),
            post_attention_layernorm: norm(),
            mlp: LlamaMlp::new(config, device),
        }
    }

    /// Applies the layer.
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
        let normed = self.input_layernorm.forward(tokens.clone());
        let tokens = tokens + self.self_attn.forward(normed, context, cache);
        let normed = self.post_attention_layernorm.forward(tokens.clone());
        tokens + self.mlp.forward(normed)
    }

    /// Adds the adapters into the weights.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        self.self_attn = self.self_attn.merge_lora();
        self.mlp = self.mlp.merge_lora();
        self
    }
}
