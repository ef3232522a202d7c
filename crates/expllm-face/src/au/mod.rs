//! The network from an aligned face to action units and expressions, without weights.
//!
//! Two rooms look through it: the reader of `expllm-au`, which brings the weights, and the vision
//! encoder of a language model, which has them in its checkpoint.

mod calibration;
mod look;
mod network;

pub use calibration::{Calibration, Curve, LEVELS};
pub use look::{face_crop, face_look};
pub use network::{AuNetwork, AuNetworkConfig, AuOutput};
