//! Checkpoint folders: reading, converting and writing.

pub(crate) mod files;
