//! Action unit detection with embedded weights: 24 intensities and expression probabilities.
//!
//! This crate is all that a product needs to read action units from aligned faces: the weights
//! are part of it, and nothing is fetched.
//!
//! ```
//! use expllm_au::AuNet;
//! use expllm_core::{ActionUnit, AuDetector};
//! use expllm_face::device::default_device;
//!
//! let detector = AuNet::pretrained(&default_device())?;
//! let readings = detector.detect_units(&[])?;
//! assert!(readings.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod detector;
mod network;

pub use detector::{AuNet, face_crop};
pub use network::{AuNetwork, AuNetworkConfig, AuOutput, ExpressionHead, UnitHead};
