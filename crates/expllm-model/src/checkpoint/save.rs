//! Writing checkpoint folders.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use expllm_kernels::Format;
use serde_json::json;

use super::blocks::IntoBlocks;
use super::files;
use super::hf_config::CONFIG_FILE;
use super::open::{Checkpoint, GENERATION_FILE};
use super::write::{SHARD_BYTES, WeightsWriter};
use crate::loading::merge::{Merged, merged_config};
use crate::{ModelConfig, ModelError, TensorSource};

/// How a folder is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveOptions {
    /// Number format of the weights: `F32`, `F16` or `BF16`; `None` keeps that of each tensor.
    pub dtype: Option<DType>,
    /// Whether adapters are added into the weights.
    pub merge_lora: bool,
    /// Block format of the matrices, `Q8_0`, `Q4_0` or `Q4A`, with adapters added into them; the
    /// vision encoder and the projector are kept in 8 bits at least. `dtype` is then that of all
    /// other tensors.
    pub quantize: Option<Format>,
    /// Bytes of tensors after which a new file begins.
    pub shard_bytes: u64,
    /// Whether numbers that are not finite, or not in the new format, are an error.
    pub check_finite: bool,
}

impl Default for SaveOptions {
    fn default() -> Self {
        Self {
            dtype: None,
            merge_lora: false,
            quantize: None,
            shard_bytes: SHARD_BYTES,
            check_finite: true,
        }
    }
}

impl SaveOptions {
    /// Weights are written in floating point.
    pub(super) fn validate(&self) -> Result<(), ModelError> {
        if let Some(format) = self.quantize.filter(|format| !format.is_quantised()) {
            let reason = format!("{} has no blocks; take q8_0, q4_0 or q4a", format.name());
            return Err(ModelError::config("quantize", reason));
        }
        match self.dtype {
            None | Some(DType::F32 | DType::F16 | DType::BF16) => Ok(()),
            Some(other) => {
                let reason = format!("weights cannot be written as {other:?}");
                Err(ModelError::config("dtype", reason))
            }
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Tensors in all files.
    pub tensors: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes a native folder: `config.json`, `model.safetensors` (with an index when large), the
/// tokenizer, `prompt.toml` and `generation_config.json`.
///
/// One tensor is in memory at a time. The folder appears under its name when it is whole; until
/// then it is written under another name beside it, which a failure removes.
///
/// # Errors
///
/// [`ModelError::Weights`] when the weights do not fit the configuration; [`ModelError::Io`], also when the folder exists and is not empty; [`ModelError::Tensor`] with
/// the tensor that cannot be read or written.
pub fn save(
    dir: &Path,
    checkpoint: &Checkpoint,
    options: &SaveOptions,
) -> Result<Saved, ModelError> {
    options.validate()?;
    checkpoint.verify()?;
    whole_folder(dir, |folder| {
        let merged = Merged::new(checkpoint.source.as_ref(), &checkpoint.config);
        let config = merged_config(&checkpoint.config);
        match options.quantize {
            Some(format) => {
                let blocks = IntoBlocks::new(&merged, &config, format);
                write_folder(folder, checkpoint, (&config, &blocks), options)
            }
            None if options.merge_lora => {
                write_folder(folder, checkpoint, (&config, &merged), options)
            }
            None => {
                let parts = (&checkpoint.config, checkpoint.source.as_ref());
                write_folder(folder, checkpoint, parts, options)
            }
        }
    })
}

fn write_folder(
    folder: &Path,
    checkpoint: &Checkpoint,
    (config, source): (&ModelConfig, &dyn TensorSource),
    options: &SaveOptions,
) -> Result<Saved, ModelError> {
    let mut object = to_json(config)?;
    object["model_type"] = json!("expllm");
    files::write_json(&folder.join(CONFIG_FILE), &object)?;
    let generation = to_json(&checkpoint.generation)?;
    files::write_json(&folder.join(GENERATION_FILE), &generation)?;
    checkpoint.prompt.save(folder)?;
    if let Some(tokenizer) = &checkpoint.tokenizer {
        tokenizer.save(folder)?;
    }
    Ok(Saved {
        bytes: WeightsWriter::new(options).write(folder, source)?,
        tensors: source.names().len(),
    })
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<serde_json::Value, ModelError> {
    serde_json::to_value(value).map_err(|error| ModelError::config("json", error.to_string()))
}

/// Writes a folder under a passing name and gives it its own when it is whole.
pub(super) fn whole_folder<R>(
    dir: &Path,
    write: impl FnOnce(&Path) -> Result<R, ModelError>,
) -> Result<R, ModelError> {
    let io = |error| ModelError::io(dir, error);
    if std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) || dir.is_file() {
        return Err(io(std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "exists already; choose another folder or remove it",
        )));
    }
    let mut name = dir.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let passing: PathBuf = dir.with_file_name(name);
    std::fs::create_dir_all(&passing).map_err(io)?;
    let written = write(&passing).and_then(|result| {
        if dir.is_dir() {
            std::fs::remove_dir(dir).map_err(io)?;
        }
        std::fs::rename(&passing, dir).map_err(io)?;
        Ok(result)
    });
    if written.is_err() {
        // The error that ended the writing says more than one about the clean-up.
        let _ = std::fs::remove_dir_all(&passing);
    }
    written
}
