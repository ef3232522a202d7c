//! The Exp-CoT engine: checked chain-of-thought training data from labelled faces.
//!
//! Faces with labels and action units go in, instruction data with a chain of thought per face
//! comes out. A writer (the offline [`Composer`], or any language model behind `TextWriter`)
//! writes each chain, a [`Checker`] holds every statement against the intensities, and a failed
//! text goes back to the writer with what was found.

mod checks;
mod composer;
mod error;
mod labels;
mod reader;
mod record;

pub use checks::{Check, Checked, Checker, Finding};
pub use composer::{Composer, WORD_LIMIT};
pub use error::CotError;
pub use expllm_core::ChainOfThought;
pub use reader::{chain_sentences, ground, sentences, statements};
pub use record::{BuiltRecord, CotRecord, Status, Usage};
