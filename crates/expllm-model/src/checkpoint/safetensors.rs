//! Tensors of a `.safetensors` file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::TensorData;

use super::storage::{Entry, Storage, dtype_named};
use crate::{ModelError, TensorInfo, TensorSource};

/// A safetensors file, whose header is checked against its length before any tensor is read.
#[derive(Debug, Clone)]
pub struct SafetensorsFile {
    storage: Storage,
    tensors: BTreeMap<String, Entry>,
}

impl SafetensorsFile {
    /// Reads the header of a file.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`]; [`ModelError::Format`] for a damaged header, offsets beyond the file
    /// or a number format that burn has not.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::read_header(Storage::open(path)?)
    }

    /// Reads the header of a file in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        Self::read_header(Storage::memory(bytes))
    }

    fn read_header(storage: Storage) -> Result<Self, ModelError> {
        let tensors = storage.with_all(|file| {
            let (header, metadata) = safetensors::SafeTensors::read_metadata(file)
                .map_err(|error| storage.fault(format!("not a whole safetensors file: {error}")))?;
            let mut tensors = BTreeMap::new();
            for (name, info) in metadata.tensors() {
                let format = info.dtype.to_string();
                let dtype = dtype_named(&format).ok_or_else(|| {
                    storage.fault(format!("tensor {name:?} has the number format {format}"))
                })?;
                let (start, end) = info.data_offsets;
                let entry = Entry {
                    info: TensorInfo {
                        shape: info.shape.clone(),
                        dtype,
                    },
                    start: 8 + header + start,
                    bytes: end - start,
                };
                tensors.insert(name, entry);
            }
            Ok(tensors)
        })?;
        Ok(Self { storage, tensors })
    }
}

impl TensorSource for SafetensorsFile {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        Some(self.tensors.get(name)?.info.clone())
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let entry = self.tensors.get(name);
        self.storage
            .tensor(entry.ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))?)
    }
}
