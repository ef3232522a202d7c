//! Writing weights tensor by tensor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use burn::tensor::{DType, TensorData};
use half::{bf16, f16};
use serde_json::{Map, Value, json};

use super::files;
use super::save::SaveOptions;
use crate::{ModelError, TensorInfo, TensorSource};

/// Bytes of tensors in one file, as transformers splits them.
pub(super) const SHARD_BYTES: u64 = 5_000_000_000;

/// How weights are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WeightsWriter {
    /// Number format of all floating point tensors; `None` keeps each.
    pub(super) dtype: Option<DType>,
    /// Bytes after which a new file begins.
    pub(super) shard_bytes: u64,
    /// Whether numbers that are not finite are an error.
    pub(super) check_finite: bool,
}

/// A tensor that will be written.
struct Planned {
    name: String,
    info: TensorInfo,
    bytes: u64,
}

impl WeightsWriter {
    pub(super) fn new(options: &SaveOptions) -> Self {
        Self {
            dtype: options.dtype,
            shard_bytes: options.shard_bytes,
            check_finite: options.check_finite,
        }
    }

    /// Writes `model.safetensors`, or shards with an index when the tensors need more bytes
    /// than one file takes. Returns the bytes of all tensors.
    pub(super) fn write(&self, dir: &Path, source: &dyn TensorSource) -> Result<u64, ModelError> {
        let shards = self.plan(source)?;
        let total = shards.iter().flatten().map(|planned| planned.bytes).sum();
        if let [shard] = shards.as_slice() {
            self.write_file(&dir.join("model.safetensors"), shard, source)?;
            return Ok(total);
        }
        let mut map = BTreeMap::new();
        for (index, shard) in shards.iter().enumerate() {
            let number = index + 1;
            let file = format!("model-{number:05}-of-{:05}.safetensors", shards.len());
            self.write_file(&dir.join(&file), shard, source)?;
            map.extend(shard.iter().map(|planned| (&planned.name, file.clone())));
        }
        let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
        files::write_json(&dir.join("model.safetensors.index.json"), &index)?;
        Ok(total)
    }

    /// Writes one file with every tensor of a source.
    pub(super) fn write_single(
        &self,
        path: &Path,
        source: &dyn TensorSource,
    ) -> Result<(), ModelError> {
        let all = Self {
            shard_bytes: u64::MAX,
            ..self.clone()
        };
        let shards = all.plan(source)?;
        self.write_file(path, shards.first().map_or(&[], Vec::as_slice), source)
    }

    fn plan(&self, source: &dyn TensorSource) -> Result<Vec<Vec<Planned>>, ModelError> {
        let mut shards = vec![Vec::new()];
        let mut filled = 0_u64;
        for name in source.names() {
            let info = source.info(&name);
            let mut info = info.ok_or_else(|| ModelError::UnknownTensor(name.clone()))?;
            if let Some(dtype) = self.dtype
                && is_float(info.dtype)
            {
                info.dtype = dtype;
            }
            let bytes = info
                .bytes()
                .ok_or_else(|| ModelError::tensor(&name, "has more numbers than memory"))?;
            let bytes = bytes as u64;
            if filled > 0 && filled.saturating_add(bytes) > self.shard_bytes {
                shards.push(Vec::new());
                filled = 0;
            }
            filled = filled.saturating_add(bytes);
            if let Some(shard) = shards.last_mut() {
                shard.push(Planned { name, info, bytes });
            }
        }
        Ok(shards)
    }

    fn write_file(
        &self,
        path: &Path,
        shard: &[Planned],
        source: &dyn TensorSource,
    ) -> Result<(), ModelError> {
        let io = |error| ModelError::io(path, error);
        let file = File::create(path).map_err(io)?;
        let mut file = BufWriter::new(file);
        let header = header(shard)?;
        file.write_all(&(header.len() as u64).to_le_bytes())
            .map_err(io)?;
        file.write_all(header.as_bytes()).map_err(io)?;
        for planned in shard {
            let data = self.read(planned, source)?;
            file.write_all(data.as_bytes()).map_err(io)?;
        }
        let file = file.into_inner().map_err(|error| io(error.into_error()))?;
        file.sync_all().map_err(io)
    }

    fn read(&self, planned: &Planned, source: &dyn TensorSource) -> Result<TensorData, ModelError> {
        let name = &planned.name;
        let data = source.read(name)?;
        let data = if data.dtype() == planned.info.dtype {
            data
        } else {
            data.convert_dtype(planned.info.dtype)
        };
        if data.shape().to_vec() != planned.info.shape {
            return Err(ModelError::tensor(name, "has another shape than announced"));
        }
        let bad = if self.check_finite {
            non_finite(&data)
        } else {
            0
        };
        if bad > 0 {
            let dtype = planned.info.dtype;
            let reason = format!("{bad} numbers are not finite as {dtype:?}; try bf16 or f32");
            return Err(ModelError::tensor(name, reason));
        }
        Ok(data)
    }
}

/// The header of a safetensors file, padded with spaces so that numbers are aligned.
fn header(shard: &[Planned]) -> Result<String, ModelError> {
    let mut object = Map::new();
    object.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut start = 0;
    for planned in shard {
        let end = start + planned.bytes;
        let entry = json!({
            "dtype": format_name(&planned.name, planned.info.dtype)?,
            "shape": planned.info.shape,
            "data_offsets": [start, end],
        });
        object.insert(planned.name.clone(), entry);
        start = end;
    }
    let mut header = Value::Object(object).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    Ok(header)
}

fn format_name(name: &str, dtype: DType) -> Result<&'static str, ModelError> {
    Ok(match dtype {
        DType::F64 => "F64",
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::I16 => "I16",
        DType::I8 => "I8",
        DType::U8 => "U8",
        other => {
            return Err(ModelError::tensor(
                name,
                format!("{other:?} cannot be written"),
            ));
        }
    })
}

pub(super) fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
}

fn non_finite(data: &TensorData) -> usize {
    fn count<T: Copy>(numbers: &[T], finite: fn(T) -> bool) -> usize {
        numbers.iter().filter(|&&number| !finite(number)).count()
    }
    match data.dtype() {
        DType::F64 => data.as_slice().map_or(0, |v| count(v, f64::is_finite)),
        DType::F32 => data.as_slice().map_or(0, |v| count(v, f32::is_finite)),
        DType::F16 => data.as_slice().map_or(0, |v| count(v, f16::is_finite)),
        DType::BF16 => data.as_slice().map_or(0, |v| count(v, bf16::is_finite)),
        _ => 0,
    }
}
