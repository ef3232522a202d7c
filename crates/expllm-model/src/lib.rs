//! ExpLLM: a multimodal language model that explains faces.
//!
//! A DINOv2 vision encoder turns an aligned face into 256 tokens, a projector carries them into
//! a LLaMA-family language model, and low-rank adapters on both make the pair speak of action
//! units and expressions (*ExpLLM: Towards Chain of Thought for Facial Expression Recognition*,
//! IEEE TMM 2025). [`ModelConfig`] sets every size: the same code runs the tiny and the 7B model.

pub mod checkpoint;
mod config;
pub mod conversation;
mod error;
mod explainer;
pub mod generation;
mod loading;
mod model;
pub mod nn;
mod packed;
pub mod parity;
pub mod parts;
mod random;
mod scores;
mod speaker;
mod text_model;
mod tokenizer;
mod weights;

pub use burn::tensor::DType;
pub use expllm_face::device::{Backend, default_device};
pub use expllm_kernels::Format;

pub use config::{
    ConvolutionalConfig, Dinov2Config, LlmConfig, LoraConfig, ModelConfig, ProjectorKind,
    RopeScaling, VisionConfig,
};
pub use error::{ModelError, WeightsMismatch, WrongShape};
pub use explainer::{ChainReader, ExpLlmExplainer, Explanation, FacePixels, PreparePixels};
pub use loading::{FreshPart, LoadOptions, Network, TensorSpec};
pub use model::ExpLlm;
pub use packed::Packing;
pub use random::RandomWeights;
pub use scores::{SCORE_TOKENS, SCORE_WIDTH, score_tokens};
pub use speaker::Speaker;
pub use text_model::TextModel;
pub use tokenizer::{AddedToken, DecodeStream, LlamaOptions, Tokenizer};
pub use weights::{StoredBytes, TensorInfo, TensorSource};
