//! A linear layer with an optional low-rank adapter.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, module::linear};

use super::LoraAdapter;
use crate::LoraConfig;

/// `y = W x + b`, and `+ (alpha / rank) B (A x)` where an adapter is fitted.
#[derive(Module, Debug)]
pub struct Linear {
    /// `W`: `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// `b`: `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// The adapter.
    pub lora: Option<LoraAdapter>,
}

impl Linear {
    /// A layer from `[.., in]` to `[.., out]` with small random weights; frozen.
    #[must_use]
    pub fn new([input, output]: [usize; 2], bias: bool, device: &Device) -> Self {
        let weight = Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        Self {
            weight: weight.init([output, input], device).set_require_grad(false),
            bias: bias.then(|| {
                let bias: Param<Tensor<1>> = Initializer::Zeros.init([output], device);
                bias.set_require_grad(false)
            }),
            lora: None,
        }
    }

    /// Fits an adapter that changes nothing yet.
    #[must_use]
    pub fn with_lora(mut self, config: &LoraConfig) -> Self {
        let [output, input] = self.weight.lazy_shape().dims();
        self.lora = Some(LoraAdapter::new(
            [input, output],
            config,
            &self.weight.lazy_device(),
        ));
        self
    }

    /// Makes weight and bias trainable.
    #[must_use]
    pub fn trainable(mut self) -> Self {
        self.weight = self.weight.set_require_grad(true);
        self.bias = self.bias.map(|bias| bias.set_require_grad(true));
        self
    }

    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// `[.., in]` to `[.., out]`.
    #[must_use]
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        let weight = self.weight.val().transpose();
        match &self.lora {
            Some(lora) => linear(input.clone(), weight, bias) + lora.forward(input),
            None => linear(input, weight, bias),
        }
    }

    /// Adds the adapter into the weight and drops it.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        if let Some(lora) = self.lora.take() {
            self.weight = self.weight.map(|weight| lora.merge_into(weight));
        }
        self
    }
}
