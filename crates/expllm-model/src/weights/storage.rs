//! The bytes of a weight file: looked at through memory maps, or read piece by piece.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

use crate::ModelError;

/// A weight file on disk, or the bytes of one.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) path: PathBuf,
    bytes: Bytes,
}

/// Which pages of a map are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pages {
    /// Those that are looked at, each with a fault of its own.
    Looked,
    /// All of them at once.
    All,
}

#[derive(Debug, Clone)]
enum Bytes {
    File(Arc<File>),
    Memory(Arc<[u8]>),
}

impl Storage {
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(|error| ModelError::io(path, error))?;
        Ok(Self {
            path: path.into(),
            bytes: Bytes::File(file.into()),
        })
    }

    pub(crate) fn memory(bytes: &[u8]) -> Self {
        Self {
            path: PathBuf::from("(memory)"),
            bytes: Bytes::Memory(bytes.into()),
        }
    }

    /// An error about the content of the file.
    pub(crate) fn fault(&self, reason: impl Into<String>) -> ModelError {
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
    pub(crate) fn with_all<R>(
        &self,
        look: impl FnOnce(&[u8]) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        self.show((0, self.len()?), Pages::Looked, look)
    }

    /// Shows a stretch of the file. The map ends with the look, so that its pages do not pile
    /// up while a large checkpoint streams by.
    pub(crate) fn with_range<R>(
        &self,
        start: usize,
        length: usize,
        look: impl FnOnce(&[u8]) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        self.show((start, length), Pages::All, look)
    }

    fn show<R>(
        &self,
        (start, length): (usize, usize),
        pages: Pages,
        look: impl FnOnce(&[u8]) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        self.check_range(start, length)?;
        match &self.bytes {
            Bytes::Memory(bytes) => look(&bytes[start..start + length]),
            Bytes::File(_) if length == 0 => look(&[]),
            Bytes::File(file) => {
                let map = map(file, (start, length), pages).map_err(|error| self.io(error))?;
                look(&map)
            }
        }
    }

    fn check_range(&self, start: usize, length: usize) -> Result<(), ModelError> {
        let available = self.len()?;
        let end = start.checked_add(length);
        match end.is_some_and(|end| end <= available) {
            true => Ok(()),
            false => Err(self.fault(format!(
                "ends before byte {start} + {length}; copy or download it again"
            ))),
        }
    }

    /// Copies bytes out of the file without a map, so that a file which was cut meanwhile is an
    /// error and no signal.
    fn copy(&self, start: usize, bytes: &mut [u8]) -> Result<(), ModelError> {
        match &self.bytes {
            Bytes::Memory(all) => {
                self.check_range(start, bytes.len())?;
                bytes.copy_from_slice(&all[start..start + bytes.len()]);
                Ok(())
            }
            Bytes::File(file) => read_at(file, start as u64, bytes).map_err(|error| self.io(error)),
        }
    }
}

/// Where the numbers of one tensor lie as they are stored: plain numbers, or blocks that share
/// scales. A clone shares the open file.
#[derive(Debug, Clone)]
pub struct StoredBytes {
    storage: Storage,
    start: usize,
    length: usize,
}

impl StoredBytes {
    pub(crate) fn new(storage: Storage, start: usize, length: usize) -> Self {
        Self {
            storage,
            start,
            length,
        }
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Shows all bytes, as they are now.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`]; [`ModelError::Format`] where the file has become shorter.
    pub fn look<R>(
        &self,
        look: impl FnOnce(&[u8]) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        self.storage.with_range(self.start, self.length, look)
    }

    /// Copies bytes from a place within the tensor on.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`], also where the file has become shorter; [`ModelError::Format`] for bytes
    /// beyond the tensor.
    pub fn copy(&self, place: usize, bytes: &mut [u8]) -> Result<(), ModelError> {
        let end = place.checked_add(bytes.len());
        if end.is_none_or(|end| end > self.length) {
            return Err(self.storage.fault("a row beyond its tensor"));
        }
        self.storage.copy(self.start + place, bytes)
    }

    /// An error about the file.
    pub(crate) fn fault(&self, reason: impl Into<String>) -> ModelError {
        self.storage.fault(reason)
    }
}

#[cfg(unix)]
fn read_at(file: &File, start: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
}

#[cfg(windows)]
fn read_at(file: &File, mut start: u64, mut bytes: &mut [u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, bytes, start)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        start += count as u64;
        bytes = &mut bytes[count..];
    }
    Ok(())
}

#[allow(unsafe_code)]
fn map(file: &File, (start, length): (usize, usize), pages: Pages) -> std::io::Result<Mmap> {
    let mut options = MmapOptions::new();
    options.offset(start as u64).len(length);
    if pages == Pages::All {
        options.populate();
    }
    // SAFETY: the map is read only and lives for one look. Should another process cut the file
    // meanwhile, reading fails with a signal rather than with wrong memory; there is no portable
    // way to rule that out, and copying whole checkpoints is what maps are here to avoid.
    unsafe { options.map(file) }
}
