//! The one place that picks a compute device.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::FaceError;

/// A backend that a build may contain; the Cargo features of the same names put them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

    /// The first one in [`ALL`](Self::ALL) that the build contains; `Cpu` in a build without any.
    #[must_use]
    pub fn preferred() -> Self {
        let built = Self::ALL.into_iter().find(|backend| backend.is_built());
        built.unwrap_or(Self::Cpu)
    }

    /// The first device of the backend.
    ///
    /// # Errors
    ///
    /// [`FaceError::Backend`] when the build lacks the backend.
    pub fn device(self) -> Result<Device, FaceError> {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[allow(unreachable_patterns)] // Reached in builds without some feature.
            absent => Err(FaceError::Backend(format!(
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
    type Err = FaceError;

    fn from_str(text: &str) -> Result<Self, FaceError> {
        let find = |backend: &Self| backend.name() == text.trim();
        Self::ALL.into_iter().find(find).ok_or_else(|| {
            FaceError::Backend(format!(
                "unknown backend {text:?}; known are cpu, wgpu, cuda"
            ))
        })
    }
}

/// The device of the first backend in [`Backend::ALL`] that the build contains.
///
/// `Device::default()` of burn also goes by Cargo features, but by the features of the whole
/// build and in an order of its own; this is the device of the features of this crate.
///
/// # Panics
///
/// In a build without any of the features `cpu`, `wgpu` and `cuda`.
#[must_use]
pub fn default_device() -> Device {
    let built = Backend::ALL.into_iter().find(|backend| backend.is_built());
    built
        .and_then(|backend| backend.device().ok())
        .unwrap_or_default()
}

/// Whether a device is the processor.
pub(crate) fn is_processor(device: &Device) -> bool {
    Backend::Cpu.device().is_ok_and(|cpu| cpu == *device)
}

/// The processor where the build has it, else [`default_device`]: many small networks that each
/// read one face at a time are quicker there.
///
/// # Panics
///
/// As [`default_device`].
#[must_use]
pub fn reading_device() -> Device {
    Backend::Cpu.device().unwrap_or_else(|_| default_device())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_absent_backends_say_so() {
        for backend in Backend::ALL {
            assert_eq!(backend.name().parse::<Backend>().unwrap(), backend);
            match backend.device() {
                Ok(_) => assert!(backend.is_built()),
                Err(error) => assert!(error.to_string().contains(backend.name()), "{error}"),
            }
        }
        assert!("tpu".parse::<Backend>().is_err());
    }
}
