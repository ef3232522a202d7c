//! ExpLLM: DINOv2 encoder, projector, LLaMA decoder, LoRA, tokenizer, generation, checkpoints.

mod config;
mod error;
mod weights;

pub use config::{LlmConfig, LoraConfig, ModelConfig, ProjectorKind, RopeScaling, VisionConfig};
pub use error::{ModelError, WeightsMismatch, WrongShape};
pub use weights::{TensorInfo, TensorSource};
