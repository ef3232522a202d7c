//! Checkpoint folders: reading, converting and writing.
//!
//! [`open`] recognises the layout of a folder and lists its tensors; [`save`] writes the native
//! layout. [`LanguageModel`] is a language model without a vision encoder, as a LLaMA folder or a
//! GGUF file holds one. Nothing takes memory for more than one tensor, and no file is trusted: lengths,
//! offsets and shapes are checked before anything is read, and pickles execute nothing. The
//! layouts are described in `docs/checkpoints.md`.

pub(crate) mod blocks;
pub(crate) mod files;
mod foreign;
mod fresh;
mod gguf;
mod hf_config;
mod language;
mod on_detector;
mod open;
mod peft;
mod pickle;
mod safetensors;
mod save;
mod shipped;
mod sources;
mod torch;
mod weight_file;
mod write;

pub use language::LanguageModel;
pub use on_detector::open_on_detector;
pub use open::{Checkpoint, is_language_alone, open, open_parts};
pub use peft::{apply_adapter, save_adapter};
pub use save::{SaveOptions, Saved, save};
pub use shipped::shipped;
pub use sources::BoxedSource;
pub use weight_file::{WeightFile, WeightFormat};
