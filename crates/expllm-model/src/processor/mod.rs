//! The networks of the model on a processor, for inference alone: weights packed for
//! `expllm-kernels`, activations in plain memory.
//!
//! A model that is loaded with [`LoadOptions::kernels`](crate::LoadOptions::kernels) holds these
//! in place of burn's parameters, which then take no memory. What goes in and comes out are the
//! same tensors, so that everything around the networks is the same code.

mod cache;
mod decoder;
mod encoder;
mod stack;
mod weights;

pub(crate) use cache::ProcessorCache;
pub(crate) use decoder::{Pass, ProcessorDecoder, Seen};
pub(crate) use encoder::{ProcessorEncoder, ProcessorProjector};
pub(crate) use stack::Stack;
pub(crate) use weights::{Loader, Table};

use burn::tensor::{DType, Device, Tensor, TensorData};

/// The numbers of a tensor. Tensors beside these networks live on the processor too, so that
/// only a device that fails gives no numbers; zeros of the right size then keep shapes intact and
/// show as such.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let count = tensor.dims().iter().product();
    let data = tensor.cast(DType::F32).try_into_data().ok();
    let numbers = data.and_then(|data| data.try_into_vec().ok());
    numbers.unwrap_or_else(|| vec![0.0; count])
}

/// A tensor of numbers, whose count fits the shape.
pub(crate) fn tensor<const D: usize>(
    numbers: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers, shape), (device, DType::F32))
}
