//! Tensors under their official names: checking, loading and reading back.

mod check;
mod layout;
pub(crate) mod merge;
mod network;

use burn::tensor::{DType, Device};

use crate::{ModelError, Packing};
pub(crate) use check::{check, check_language};
pub use layout::TensorSpec;
pub use network::Network;
pub(crate) use network::load_language;

/// A part of the model that may be missing in a source and is then made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FreshPart {
    /// The projector, with small random weights.
    Projector,
    /// All adapters, which change nothing until they are trained.
    Lora,
}

impl FreshPart {
    /// Every part; together they are what training changes.
    pub const ALL: [Self; 2] = [Self::Projector, Self::Lora];

    fn covers(self, name: &str) -> bool {
        match self {
            Self::Projector => name.starts_with("mm_projector."),
            Self::Lora => name.contains(".lora_"),
        }
    }
}

/// How weights are loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Number format in memory: `F32`, `F16` or `BF16`.
    pub dtype: DType,
    /// Parts that the source may lack.
    pub fresh: Vec<FreshPart>,
    /// For inference on the processor: weights are packed so for the kernels of
    /// `expllm-kernels`, adapters merged, and `dtype` has no effect. A [`Network`] alone is loaded
    /// so: packed weights cannot be trained, saved or read back.
    pub kernels: Option<Packing>,
}

impl LoadOptions {
    /// Whether a device can compute with weights so.
    fn check_dtype(&self, device: &Device) -> Result<(), ModelError> {
        let fault = |reason| Err(ModelError::config("dtype", reason));
        match self.dtype {
            DType::F32 | DType::F16 | DType::BF16 if device.supports_dtype(self.dtype) => Ok(()),
            DType::F16 | DType::BF16 => fault(format!(
                "this device does not compute in {:?}; take f32, or the other half precision",
                self.dtype
            )),
            other => fault(format!("weights cannot be kept as {other:?}")),
        }
    }
}

impl Default for LoadOptions {
    /// All parts must be there; f32.
    fn default() -> Self {
        Self {
            dtype: DType::F32,
            fresh: Vec::new(),
            kernels: None,
        }
    }
}
