//! Errors of this crate.

use crate::{Format, IsaKind};

/// Why weights cannot be packed or numbers cannot be multiplied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// This processor, or this build, lacks an instruction set.
    #[error("this processor has no {0:?} instructions; `Isa::detect` takes what is there")]
    IsaMissing(IsaKind),
    /// A size that is zero or does not fit its neighbours.
    #[error("{what}: {found} where {expected} is needed")]
    Size {
        /// What has the size.
        what: &'static str,
        /// The size that was given.
        found: usize,
        /// The size that is needed.
        expected: usize,
    },
    /// More numbers than this machine can address.
    #[error("a matrix of {rows} x {columns} does not fit into memory")]
    TooLarge {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// A weight that a format cannot hold.
    #[error("row {row}, column {column}: {value} cannot be kept as {format:?}; {advice}")]
    Weight {
        /// Row of the matrix.
        row: usize,
        /// Column of the matrix, or the first one of its block.
        column: usize,
        /// The number, as text, since it may not be one.
        value: String,
        /// The format that was asked for.
        format: Format,
        /// What to do.
        advice: &'static str,
    },
    /// Memory could not be had.
    #[error("no memory for {0} bytes of weights")]
    Memory(usize),
}

impl KernelError {
    /// The same error of a row that was encoded on its own, named as `row` of its matrix.
    #[must_use]
    pub fn at_row(mut self, index: usize) -> Self {
        if let Self::Weight { row, .. } = &mut self {
            *row = index;
        }
        self
    }
}

/// A weight that a format cannot hold, before its row is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unfit {
    pub(crate) column: usize,
    pub(crate) value: f32,
    pub(crate) advice: &'static str,
}

impl Unfit {
    pub(crate) fn at(self, row: usize, format: Format) -> KernelError {
        KernelError::Weight {
            row,
            column: self.column,
            value: self.value.to_string(),
            format,
            advice: self.advice,
        }
    }
}
