//! Reading weights into the form that kernels multiply.

use burn::tensor::{DType, TensorData};
use expllm_kernels::{Format, KernelError, Matrix, Rows, check_row};
use half::{bf16, f16};
use rayon::prelude::*;

use crate::{ModelError, TensorSource};

/// A source whose names and shapes were checked, and the format to pack into.
pub(crate) struct Loader<'a> {
    pub(crate) source: &'a dyn TensorSource,
    pub(crate) format: Format,
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

    /// Matrices one below the other. They are read one after the other, so that no more than one
    /// is in memory twice.
    pub(crate) fn stack(&self, columns: usize, names: &[String]) -> Result<Matrix, ModelError> {
        let fault = |error| packing(&names.join(", "), error);
        let rows = |name: &String| -> Result<usize, ModelError> {
            let info =
                (self.source.info(name)).ok_or_else(|| ModelError::UnknownTensor(name.clone()))?;
            Ok(info.shape.first().copied().unwrap_or(0))
        };
        let all = names.iter().map(rows).sum::<Result<usize, _>>()?;
        let mut matrix = Matrix::zeroed(self.format, all, columns).map_err(fault)?;
        let mut start = 0;
        for name in names {
            let weights = Weights::read(self.source, name)?;
            start += matrix.set_rows(start, weights.rows()?).map_err(fault)?;
        }
        Ok(matrix)
    }

    /// One matrix.
    pub(crate) fn matrix(&self, columns: usize, name: &str) -> Result<Matrix, ModelError> {
        self.stack(columns, &[name.to_owned()])
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
        Matrix::pack(self.format, columns, &[Rows::F32(&numbers)])
            .map_err(|error| packing(name, error))
    }

    /// Rows in the format of files, for looking them up one by one.
    pub(crate) fn table(&self, columns: usize, name: &str) -> Result<Vec<u8>, ModelError> {
        let row_bytes = self.format.row_bytes(columns).unwrap_or(0);
        if self.source.block_format(name) == Some(self.format)
            && let Some(rows) = self.source.read_blocks(name)?
        {
            (rows.par_chunks(row_bytes.max(1)))
                .try_for_each(|row| check_row(self.format, columns, row))
                .map_err(|error| packing(name, error))?;
            return Ok(rows);
        }
        let matrix = self.matrix(columns, name)?;
        let mut table = vec![0; row_bytes * matrix.rows()];
        for (index, row) in table.chunks_mut(row_bytes.max(1)).enumerate() {
            matrix.encoded_row(index, row);
        }
        Ok(table)
    }
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

fn packing(name: &str, error: KernelError) -> ModelError {
    ModelError::tensor(name, error.to_string())
}
