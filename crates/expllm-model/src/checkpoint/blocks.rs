//! Matrices of native checkpoints in blocks of 8 or 4 bits.
//!
//! The matrix `NAME` of `[rows, columns]` is stored as bytes, `[rows, bytes of a row]`, under
//! `NAME.FORMAT`, such as `lm_head.weight.q8_0`.

use std::collections::BTreeMap;

use burn::tensor::{DType, TensorData};
use expllm_kernels::{Format, decode_row, encode_row};
use rayon::prelude::*;

use super::sources::BoxedSource;
use crate::packed::format_beside;
use crate::{
    ExpLlm, ModelConfig, ModelError, StoredBytes, TensorInfo, TensorSource, default_device,
};

/// Ends of names under which matrices are stored.
const STORED: [Format; 3] = [Format::Q8_0, Format::Q4_0, Format::Q4A];

/// The official name and the format of what is stored under a name.
fn parse(stored: &str) -> Option<(&str, Format)> {
    let (name, format) = stored.rsplit_once('.')?;
    let format = Format::from_name(format).filter(|format| STORED.contains(format))?;
    Some((name, format))
}

/// A source of stored blocks that shows them as the matrices which they are.
pub(super) struct FromBlocks {
    source: BoxedSource,
    /// What is known of each matrix in blocks, by its official name.
    matrices: BTreeMap<String, Blocks>,
}

#[derive(Debug, Clone, Copy)]
struct Blocks {
    format: Format,
    rows: usize,
    columns: usize,
    row_bytes: usize,
}

impl FromBlocks {
    /// The source itself when it holds no blocks.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tensor`] for blocks that are not a matrix of the model, not as many bytes as
    /// it takes, or stored twice.
    pub(super) fn open(
        source: BoxedSource,
        config: &ModelConfig,
    ) -> Result<BoxedSource, ModelError> {
        let stored = source.names();
        let blocks: Vec<_> = stored.iter().filter_map(|name| parse(name)).collect();
        if blocks.is_empty() {
            return Ok(source);
        }
        // Parameters are lazy, so this takes no memory for weights.
        let layout = ExpLlm::init(config, &default_device())?.layout();
        let shapes: BTreeMap<_, _> = layout.into_iter().map(|s| (s.name, s.shape)).collect();
        let mut matrices = BTreeMap::new();
        for (name, format) in blocks {
            let fault =
                |reason: String| ModelError::tensor(format!("{name}.{}", format.name()), reason);
            let Some([rows, columns]) = shapes.get(name).map(Vec::as_slice) else {
                return Err(fault("is no matrix of this model".to_owned()));
            };
            let row_bytes = format.row_bytes(*columns).unwrap_or(usize::MAX);
            let found = source.info(&format!("{name}.{}", format.name()));
            if found
                .as_ref()
                .is_none_or(|info| info.dtype != DType::U8 || info.shape != [*rows, row_bytes])
            {
                let found = found.map(|info| (info.dtype, info.shape));
                return Err(fault(format!(
                    "holds {found:?}; {rows} x {columns} weights need [{rows}, {row_bytes}] bytes"
                )));
            }
            let blocks = Blocks {
                format,
                rows: *rows,
                columns: *columns,
                row_bytes,
            };
            let before = matrices.insert(name.to_owned(), blocks);
            if before.is_some() || source.info(name).is_some() {
                return Err(fault("is stored in another format too".to_owned()));
            }
        }
        Ok(Box::new(Self { source, matrices }))
    }

    fn bytes(&self, name: &str, blocks: Blocks) -> Result<Vec<u8>, ModelError> {
        let stored = format!("{name}.{}", blocks.format.name());
        let data = self.source.read(&stored)?;
        let bytes: Vec<u8> = data
            .try_into_vec()
            .map_err(|error| ModelError::tensor(&stored, format!("{error:?}")))?;
        if bytes.len() != blocks.rows * blocks.row_bytes {
            return Err(ModelError::tensor(
                stored,
                "has another size than announced",
            ));
        }
        Ok(bytes)
    }
}

impl TensorSource for FromBlocks {
    fn names(&self) -> Vec<String> {
        let official = |stored: String| match parse(&stored) {
            Some((name, _)) => name.to_owned(),
            None => stored,
        };
        self.source.names().into_iter().map(official).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        match self.matrices.get(name) {
            Some(blocks) => Some(TensorInfo {
                shape: vec![blocks.rows, blocks.columns],
                dtype: DType::F32,
            }),
            None => self.source.info(name),
        }
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let Some(&blocks) = self.matrices.get(name) else {
            return self.source.read(name);
        };
        let bytes = self.bytes(name, blocks)?;
        let mut numbers = vec![0.0_f32; blocks.rows * blocks.columns];
        let rows = numbers.par_chunks_mut(blocks.columns);
        rows.zip(bytes.par_chunks(blocks.row_bytes))
            .try_for_each(|(row, bytes)| {
                expllm_kernels::check_row(blocks.format, blocks.columns, bytes)?;
                decode_row(blocks.format, bytes, row)
            })
            .map_err(|error| ModelError::tensor(name, error.to_string()))?;
        Ok(TensorData::new(numbers, [blocks.rows, blocks.columns]))
    }

    fn block_format(&self, name: &str) -> Option<Format> {
        Some(self.matrices.get(name)?.format)
    }

    fn read_blocks(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let blocks = self.matrices.get(name);
        blocks.map(|&blocks| self.bytes(name, blocks)).transpose()
    }

    fn stored(&self, name: &str) -> Option<StoredBytes> {
        match self.matrices.get(name) {
            Some(blocks) => {
                let stored = format!("{name}.{}", blocks.format.name());
                self.source.stored(&stored)
            }
            None => self.source.stored(name),
        }
    }
}

/// A source whose matrices are turned into blocks as they are read, for writing.
pub(super) struct IntoBlocks<'a> {
    source: &'a dyn TensorSource,
    format: Format,
    /// Whether the vision encoder has linear layers; one that is convolutional is kept as it is.
    vision: bool,
}

impl<'a> IntoBlocks<'a> {
    /// Blocks of a format for the language model, and of
    /// [the one beside it](format_beside) for the rest.
    pub(super) fn new(source: &'a dyn TensorSource, config: &ModelConfig, format: Format) -> Self {
        let vision = config.vision.dinov2().is_some();
        Self {
            source,
            format,
            vision,
        }
    }

    fn format(&self, name: &str) -> Option<Format> {
        let shape = self.source.info(name)?.shape;
        let in_vision = name.starts_with("vision_model.");
        if shape.len() != 2 || !name.ends_with(".weight") || (in_vision && !self.vision) {
            return None;
        }
        let beside = in_vision || name.starts_with("mm_projector.");
        Some(match beside {
            true => format_beside(self.format),
            false => self.format,
        })
    }

    fn encode(&self, name: &str, format: Format) -> Result<TensorData, ModelError> {
        let fault = |reason: String| ModelError::tensor(name, reason);
        let info = self.source.info(name);
        let Some([rows, columns]) = info.as_ref().map(|info| info.shape.as_slice()) else {
            return Err(ModelError::UnknownTensor(name.to_owned()));
        };
        let row_bytes = format.row_bytes(*columns).unwrap_or(0);
        let bytes = match self.source.read_blocks(name)? {
            Some(bytes) if self.source.block_format(name) == Some(format) => bytes,
            _ => {
                let data = self.source.read(name)?.convert_dtype(DType::F32);
                let numbers = data
                    .as_slice::<f32>()
                    .map_err(|e| fault(format!("{e:?}")))?;
                let mut bytes = vec![0; rows * row_bytes];
                let places = bytes.par_chunks_mut(row_bytes.max(1)).enumerate();
                places
                    .zip(numbers.par_chunks((*columns).max(1)))
                    .try_for_each(|((row, bytes), numbers)| {
                        encode_row(format, numbers, bytes).map_err(|error| error.at_row(row))
                    })
                    .map_err(|error| fault(error.to_string()))?;
                bytes
            }
        };
        TensorData::try_from_bytes_vec(bytes, vec![*rows, row_bytes], DType::U8)
            .map_err(|error| fault(error.to_string()))
    }
}

impl TensorSource for IntoBlocks<'_> {
    fn names(&self) -> Vec<String> {
        let stored = |name: String| match self.format(&name) {
            Some(format) => format!("{name}.{}", format.name()),
            None => name,
        };
        self.source.names().into_iter().map(stored).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        let Some((official, format)) = parse(name) else {
            return self.source.info(name);
        };
        let shape = self.source.info(official)?.shape;
        let [rows, columns] = shape[..] else {
            return None;
        };
        Some(TensorInfo {
            shape: vec![rows, format.row_bytes(columns)?],
            dtype: DType::U8,
        })
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        match parse(name) {
            Some((official, format)) => self.encode(official, format),
            None => self.source.read(name),
        }
    }
}
