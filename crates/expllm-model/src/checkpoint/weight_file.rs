//! One weight file of any format: a directory of tensors over the bytes of the file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::TensorData;
use expllm_kernels::Format;

use super::{files, gguf, safetensors, torch};
use crate::weights::{Storage, StoredBytes};
use crate::{ModelError, TensorInfo, TensorSource};

/// The format of a weight file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WeightFormat {
    /// `.safetensors`.
    Safetensors,
    /// What `torch.save` writes since PyTorch 1.6: `.bin`, `.pth`, `.pt`. Its pickle is read
    /// without executing anything.
    Torch,
    /// `.gguf` of llama.cpp. Tensors have the names of the file; blocks are decoded to f32.
    Gguf,
}

impl WeightFormat {
    /// The format that the ending of a path stands for; `None` for any other ending.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "safetensors" => Some(Self::Safetensors),
            "bin" | "pth" | "pt" => Some(Self::Torch),
            "gguf" => Some(Self::Gguf),
            _ => None,
        }
    }
}

/// The tensors of a file and where they lie.
pub(super) type Directory = BTreeMap<String, Entry>;

/// Where a tensor lies in its file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// As it is read.
    pub(super) info: TensorInfo,
    pub(super) start: usize,
    pub(super) bytes: usize,
    /// How the bytes are decoded to f32, where they are not numbers of `info.dtype`.
    pub(super) blocks: Option<Format>,
}

/// A weight file, whose directory is checked against its length before any tensor is read.
#[derive(Debug, Clone)]
pub struct WeightFile {
    storage: Storage,
    directory: Directory,
}

impl WeightFile {
    /// Lists the tensors of a file; its ending says the format.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`]; [`ModelError::Format`] for another ending, a damaged file, tensors
    /// beyond their file and number formats that cannot be read.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let format = WeightFormat::of(path).ok_or_else(|| {
            ModelError::format(path, "neither .safetensors nor .bin, .pth, .pt or .gguf")
        })?;
        Self::list(format, Storage::open(path)?)
    }

    /// Lists the tensors of a file in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(format: WeightFormat, bytes: &[u8]) -> Result<Self, ModelError> {
        Self::list(format, Storage::memory(bytes))
    }

    pub(super) fn new(storage: Storage, directory: Directory) -> Self {
        Self { storage, directory }
    }

    fn entry(&self, name: &str) -> Result<&Entry, ModelError> {
        let entry = self.directory.get(name);
        entry.ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))
    }

    fn list(format: WeightFormat, storage: Storage) -> Result<Self, ModelError> {
        let list = match format {
            WeightFormat::Safetensors => safetensors::list,
            WeightFormat::Torch => torch::list,
            WeightFormat::Gguf => gguf::list,
        };
        let directory = storage.with_all(|file| match files::is_pointer(file) {
            true => Err(storage.fault(files::POINTER)),
            false => list(file).map_err(|reason| storage.fault(reason)),
        })?;
        Ok(Self { storage, directory })
    }
}

impl TensorSource for WeightFile {
    fn names(&self) -> Vec<String> {
        self.directory.keys().cloned().collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        Some(self.directory.get(name)?.info.clone())
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let entry = self.entry(name)?;
        let shape = entry.info.shape.clone();
        self.storage
            .with_range(entry.start, entry.bytes, |bytes| match entry.blocks {
                Some(format) => Ok(TensorData::new(gguf::decode(format, bytes), shape)),
                None => TensorData::try_from_bytes_vec(bytes.to_vec(), shape, entry.info.dtype)
                    .map_err(|error| self.storage.fault(error.to_string())),
            })
    }

    fn block_format(&self, name: &str) -> Option<Format> {
        let entry = self.directory.get(name)?;
        entry.blocks.filter(|_| entry.info.shape.len() == 2)
    }

    fn read_blocks(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let entry = self.entry(name)?;
        if self.block_format(name).is_none() {
            return Ok(None);
        }
        let copy = |bytes: &[u8]| Ok(Some(bytes.to_vec()));
        self.storage.with_range(entry.start, entry.bytes, copy)
    }

    fn stored(&self, name: &str) -> Option<StoredBytes> {
        let entry = self.directory.get(name)?;
        let storage = self.storage.clone();
        Some(StoredBytes::new(storage, entry.start, entry.bytes))
    }
}
