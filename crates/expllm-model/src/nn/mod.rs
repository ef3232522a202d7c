//! The networks: plain modules that know nothing of files, text or generation.
//!
//! Parameters carry the shapes of the official checkpoint (linear weights are `[out, in]`), so
//! that a tensor is stored as it is read. Everything except projector and adapters is created
//! frozen.

pub mod dinov2;
mod linear;
pub mod llama;
mod lora;
mod loss;
mod norm;
mod projector;
mod vision;

pub use linear::Linear;
pub use lora::LoraAdapter;
pub use loss::{IGNORED_LABEL, causal_lm_loss};
pub use norm::{LayerNorm, RmsNorm};
pub use projector::Projector;
pub use vision::{DetectorEncoder, VisionEncoder};
