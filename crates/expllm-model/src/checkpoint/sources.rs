//! Sources made of others: shards, renamed and chosen tensors.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use burn::tensor::TensorData;
use expllm_kernels::Format;
use serde_json::Value;

use super::files;
use super::weight_file::WeightFile;
use crate::{ModelError, StoredBytes, TensorInfo, TensorSource};

const MAX_INDEX_BYTES: u64 = 64 << 20;

/// The largest number of files that one checkpoint may have; each is open while it is read.
const MAX_SHARDS: usize = 512;

/// A source that lives somewhere else.
pub type BoxedSource = Box<dyn TensorSource>;

/// Several sources as one; each tensor has a name of its own and may be renamed.
#[derive(Default)]
pub(super) struct Joined {
    sources: Vec<BoxedSource>,
    /// Name, source and the name in the source.
    places: BTreeMap<String, (usize, String)>,
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tensors = self.places.len();
        write!(
            f,
            "Joined({} sources, {tensors} tensors)",
            self.sources.len()
        )
    }
}

impl Joined {
    /// Adds a source; `rename` gives the official name of a tensor, or `None` to leave it out.
    pub(super) fn with(
        mut self,
        source: BoxedSource,
        rename: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ModelError> {
        let index = self.sources.len();
        for old in source.names() {
            let Some(new) = rename(&old) else { continue };
            if self.places.insert(new.clone(), (index, old)).is_some() {
                return Err(ModelError::tensor(new, "is stored twice"));
            }
        }
        self.sources.push(source);
        Ok(self)
    }

    fn place(&self, name: &str) -> Option<(&dyn TensorSource, &str)> {
        let (source, name) = self.places.get(name)?;
        Some((self.sources.get(*source)?.as_ref(), name))
    }
}

impl TensorSource for Joined {
    fn names(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        let (source, name) = self.place(name)?;
        source.info(name)
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let (source, inner) = self
            .place(name)
            .ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))?;
        source.read(inner)
    }

    fn block_format(&self, name: &str) -> Option<Format> {
        let (source, name) = self.place(name)?;
        source.block_format(name)
    }

    fn read_blocks(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let (source, inner) = self
            .place(name)
            .ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))?;
        source.read_blocks(inner)
    }

    fn stored(&self, name: &str) -> Option<StoredBytes> {
        let (source, name) = self.place(name)?;
        source.stored(name)
    }
}

/// The weights of a folder: one file, or the shards of an index. Safetensors come first.
/// `None` when there are none.
pub(super) fn open_weights(dir: &Path) -> Result<Option<BoxedSource>, ModelError> {
    for file in ["model.safetensors", "pytorch_model.bin"] {
        let index = dir.join(format!("{file}.index.json"));
        if index.is_file() {
            return open_shards(dir, &index).map(Some);
        }
        let single = dir.join(file);
        if single.is_file() {
            return Ok(Some(Box::new(WeightFile::open(&single)?)));
        }
    }
    Ok(None)
}

fn open_shards(dir: &Path, index: &Path) -> Result<BoxedSource, ModelError> {
    let fault = |reason: String| ModelError::format(index, reason);
    let object = files::read_json_object(index, MAX_INDEX_BYTES)?;
    let map = object.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| fault("no `weight_map`".into()))?;
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tensor, shard) in map {
        let shard = shard
            .as_str()
            .ok_or_else(|| fault(format!("the file of {tensor:?} is no text")))?;
        shards.entry(shard).or_default().push(tensor);
    }
    if shards.is_empty() || shards.len() > MAX_SHARDS {
        return Err(fault(format!(
            "{} shards; 1 to {MAX_SHARDS} can be read",
            shards.len()
        )));
    }
    let mut joined = Joined::default();
    for (shard, tensors) in shards {
        // A shard in another folder could be any file of the machine.
        let mut parts = Path::new(shard).components();
        if !matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        ) {
            return Err(fault(format!(
                "the shard {shard:?} is not a file beside the index"
            )));
        }
        let source = WeightFile::open(&dir.join(shard))?;
        let missing: Vec<_> = tensors
            .iter()
            .filter(|name| source.info(name).is_none())
            .collect();
        if !missing.is_empty() {
            return Err(fault(format!("{shard} lacks {missing:?}")));
        }
        let unlisted: Vec<_> = source
            .names()
            .into_iter()
            .filter(|name| map.get(name).and_then(Value::as_str) != Some(shard))
            .collect();
        if !unlisted.is_empty() {
            return Err(fault(format!(
                "{shard} holds {unlisted:?}, which the index does not list"
            )));
        }
        joined = joined.with(Box::new(source), |name| Some(name.to_owned()))?;
    }
    Ok(Box::new(joined))
}
