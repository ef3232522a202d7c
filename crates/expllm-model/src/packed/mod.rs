//! The parts of the network on the processor, for inference alone: weights packed for
//! `expllm-kernels`, activations in plain memory.
//!
//! [`Network::load`](crate::Network::load) takes these where
//! [`LoadOptions::kernels`](crate::LoadOptions::kernels) asks for them. What goes in and comes out
//! are tensors as for burn's parts, so that everything around the network is the same code.

mod affine;
mod cache;
mod decoder;
mod encoder;
mod packing;
mod projector;
mod stack;
mod table;
mod weights;

pub(crate) use cache::PackedCache;
pub(crate) use decoder::PackedDecoder;
pub(crate) use encoder::PackedEncoder;
pub use packing::Packing;
pub(crate) use packing::format_beside;
pub(crate) use projector::PackedProjector;
pub(crate) use stack::Stack;
pub(crate) use table::Table;
pub(crate) use weights::Loader;

use burn::tensor::{DType, Device, Tensor, TensorData};
use expllm_kernels::{Format, KernelError};

use crate::ModelError;

/// A tensor of numbers, whose count fits the shape.
fn tensor<const D: usize>(numbers: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers, shape), (device, DType::F32))
}

fn failed(error: KernelError) -> ModelError {
    ModelError::Device(error.to_string())
}

/// Whether many tokens that meet weights of a format may do so in bf16, and so may their keys and
/// values.
fn is_halved(format: Format) -> bool {
    format == Format::Bf16 || format.is_quantised()
}
