//! LLaMA-family decoder ([Touvron et al. 2023](https://arxiv.org/abs/2302.13971)), as in
//! `models/llama/modeling_llama.py` of transformers 4.31 (Apache-2.0).

mod attention;
mod bias;
mod cache;
mod decoder;
mod layer;
mod rotary;

pub use attention::{AttentionContext, LlamaAttention, grouped_query_attention};
pub use cache::LayerCache;
pub use decoder::{Embedding, Llama};
pub use layer::{DecoderLayer, LlamaMlp};
pub use rotary::{Rotary, RotaryTables};
