//! Layer norm and RMS norm.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{DType, Device, Tensor, module::layer_norm};

/// `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias` over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale: `[width]`.
    pub weight: Param<Tensor<1>>,
    /// Shift: `[width]`.
    pub bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// A frozen norm that scales by one.
    #[must_use]
    pub fn new(width: usize, eps: f64, device: &Device) -> Self {
        let weight: Param<Tensor<1>> = Initializer::Ones.init([width], device);
        let bias: Param<Tensor<1>> = Initializer::Zeros.init([width], device);
        Self {
            weight: weight.set_require_grad(false),
            bias: bias.set_require_grad(false),
            eps,
        }
    }

    /// Applies the norm.
    ///
    /// # Shapes
    ///
    /// `[.., width]` to the same.
    #[must_use]
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let dtype = input.dtype();
        // As below; only the processor's backend does so by itself.
        let [weight, bias] = [&self.weight, &self.bias].map(|part| part.val().cast(DType::F32));
        layer_norm(input.cast(DType::F32), weight, Some(bias), self.eps).cast(dtype)
    }
}

/// `x / sqrt(mean(x²) + eps) * weight` over the last axis, the root taken in f32
/// ([Zhang and Sennrich 2019](https://arxiv.org/abs/1910.07467)).
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// Scale: `[width]`.
    pub weight: Param<Tensor<1>>,
    eps: f64,
}

impl RmsNorm {
    /// A frozen norm that scales by one.
    #[must_use]
    pub fn new(width: usize, eps: f64, device: &Device) -> Self {
        let weight: Param<Tensor<1>> = Initializer::Ones.init([width], device);
        Self {
            weight: weight.set_require_grad(false),
            eps,
        }
    }

    /// Applies the norm.
    ///
    /// # Shapes
    ///
    /// `[.., width]` to the same.
    #[must_use]
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let dtype = input.dtype();
        // The square of a half-precision number overflows soon.
        let input = input.cast(DType::F32);
        let mean_square = (input.clone() * input.clone()).mean_dim(D - 1);
        let root = (mean_square + self.eps).sqrt();
        (input / root).cast(dtype) * self.weight.val().unsqueeze()
    }
}
