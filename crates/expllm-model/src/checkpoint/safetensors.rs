//! The directory of a `.safetensors` file.

use burn::tensor::DType;

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
