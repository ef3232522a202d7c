//! ExpLLM: DINOv2 encoder, projector, LLaMA decoder, LoRA, tokenizer, generation, checkpoints.

pub mod checkpoint;
mod config;
mod error;
mod tokenizer;
mod weights;

pub use config::{LlmConfig, LoraConfig, ModelConfig, ProjectorKind, RopeScaling, VisionConfig};
pub use error::{ModelError, WeightsMismatch, WrongShape};
pub use tokenizer::{AddedToken, DecodeStream, LlamaOptions, Tokenizer};
pub use weights::{TensorInfo, TensorSource};
