//! The one place that picks the device of the small networks.

use burn::tensor::Device;

/// The device of the backend that the build was made for: CUDA before wgpu before the processor.
///
/// # Panics
///
/// In a build without any of the features `cpu`, `wgpu` and `cuda`.
#[must_use]
pub fn default_device() -> Device {
    #[cfg(feature = "cuda")]
    let device = Device::cuda(0);
    #[cfg(all(feature = "wgpu", not(feature = "cuda")))]
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(all(feature = "cpu", not(any(feature = "wgpu", feature = "cuda"))))]
    let device = Device::flex();
    #[cfg(not(any(feature = "cpu", feature = "wgpu", feature = "cuda")))]
    let device = Device::default();
    device
}
