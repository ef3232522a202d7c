//! Synthetic faces, augmentation and the training recipes of expllm.

mod error;
pub mod synth;

pub use error::TrainError;
