//! Linear layers with a bias.

use expllm_kernels::{Input, Isa, KernelError, Matrix, Store, multiply};
use rayon::prelude::*;

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
        multiply(isa, &self.weight, input, rows, Store::Add)?;
        self.finish(rows, |_| ());
        Ok(())
    }

    /// Writes the layer of an input, each row of it changed by a function.
    pub(super) fn write(
        &self,
        isa: Isa,
        input: &Input,
        rows: &mut Vec<f32>,
        change: impl Fn(&mut [f32]) + Sync,
    ) -> Result<(), KernelError> {
        rows.resize(input.tokens() * self.bias.len(), 0.0);
        multiply(isa, &self.weight, input, rows, Store::Set)?;
        self.finish(rows, change);
        Ok(())
    }

    /// Adds the bias to rows, and changes them while they are at hand.
    fn finish(&self, rows: &mut [f32], change: impl Fn(&mut [f32]) + Sync) {
        let rows = rows.par_chunks_mut(self.bias.len());
        rows.for_each(|row| {
            row.iter_mut().zip(&self.bias).for_each(|(x, b)| *x += b);
            change(row);
        });
    }
}
