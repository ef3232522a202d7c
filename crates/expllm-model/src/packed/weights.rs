//! Reading weights into the form that kernels multiply.

use burn::tensor::{DType, TensorData};
use expllm_kernels::{Format, KernelError, Matrix, Rows};
use half::{bf16, f16};

use super::Stack;
use crate::{ModelError, Packing, StoredBytes, TensorSource};

/// A source whose names and shapes were checked, and how to pack what it holds.
pub(crate) struct Loader<'a> {
    pub(crate) source: &'a dyn TensorSource,
    pub(crate) packing: Packing,
}

impl Loader<'_> {
    /// All numbers of a tensor.
    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let data = self.source.read(name)?.convert_dtype(DType::F32);
        let numbers: Vec<f32> = data
            .try_into_vec()
            .map_err(|error| ModelError::tensor(name, format!("{error:?}")))?;
        match numbers.iter().position(|number| !number.is_finite()) {
            None => Ok(numbers),
            Some(place) => {
                let reason = format!("number {place} is not finite");
                Err(ModelError::tensor(name, reason))
            }
        }
    }

    /// The format that a matrix is packed into.
    pub(super) fn format(&self, name: &str) -> Format {
        match self.packing {
            Packing::As(format) => format,
            Packing::Stored => stored_format(self.source, name),
        }
    }

    /// Matrices one below the other, in as few parts as their formats allow.
    pub(crate) fn stack(&self, columns: usize, names: &[String]) -> Result<Stack, ModelError> {
        let same = names.chunk_by(|one, other| self.format(one) == self.format(other));
        let parts = same.map(|names| self.joined(columns, names));
        parts.collect::<Result<_, _>>().map(Stack::new)
    }

    /// Matrices of one format as one. They are read one after the other, so that no more than one
    /// is in memory twice.
    fn joined(&self, columns: usize, names: &[String]) -> Result<Matrix, ModelError> {
        let format = names.first().map_or(Format::F32, |name| self.format(name));
        let rows = |name: &String| -> Result<usize, ModelError> {
            let info =
                (self.source.info(name)).ok_or_else(|| ModelError::UnknownTensor(name.clone()))?;
            Ok(info.shape.first().copied().unwrap_or(0))
        };
        let all = names.iter().map(rows).sum::<Result<usize, _>>()?;
        let fault = |error| packing(&names.join(", "), error);
        let mut matrix = Matrix::zeroed(format, all, columns).map_err(fault)?;
        let mut start = 0;
        for name in names {
            start += self.set_rows(&mut matrix, start, name)?;
        }
        Ok(matrix)
    }

    /// Packs the rows of a matrix in place of those from `start` on: straight out of the file where
    /// they stand in one.
    fn set_rows(&self, matrix: &mut Matrix, start: usize, name: &str) -> Result<usize, ModelError> {
        let mut set = |rows: Rows<'_>| {
            let set = matrix.set_rows(start, rows);
            set.map_err(|error| packing(name, error))
        };
        match self.stored(name) {
            Some((format, stored)) => stored.look(|rows| set(Rows::Encoded(format, rows))),
            None => set(Weights::read(self.source, name)?.rows()?),
        }
    }

    /// The rows of a matrix as they stand in a file, in a format that kernels know.
    pub(super) fn stored(&self, name: &str) -> Option<(Format, StoredBytes)> {
        Some((known_format(self.source, name)?, self.source.stored(name)?))
    }

    /// One matrix.
    pub(crate) fn matrix(&self, columns: usize, name: &str) -> Result<Matrix, ModelError> {
        self.joined(columns, &[name.to_owned()])
    }

    /// A matrix whose rows are multiplied by factors.
    pub(crate) fn scaled(
        &self,
        columns: usize,
        name: &str,
        factors: &[f32],
    ) -> Result<Matrix, ModelError> {
        let mut numbers = self.numbers(name)?;
        for (row, factor) in numbers.chunks_mut(columns).zip(factors) {
            row.iter_mut().for_each(|number| *number *= factor);
        }
        Matrix::pack(self.format(name), columns, &[Rows::F32(&numbers)])
            .map_err(|error| packing(name, error))
    }
}

/// The format that the numbers of a matrix have in their source, or the one that they are read in
/// where kernels do not know it.
fn stored_format(source: &dyn TensorSource, name: &str) -> Format {
    known_format(source, name).unwrap_or(Format::F32)
}

/// The format that the numbers of a matrix have in their source, where kernels know it.
fn known_format(source: &dyn TensorSource, name: &str) -> Option<Format> {
    source.block_format(name).or_else(|| {
        Some(match source.info(name)?.dtype {
            DType::F32 => Format::F32,
            DType::F16 => Format::F16,
            DType::BF16 => Format::Bf16,
            _ => return None,
        })
    })
}

/// A matrix that was read.
struct Weights {
    name: String,
    numbers: Numbers,
}

enum Numbers {
    Plain(TensorData),
    Blocks(Format, Vec<u8>),
}

impl Weights {
    fn read(source: &dyn TensorSource, name: &str) -> Result<Self, ModelError> {
        let format = source.block_format(name);
        let numbers = match format.zip(source.read_blocks(name)?) {
            Some((format, rows)) => Numbers::Blocks(format, rows),
            None => {
                let data = source.read(name)?;
                Numbers::Plain(match data.dtype() {
                    DType::F32 | DType::F16 | DType::BF16 => data,
                    _ => data.convert_dtype(DType::F32),
                })
            }
        };
        Ok(Self {
            name: name.to_owned(),
            numbers,
        })
    }

    fn rows(&self) -> Result<Rows<'_>, ModelError> {
        let data = match &self.numbers {
            Numbers::Blocks(format, rows) => return Ok(Rows::Encoded(*format, rows)),
            Numbers::Plain(data) => data,
        };
        let rows = match data.dtype() {
            DType::F16 => data.as_slice::<f16>().map(Rows::F16),
            DType::BF16 => data.as_slice::<bf16>().map(Rows::Bf16),
            _ => data.as_slice::<f32>().map(Rows::F32),
        };
        rows.map_err(|error| ModelError::tensor(&self.name, format!("{error:?}")))
    }
}

pub(super) fn packing(name: &str, error: KernelError) -> ModelError {
    ModelError::tensor(name, error.to_string())
}
