//! Small files: read with a limit, written whole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::ModelError;

/// What a file is that Git keeps elsewhere and that was not fetched.
pub(crate) const POINTER: &str = "a Git LFS pointer in place of the file; fetch it with `git lfs \
                                  pull`, or download it again";

/// Whether a file is such a pointer (`docs/spec.md` of Git LFS).
pub(crate) fn is_pointer(file: &[u8]) -> bool {
    file.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// A text without the mark that some editors put before it.
pub(crate) fn without_mark(file: &[u8]) -> &[u8] {
    file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file)
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let io = |error| ModelError::io(path, error);
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    // The length that the file system states may change while the file is read.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        let reason = format!("larger than the {limit} bytes that such a file can need");
        return Err(ModelError::format(path, reason));
    }
    match is_pointer(&bytes) {
        true => Err(ModelError::format(path, POINTER)),
        false => Ok(bytes),
    }
}

/// Reads a JSON object.
pub(crate) fn read_json_object(path: &Path, limit: u64) -> Result<Map<String, Value>, ModelError> {
    serde_json::from_slice(without_mark(&read_limited(path, limit)?))
        .map_err(|error| ModelError::format(path, format!("not a JSON object: {error}")))
}

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    std::fs::write(path, bytes).map_err(|error| ModelError::io(path, error))
}

/// Writes JSON for people to read.
pub(crate) fn write_json(path: &Path, value: &Value) -> Result<(), ModelError> {
    write(path, format!("{value:#}\n").as_bytes())
}
