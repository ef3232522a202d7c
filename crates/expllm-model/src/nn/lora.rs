//! Low-rank adapters.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{DType, Device, Tensor, module::linear};

use crate::LoraConfig;

/// The low-rank side path of one projection: `(alpha / rank) B (A dropout(x))`
/// ([Hu et al. 2021](https://arxiv.org/abs/2106.09685)).
#[derive(Module, Debug)]
pub struct LoraAdapter {
    /// `A`: `[rank, in]`.
    pub a: Param<Tensor<2>>,
    /// `B`: `[out, rank]`.
    pub b: Param<Tensor<2>>,
    /// Active on a device with automatic differentiation only.
    dropout: Dropout,
    scale: f64,
}

impl LoraAdapter {
    /// An adapter from `[.., in]` to `[.., out]`: `A` uniform in `±1 / sqrt(in)`, `B` zero, both
    /// trainable.
    #[must_use]
    pub fn new([input, output]: [usize; 2], config: &LoraConfig, device: &Device) -> Self {
        // Kaiming with a = sqrt(5), as the reference initialises it.
        let bound = 1.0 / (input as f64).sqrt();
        let a = Initializer::Uniform {
            min: -bound,
            max: bound,
        };
        Self {
            a: a.init([config.rank, input], device),
            b: Initializer::Zeros.init([output, config.rank], device),
            // `DropoutConfig` panics outside [0, 1); configurations are checked before.
            dropout: DropoutConfig::new(config.dropout.clamp(0.0, 0.999)).init(),
            scale: config.scale(),
        }
    }

    /// What the adapter adds to the output of its projection.
    ///
    /// # Shapes
    ///
    /// `[.., in]` to `[.., out]`.
    #[must_use]
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let inner = linear(self.dropout.forward(input), self.a.val().transpose(), None);
        linear(inner, self.b.val().transpose(), None) * self.scale
    }

    /// `(alpha / rank) B A`: `[out, in]`, f32.
    #[must_use]
    pub fn delta(&self) -> Tensor<2> {
        let [a, b] = [&self.a, &self.b].map(|matrix| matrix.val().cast(DType::F32));
        b.matmul(a) * self.scale
    }

    /// The weight with the adapter added, in the number format of the weight.
    #[must_use]
    pub fn merge_into(&self, weight: Tensor<2>) -> Tensor<2> {
        let dtype = weight.dtype();
        (weight.cast(DType::F32) + self.delta()).cast(dtype)
    }
}
