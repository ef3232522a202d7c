//! The bytes of a weight file, looked at through memory maps.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::DType;
use memmap2::{Mmap, MmapOptions};

use crate::{ModelError, TensorInfo};

/// A weight file on disk, or the bytes of one.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub(super) path: PathBuf,
    bytes: Bytes,
}

#[derive(Debug, Clone)]
enum Bytes {
    File(Arc<File>),
    Memory(Arc<[u8]>),
}

impl Storage {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(|error| ModelError::io(path, error))?;
        Ok(Self {
            path: path.into(),
            bytes: Bytes::File(file.into()),
        })
    }

    pub(super) fn memory(bytes: &[u8]) -> Self {
        Self {
            path: PathBuf::from("(memory)"),
            bytes: Bytes::Memory(bytes.into()),
        }
    }

    /// An error about the content of the file.
    pub(super) fn fault(&self, reason: impl Into<String>) -> ModelError {
        ModelError::format(&self.path, reason)
    }

    fn io(&self, error: std::io::Error) -> ModelError {
        ModelError::io(&self.path, error)
    }

    /// Length in bytes.
    fn len(&self) -> Result<usize, ModelError> {
        match &self.bytes {
            Bytes::Memory(bytes) => Ok(bytes.len()),
            Bytes::File(file) => {
                let length = file.metadata().map_err(|error| self.io(error))?.len();
                usize::try_from(length).map_err(|_| self.fault("too large for this machine"))
            }
        }
    }

    /// Shows the whole file. Only pages that are looked at take memory.
    pub(super) fn with_all<R>(
        &self,
        look: impl FnOnce(&[u8]) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        self.with_range(0, self.len()?, look)
    }

    /// Shows a stretch of the file. The map ends with the look, so that its pages do not pile
    /// up while a large checkpoint streams by.
    pub(super) fn with_range<R>(
        &self,
        start: usize,
        length: usize,
        look: impl FnOnce(&[u8]) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        let available = self.len()?;
        let end = start.checked_add(length);
        if end.is_none_or(|end| end > available) {
            return Err(self.fault(format!(
                "ends before byte {start} + {length}; copy or download it again"
            )));
        }
        match &self.bytes {
            Bytes::Memory(bytes) => look(&bytes[start..start + length]),
            Bytes::File(_) if length == 0 => look(&[]),
            Bytes::File(file) => {
                let map = map(file, start, length).map_err(|error| self.io(error))?;
                look(&map)
            }
        }
    }
}

/// Bytes of a tensor; `None` when the product overflows.
pub(super) fn byte_count(info: &TensorInfo) -> Option<usize> {
    info.count()?.checked_mul(info.dtype.size())
}

/// The number format with this name in safetensors headers; `None` when none of burn's is meant.
pub(super) fn dtype_named(name: &str) -> Option<DType> {
    Some(match name {
        "F64" => DType::F64,
        "F32" => DType::F32,
        "F16" => DType::F16,
        "BF16" => DType::BF16,
        "I64" => DType::I64,
        "I32" => DType::I32,
        "I16" => DType::I16,
        "I8" => DType::I8,
        "U8" => DType::U8,
        _ => return None,
    })
}

#[allow(unsafe_code)]
fn map(file: &File, start: usize, length: usize) -> std::io::Result<Mmap> {
    // SAFETY: the map is read only and lives for one look. Should another process cut the file
    // meanwhile, reading fails with a signal rather than with wrong memory; there is no portable
    // way to rule that out, and copying whole checkpoints is what maps are here to avoid.
    unsafe {
        MmapOptions::new()
            .offset(start as u64)
            .len(length)
            .map(file)
    }
}
