//! Linear layers with a bias.

use expllm_kernels::{Input, Isa, KernelError, Matrix, Store, multiply};

use super::Loader;
use crate::ModelError;

/// A linear layer with a bias.
#[derive(Debug)]
pub(super) struct Affine {
    pub(super) weight: Matrix,
    bias: Vec<f32>,
}

impl Affine {
    pub(super) fn load(
        loader: &Loader<'_>,
        name: &str,
        columns: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: loader.matrix(columns, &format!("{name}.weight"))?,
            bias: loader.numbers(&format!("{name}.bias"))?,
        })
    }

    /// As [`load`](Self::load), with the factors that follow the layer multiplied in.
    pub(super) fn load_scaled(
        loader: &Loader<'_>,
        name: &str,
        columns: usize,
        factors: &str,
    ) -> Result<Self, ModelError> {
        let factors = loader.numbers(factors)?;
        let bias = loader.numbers(&format!("{name}.bias"))?;
        Ok(Self {
            weight: loader.scaled(columns, &format!("{name}.weight"), &factors)?,
            bias: bias.iter().zip(&factors).map(|(b, f)| b * f).collect(),
        })
    }

    /// Adds the layer of an input to rows.
    pub(super) fn add_to(
        &self,
        isa: Isa,
        input: &Input,
        rows: &mut [f32],
    ) -> Result<(), KernelError> {
        for row in rows.chunks_mut(self.bias.len()) {
            row.iter_mut().zip(&self.bias).for_each(|(x, b)| *x += b);
        }
        multiply(isa, &self.weight, input, rows, Store::Add)
    }

    /// Writes the layer of an input.
    pub(super) fn write(
        &self,
        isa: Isa,
        input: &Input,
        rows: &mut Vec<f32>,
    ) -> Result<(), KernelError> {
        rows.clear();
        for _ in 0..input.tokens() {
            rows.extend_from_slice(&self.bias);
        }
        multiply(isa, &self.weight, input, rows, Store::Add)
    }
}
