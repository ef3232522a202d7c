//! Checkpoint folders: reading, converting and writing.
//!
//! [`open`] recognises the layout of a folder and lists its tensors; [`save`] writes the native
//! layout. Nothing takes memory for more than one tensor, and no file is trusted: lengths,
//! offsets and shapes are checked before anything is read, and pickles execute nothing. The
//! layouts are described in `docs/checkpoints.md`.

pub(crate) mod files;
mod fresh;
mod hf_config;
mod merge;
mod open;
mod peft;
mod pickle;
mod safetensors;
mod save;
mod sources;
mod storage;
mod torch;
mod write;

pub use open::{Checkpoint, open, open_parts};
pub use peft::{apply_adapter, save_adapter};
pub use safetensors::SafetensorsFile;
pub use save::{SaveOptions, Saved, save};
pub use sources::BoxedSource;
pub use torch::TorchFile;
