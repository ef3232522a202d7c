//! Tensors under their official names, with query and key rows in the official order.

use std::collections::BTreeMap;

use burn::tensor::TensorData;
use expllm_kernels::Format;

use crate::checkpoint::weight_file::WeightFile;
use crate::{ModelError, StoredBytes, TensorInfo, TensorSource};

/// Factors of the rotary frequencies, which the configuration says in another way.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Names of the tensors of a layer in the file and in transformers.
const LAYER: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// The official name. Tensors that a LLaMA model lacks keep theirs, so that checking the weights
/// names them.
fn official(name: &str) -> String {
    let inner = |name: &str| {
        let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
        let (part, kind) = rest.split_once('.')?;
        let (_, official) = LAYER.iter().find(|(known, _)| *known == part)?;
        Some(format!("model.layers.{layer}.{official}.{kind}"))
    };
    match name {
        "token_embd.weight" => "model.embed_tokens.weight".to_owned(),
        "output_norm.weight" => "model.norm.weight".to_owned(),
        "output.weight" => "lm_head.weight".to_owned(),
        other => inner(other).unwrap_or_else(|| other.to_owned()),
    }
}

/// The weights of a file.
#[derive(Debug)]
pub(super) struct LlamaWeights {
    file: WeightFile,
    /// Official names with those of the file.
    names: BTreeMap<String, Stored>,
}

#[derive(Debug)]
struct Stored {
    name: String,
    /// Heads of a weight whose rows stand in pairs.
    paired: Option<usize>,
}

impl LlamaWeights {
    /// Takes the numbers of query heads and of key heads.
    pub(super) fn new(file: WeightFile, heads: [usize; 2]) -> Result<Self, String> {
        let mut names = BTreeMap::new();
        for name in file.names() {
            if name == ROPE_FACTORS {
                continue;
            }
            let official = official(&name);
            let paired = match &official {
                name if name.ends_with("q_proj.weight") => Some(heads[0]),
                name if name.ends_with("k_proj.weight") => Some(heads[1]),
                _ => None,
            };
            let rows = file
                .info(&name)
                .and_then(|info| info.shape.first().copied());
            if let (Some(heads), Some(rows)) = (paired, rows)
                && !rows.is_multiple_of(2 * heads)
            {
                return Err(format!(
                    "tensor {name:?}: {rows} rows are not those of {heads} heads"
                ));
            }
            names.insert(official, Stored { name, paired });
        }
        Ok(Self { file, names })
    }

    fn entry(&self, name: &str) -> Result<&Stored, ModelError> {
        let stored = self.names.get(name);
        stored.ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))
    }
}

impl TensorSource for LlamaWeights {
    fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        self.file.info(&self.names.get(name)?.name)
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let stored = self.entry(name)?;
        let data = self.file.read(&stored.name)?;
        let Some(heads) = stored.paired else {
            return Ok(data);
        };
        let shape = data.shape().to_vec();
        let rows = shape.first().copied().unwrap_or(0);
        let ordered = unpair(data.as_bytes(), rows, heads);
        TensorData::try_from_bytes_vec(ordered, shape, data.dtype())
            .map_err(|error| ModelError::tensor(name, error.to_string()))
    }

    fn block_format(&self, name: &str) -> Option<Format> {
        self.file.block_format(&self.names.get(name)?.name)
    }

    fn read_blocks(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let stored = self.entry(name)?;
        let blocks = self.file.read_blocks(&stored.name)?;
        let info = self.file.info(&stored.name);
        let rows = info.and_then(|info| info.shape.first().copied());
        Ok(match (blocks, stored.paired, rows) {
            (Some(blocks), Some(heads), Some(rows)) => Some(unpair(&blocks, rows, heads)),
            (blocks, ..) => blocks,
        })
    }

    fn stored(&self, name: &str) -> Option<StoredBytes> {
        let stored = self.names.get(name)?;
        let in_order = stored.paired.is_none();
        in_order.then(|| self.file.stored(&stored.name)).flatten()
    }
}

/// llama.cpp turns channel `2 i` of a head with channel `2 i + 1`, transformers channel `i` with
/// `i + width / 2`; its converter moves the rows accordingly, and this moves them back. The number
/// of rows is a multiple of twice the heads.
fn unpair(bytes: &[u8], rows: usize, heads: usize) -> Vec<u8> {
    let row_bytes = bytes.len() / rows.max(1);
    let half = rows / heads / 2;
    let mut ordered = Vec::with_capacity(bytes.len());
    for row in 0..rows {
        let (head, channel) = (row / (2 * half), row % (2 * half));
        let from = head * 2 * half + channel % half * 2 + channel / half;
        ordered.extend_from_slice(&bytes[from * row_bytes..(from + 1) * row_bytes]);
    }
    ordered
}
