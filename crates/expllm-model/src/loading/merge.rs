//! Weights with their adapters added in, one tensor at a time.

use burn::tensor::{DType, TensorData};
use expllm_kernels::Format;
use rayon::prelude::*;

use crate::{ModelConfig, ModelError, StoredBytes, TensorInfo, TensorSource};

/// A source whose adapters are merged: `W + (alpha / rank) B A`, computed in f32 and kept in the
/// number format of `W`.
pub(crate) struct Merged<'a> {
    source: &'a dyn TensorSource,
    llm_scale: f32,
    vision_scale: f32,
}

/// A pair of matrices and the first row of the weight that they change.
struct Adapter {
    a: String,
    b: String,
    /// Third of the fused weight, for the vision encoder.
    third: Option<usize>,
}

/// The configuration of the merged model.
pub(crate) fn merged_config(config: &ModelConfig) -> ModelConfig {
    let mut merged = config.clone();
    merged.llm.lora = None;
    if let Some(vision) = merged.vision.dinov2_mut() {
        vision.lora = None;
    }
    merged
}

impl<'a> Merged<'a> {
    pub(crate) fn new(source: &'a dyn TensorSource, config: &ModelConfig) -> Self {
        let scale = |lora: Option<&crate::LoraConfig>| lora.map_or(0.0, |lora| lora.scale() as f32);
        Self {
            source,
            llm_scale: scale(config.llm.lora.as_ref()),
            vision_scale: scale(config.vision.lora()),
        }
    }

    fn adapters(&self, name: &str) -> Vec<Adapter> {
        let Some(stem) = name.strip_suffix(".weight") else {
            return Vec::new();
        };
        let fused = stem
            .strip_suffix("qkv")
            .filter(|_| name.starts_with("vision_model."));
        let pairs = match fused {
            Some(attention) => (0..3)
                .zip(["q", "k", "v"])
                .map(|(third, letter)| Adapter {
                    a: format!("{attention}lora_A_{letter}"),
                    b: format!("{attention}lora_B_{letter}"),
                    third: Some(third),
                })
                .collect(),
            None => vec![Adapter {
                a: format!("{stem}.lora_A"),
                b: format!("{stem}.lora_B"),
                third: None,
            }],
        };
        let known = |adapter: &Adapter| self.source.info(&adapter.a).is_some();
        pairs.into_iter().filter(known).collect()
    }

    fn matrix(&self, name: &str) -> Result<(Vec<f32>, [usize; 2]), ModelError> {
        let data = self.source.read(name)?;
        let [rows, columns] = data.shape().to_vec()[..] else {
            return Err(ModelError::tensor(name, "is no matrix"));
        };
        let numbers = data.convert_dtype(DType::F32).try_into_vec::<f32>();
        let numbers = numbers.map_err(|error| ModelError::tensor(name, format!("{error:?}")))?;
        Ok((numbers, [rows, columns]))
    }

    fn add(
        &self,
        weight: &mut [f32],
        [rows, columns]: [usize; 2],
        adapter: &Adapter,
    ) -> Result<(), ModelError> {
        let (a, [rank, a_columns]) = self.matrix(&adapter.a)?;
        let (b, [b_rows, b_columns]) = self.matrix(&adapter.b)?;
        let (first, expected_rows, scale) = match adapter.third {
            Some(third) => (third * (rows / 3), rows / 3, self.vision_scale),
            None => (0, rows, self.llm_scale),
        };
        if [a_columns, b_rows, b_columns] != [columns, expected_rows, rank] {
            let reason = format!("[{b_rows}, {b_columns}] x [{rank}, {a_columns}] does not fit");
            return Err(ModelError::tensor(&adapter.b, reason));
        }
        if rank == 0 || columns == 0 {
            return Ok(());
        }
        let part = &mut weight[first * columns..(first + b_rows) * columns];
        part.par_chunks_mut(columns)
            .zip(b.par_chunks(rank))
            .for_each(|(row, factors)| {
                for (inner, factor) in a.chunks(columns).zip(factors) {
                    for (number, change) in row.iter_mut().zip(inner) {
                        *number += scale * factor * change;
                    }
                }
            });
        Ok(())
    }
}

impl TensorSource for Merged<'_> {
    fn names(&self) -> Vec<String> {
        let mut names = self.source.names();
        names.retain(|name| !name.contains(".lora_"));
        names
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        if name.contains(".lora_") {
            return None;
        }
        self.source.info(name)
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let adapters = self.adapters(name);
        let info = self.info(name);
        let info = info.ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))?;
        if adapters.is_empty() {
            return self.source.read(name);
        }
        let (mut weight, shape) = self.matrix(name)?;
        for adapter in &adapters {
            self.add(&mut weight, shape, adapter)?;
        }
        Ok(TensorData::new(weight, shape).convert_dtype(info.dtype))
    }

    fn block_format(&self, name: &str) -> Option<Format> {
        let plain = self.adapters(name).is_empty();
        plain.then(|| self.source.block_format(name)).flatten()
    }

    fn read_blocks(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        match self.block_format(name) {
            Some(_) => self.source.read_blocks(name),
            None => Ok(None),
        }
    }

    fn stored(&self, name: &str) -> Option<StoredBytes> {
        let plain = self.adapters(name).is_empty();
        plain.then(|| self.source.stored(name)).flatten()
    }
}
