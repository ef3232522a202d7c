//! The directory of a file that `torch.save` wrote (`.bin`, `.pth`): a zip archive with a pickle and
//! one uncompressed member per storage.

use std::collections::HashMap;
use std::io::Cursor;

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Items, PickledTensor, Value};
use super::safetensors::dtype_named;
use super::weight_file::{Directory, Entry};
use crate::TensorInfo;

/// The pickle of a 7B checkpoint has about 100 kB.
const MAX_PICKLE_BYTES: usize = 64 << 20;

/// Keys under which training scripts keep the state dictionary.
const NESTED: [&str; 3] = ["state_dict", "model", "teacher"];

/// First byte and length of each member.
type Members = HashMap<String, (usize, usize)>;

/// Lists the tensors of an archive, without executing anything.
pub(super) fn list(file: &[u8]) -> Result<Directory, String> {
    if !file.starts_with(b"PK\x03\x04") {
        return Err(
            "not a zip archive; load it with PyTorch 1.6 or later and save it again".into(),
        );
    }
    tensors(file, &members(file)?)
}

/// The uncompressed members of an archive.
fn members(file: &[u8]) -> Result<Members, String> {
    let damaged = |error| format!("damaged zip archive: {error}; copy or download it again");
    let mut archive = ZipArchive::new(Cursor::new(file)).map_err(damaged)?;
    let mut members = Members::with_capacity(archive.len());
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(damaged)?;
        let name = member.name().to_owned();
        if member.compression() != CompressionMethod::Stored {
            return Err(format!(
                "member {name:?} is compressed, which PyTorch never does"
            ));
        }
        let place = usize::try_from(member.data_start()).ok();
        let place = place.zip(usize::try_from(member.size()).ok());
        let inside = place.filter(|&(start, length)| {
            start
                .checked_add(length)
                .is_some_and(|end| end <= file.len())
        });
        let place = inside.ok_or_else(|| format!("member {name:?} is longer than the file"))?;
        members.insert(name, place);
    }
    Ok(members)
}

fn tensors(file: &[u8], members: &Members) -> Result<Directory, String> {
    let name = members.keys().find(|name| name.ends_with("data.pkl"));
    let name = name.ok_or("no data.pkl in the archive; this is no PyTorch file")?;
    let root = name.trim_end_matches("data.pkl");
    let order = members.get(&format!("{root}byteorder"));
    if order.is_some_and(|&(start, length)| &file[start..start + length] != b"little") {
        return Err("the numbers are big endian; save the file on another machine".into());
    }
    let (start, length) = members[name];
    if length > MAX_PICKLE_BYTES {
        return Err(format!(
            "data.pkl has {length} bytes; {MAX_PICKLE_BYTES} can be read"
        ));
    }
    let Value::Dict(top) = pickle::parse(&file[start..start + length])? else {
        return Err("the file holds no dictionary of tensors".into());
    };
    let mut tensors = Directory::new();
    for (name, tensor) in pairs(state_dict(&top)) {
        let (Value::Text(name), Value::Tensor(tensor)) = (name, tensor) else {
            continue;
        };
        let member = members.get(&format!("{root}data/{}", tensor.storage));
        let entry = place(tensor, member).map_err(|reason| format!("tensor {name:?}: {reason}"))?;
        tensors.insert(name.to_string(), entry);
    }
    if tensors.is_empty() {
        return Err("the file holds no tensors".into());
    }
    Ok(tensors)
}

fn pairs(items: &Items) -> impl Iterator<Item = (&Value, &Value)> {
    items
        .values
        .chunks_exact(2)
        .map(|pair| (&pair[0], &pair[1]))
}

/// The state dictionary itself, or the one inside a training checkpoint.
fn state_dict(top: &Items) -> &Items {
    let nested = pairs(top).find_map(|(key, value)| match (key, value) {
        (Value::Text(key), Value::Dict(inner)) if NESTED.contains(&&**key) => Some(&**inner),
        _ => None,
    });
    nested.unwrap_or(top)
}

/// Where a tensor lies, after checking that its storage holds it.
fn place(tensor: &PickledTensor, member: Option<&(usize, usize)>) -> Result<Entry, String> {
    let &(start, length) =
        member.ok_or_else(|| format!("its storage {:?} is not in the file", tensor.storage))?;
    let dtype =
        dtype_named(&tensor.format).ok_or_else(|| format!("number format {}", tensor.format))?;
    let axes: Result<Vec<usize>, _> = tensor.shape.iter().map(|&n| n.try_into()).collect();
    let info = TensorInfo {
        shape: axes.map_err(|_| "a negative axis")?,
        dtype,
    };
    if !is_contiguous(&tensor.shape, &tensor.stride) {
        return Err("its numbers are not in order; save tensor.contiguous()".into());
    }
    let bytes = info.bytes();
    let first = usize::try_from(tensor.offset)
        .ok()
        .and_then(|n| n.checked_mul(dtype.size()));
    let end = first
        .zip(bytes)
        .and_then(|(first, bytes)| first.checked_add(bytes));
    match (first, bytes, end) {
        (Some(first), Some(bytes), Some(end)) if end <= length => Ok(Entry {
            info,
            start: start + first,
            bytes,
            blocks: None,
        }),
        _ => Err(format!(
            "{:?} numbers are more than its storage has",
            info.shape
        )),
    }
}

fn is_contiguous(shape: &[i64], stride: &[i64]) -> bool {
    let mut expected = 1_i64;
    shape.len() == stride.len()
        && shape.iter().zip(stride).rev().all(|(&axis, &step)| {
            // The stride of an axis of length 1 is never used.
            let fits = axis <= 1 || step == expected;
            expected = expected.saturating_mul(axis.max(1));
            fits
        })
}
