//! Tensors of the weights file, by name.

use burn::tensor::f16;
use safetensors::{Dtype, SafeTensors};

use crate::FaceError;

/// Name of the file in errors.
const FILE: &str = "centerface.safetensors";

/// The tensors of a file in memory.
pub(super) struct Weights<'a>(SafeTensors<'a>);

fn failed(reason: String) -> FaceError {
    FaceError::Weights { file: FILE, reason }
}

impl<'a> Weights<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, FaceError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| failed(error.to_string()))?;
        Ok(Self(tensors))
    }

    /// The numbers of a tensor of the given shape.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, FaceError> {
        let tensor = self
            .0
            .tensor(name)
            .map_err(|error| failed(error.to_string()))?;
        if tensor.dtype() != Dtype::F16 || tensor.shape() != shape {
            let (dtype, found) = (tensor.dtype(), tensor.shape());
            let reason = format!("{name} is {dtype:?} {found:?}, wanted is F16 {shape:?}");
            return Err(failed(reason));
        }
        let numbers = tensor.data().as_chunks::<2>().0.iter();
        Ok(numbers
            .map(|&bytes| f16::from_le_bytes(bytes).to_f32())
            .collect())
    }

    /// Weight of the given shape and bias of a layer; the outputs come first in the shape.
    pub(super) fn layer(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<(Vec<f32>, Vec<f32>), FaceError> {
        let weight = self.get(&format!("{name}.weight"), shape)?;
        let bias = self.get(&format!("{name}.bias"), &shape[..1])?;
        Ok((weight, bias))
    }
}
