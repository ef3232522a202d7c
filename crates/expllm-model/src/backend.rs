//! The one place that picks a compute device.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::ModelError;

/// A backend that a build may contain; the Cargo features of the same names put them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// The processor, by burn-flex.
    Cpu,
    /// Vulkan, Metal, DirectX 12 or WebGPU, by wgpu.
    Wgpu,
    /// CUDA.
    Cuda,
}

impl Backend {
    /// All backends, the ones on accelerators first.
    pub const ALL: [Self; 3] = [Self::Cuda, Self::Wgpu, Self::Cpu];

    /// Name in arguments and environment variables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// Whether this build contains the backend.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::Cpu => cfg!(feature = "cpu"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// The first device of the backend.
    ///
    /// # Errors
    ///
    /// [`ModelError::Device`] when the build lacks the backend.
    pub fn device(self) -> Result<Device, ModelError> {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[allow(unreachable_patterns)] // Reached in builds without some feature.
            absent => Err(ModelError::Device(format!(
                "this build has no {absent} backend; build with the feature `{absent}`"
            ))),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Backend {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let find = |backend: &Self| backend.name() == text.trim();
        Self::ALL.into_iter().find(find).ok_or_else(|| {
            ModelError::Device(format!(
                "unknown backend {text:?}; known are cpu, wgpu, cuda"
            ))
        })
    }
}

/// The device of the first backend in [`Backend::ALL`] that the build contains.
///
/// `Device::default()` of burn also goes by Cargo features, but by the features of the whole
/// build and in an order of its own; this names what was picked.
///
/// # Errors
///
/// [`ModelError::Device`] in a build without any backend.
pub fn default_device() -> Result<Device, ModelError> {
    let built = Backend::ALL.into_iter().find(|backend| backend.is_built());
    built.unwrap_or(Backend::Cpu).device()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_absent_backends_say_so() {
        for backend in Backend::ALL {
            assert_eq!(backend.name().parse::<Backend>().unwrap(), backend);
            if !backend.is_built() {
                let message = backend.device().unwrap_err().to_string();
                assert!(message.contains(backend.name()), "{message}");
            }
        }
        assert!("tpu".parse::<Backend>().is_err());
        assert!(default_device().is_ok());
    }
}
