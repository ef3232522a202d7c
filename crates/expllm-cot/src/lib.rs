//! The Exp-CoT engine: checked chain-of-thought training data from labelled faces.

mod composer;

pub use composer::{Composer, WORD_LIMIT};
pub use expllm_core::ChainOfThought;
