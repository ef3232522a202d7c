//! The directory of a `.safetensors` file.

use super::storage::dtype_named;
use super::weight_file::{Directory, Entry};
use crate::TensorInfo;

/// Lists the tensors, after checking the header against the length of the file.
pub(super) fn list(file: &[u8]) -> Result<Directory, String> {
    let (header, metadata) = safetensors::SafeTensors::read_metadata(file)
        .map_err(|error| format!("not a whole safetensors file: {error}"))?;
    let mut directory = Directory::new();
    for (name, info) in metadata.tensors() {
        let format = info.dtype.to_string();
        let dtype = dtype_named(&format)
            .ok_or_else(|| format!("tensor {name:?} has the number format {format}"))?;
        let (start, end) = info.data_offsets;
        let entry = Entry {
            info: TensorInfo {
                shape: info.shape.clone(),
                dtype,
            },
            start: 8 + header + start,
            bytes: end - start,
            blocks: None,
        };
        directory.insert(name, entry);
    }
    Ok(directory)
}
