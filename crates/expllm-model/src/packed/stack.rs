//! Matrices one below the other.

use expllm_kernels::{Format, Input, Isa, KernelError, Matrix, Place, Store, multiply_at};

/// Linear layers of one input, whose outputs stand side by side. Those of one format are one
/// matrix.
#[derive(Debug)]
pub(crate) struct Stack {
    parts: Vec<Matrix>,
    rows: usize,
}

impl Stack {
    pub(crate) fn new(parts: Vec<Matrix>) -> Self {
        let rows = parts.iter().map(Matrix::rows).sum();
        Self { parts, rows }
    }

    /// Writes the outputs for rows of activations; `input` is room for their prepared form.
    pub(crate) fn write(
        &self,
        isa: Isa,
        rows: &[f32],
        input: &mut Input,
        output: &mut Vec<f32>,
    ) -> Result<(), KernelError> {
        let mut first = 0;
        for (index, part) in self.parts.iter().enumerate() {
            if index == 0 || !input.fits(isa, part.format()) {
                input.set(isa, part.format(), rows, part.columns());
            }
            if index == 0 {
                output.resize(input.tokens() * self.rows, 0.0);
            }
            let place = Place {
                first,
                width: self.rows,
            };
            multiply_at(isa, part, input, (output, place), Store::Set)?;
            first += part.rows();
        }
        Ok(())
    }

    /// The formats of its parts.
    pub(crate) fn formats(&self) -> impl Iterator<Item = Format> {
        self.parts.iter().map(Matrix::format)
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.parts.iter().map(Matrix::memory).sum()
    }
}
