//! The Exp-CoT engine: checked chain-of-thought training data from labelled faces.

mod composer;
mod reader;

pub use composer::{Composer, WORD_LIMIT};
pub use expllm_core::ChainOfThought;
pub use reader::{chain_sentences, ground, sentences, statements};
