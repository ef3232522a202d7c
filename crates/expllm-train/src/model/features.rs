//! What was read of many faces, and what a frozen encoder saw of them, in memory and in a file.

use std::collections::HashMap;
use std::path::Path;

use expllm_core::{ActionUnit, AuVector, Expression, ExpressionProbabilities};
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::faces::Look;
use crate::TrainError;

/// Under which a file keeps what it depends on.
const KEY: &str = "key";

/// The number of "no label" in a file.
const NO_LABEL: u8 = u8::MAX;

/// Looks at faces, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Store {
    /// Tokens per face and width of a token; 0 of both where the reading is what is seen.
    size: [usize; 2],
    /// For each look the tokens of the plain, then of the mirrored face.
    features: Vec<f16>,
    units: Vec<f32>,
    probabilities: Vec<f32>,
    labels: Vec<u8>,
}

impl Store {
    pub(super) fn new(size: [usize; 2]) -> Self {
        Self {
            size,
            features: Vec::new(),
            units: Vec::new(),
            probabilities: Vec::new(),
            labels: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn push(&mut self, look: Look) {
        self.features.extend(look.features);
        self.units.extend(look.units.values());
        self.probabilities.extend(look.probabilities.values());
        let label = look.label.map_or(NO_LABEL, |label| label.index() as u8);
        self.labels.push(label);
    }

    /// Tokens of a face, `[patches, width]`.
    pub(super) fn tokens(&self, index: usize, mirrored: bool) -> Vec<f32> {
        let count = self.size[0] * self.size[1];
        let from = (2 * index + usize::from(mirrored)) * count;
        let tokens = self.features.get(from..from + count).unwrap_or(&[]);
        tokens.iter().map(|v| v.to_f32()).collect()
    }

    pub(super) fn units(&self, index: usize) -> AuVector {
        let from = index * ActionUnit::COUNT;
        AuVector::from_clamped(std::array::from_fn(|unit| self.units[from + unit]))
    }

    pub(super) fn probabilities(&self, index: usize) -> ExpressionProbabilities {
        let from = index * Expression::COUNT;
        let scores = std::array::from_fn(|label| self.probabilities[from + label]);
        ExpressionProbabilities::from_scores(scores)
    }

    pub(super) fn label(&self, index: usize) -> Option<Expression> {
        Expression::from_index(usize::from(self.labels[index]))
    }

    /// Writes a file under another name and renames it.
    pub(super) fn save(&self, path: &Path, key: &str) -> Result<(), TrainError> {
        let n = self.len();
        let features: Vec<u8> = self.features.iter().flat_map(|v| v.to_le_bytes()).collect();
        let bytes =
            |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let (units, probabilities) = (bytes(&self.units), bytes(&self.probabilities));
        let failed = |reason: String| TrainError::Checkpoint {
            path: path.to_path_buf(),
            reason,
        };
        let view = |dtype, shape: Vec<usize>, data| {
            TensorView::new(dtype, shape, data).map_err(|e| failed(e.to_string()))
        };
        let [patches, width] = self.size;
        let tensors = [
            (
                "features",
                view(Dtype::F16, vec![n, 2, patches, width], &features)?,
            ),
            (
                "units",
                view(Dtype::F32, vec![n, ActionUnit::COUNT], &units)?,
            ),
            (
                "probabilities",
                view(Dtype::F32, vec![n, Expression::COUNT], &probabilities)?,
            ),
            ("labels", view(Dtype::U8, vec![n], &self.labels)?),
        ];
        let about = HashMap::from([(KEY.to_owned(), key.to_owned())]);
        let partial = path.with_extension("partial");
        let written = safetensors::serialize_to_file(tensors, Some(about), &partial);
        let renamed = written
            .map_err(|e| failed(e.to_string()))
            .and_then(|()| std::fs::rename(&partial, path).map_err(|e| TrainError::file(path, e)));
        if renamed.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        renamed
    }

    /// Reads a file; `None` when there is none, or it was made of other faces or by other
    /// weights.
    pub(super) fn open(
        path: &Path,
        key: &str,
        size: [usize; 2],
    ) -> Result<Option<Self>, TrainError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(TrainError::file(path, e)),
        };
        Ok(Self::parse(&bytes, key, size))
    }

    fn parse(bytes: &[u8], key: &str, size: [usize; 2]) -> Option<Self> {
        let (_, about) = SafeTensors::read_metadata(bytes).ok()?;
        if about.metadata().as_ref()?.get(KEY).map(String::as_str) != Some(key) {
            return None;
        }
        let tensors = SafeTensors::deserialize(bytes).ok()?;
        let data = |name: &str, dtype| {
            let view = tensors.tensor(name).ok()?;
            (view.dtype() == dtype).then(|| view.data().to_vec())
        };
        let floats = |name: &str| -> Option<Vec<f32>> {
            let bytes = data(name, Dtype::F32)?;
            let (numbers, []) = bytes.as_chunks::<4>() else {
                return None;
            };
            Some(numbers.iter().map(|&b| f32::from_le_bytes(b)).collect())
        };
        let features = data("features", Dtype::F16)?;
        let (features, []) = features.as_chunks::<2>() else {
            return None;
        };
        let store = Self {
            size,
            features: features.iter().map(|&b| f16::from_le_bytes(b)).collect(),
            units: floats("units")?,
            probabilities: floats("probabilities")?,
            labels: data("labels", Dtype::U8)?,
        };
        let n = store.len();
        let fits = store.features.len() == n.checked_mul(2 * size[0] * size[1])?
            && store.units.len() == n * ActionUnit::COUNT
            && store.probabilities.len() == n * Expression::COUNT;
        fits.then_some(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(seed: f32) -> Look {
        let features = (0..12).map(|i| f16::from_f32(seed + i as f32)).collect();
        Look {
            features,
            units: AuVector::from_clamped([seed / 10.0; ActionUnit::COUNT]),
            probabilities: ExpressionProbabilities::from_scores([1.0; 8]),
            label: Some(Expression::Anger),
        }
    }

    #[test]
    fn a_file_gives_back_what_was_kept_and_only_for_its_key() {
        let mut store = Store::new([2, 3]);
        (0..3).for_each(|i| store.push(look(i as f32)));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("faces.safetensors");
        assert_eq!(Store::open(&path, "a", [2, 3]).unwrap(), None);
        store.save(&path, "a").unwrap();
        assert_eq!(
            Store::open(&path, "a", [2, 3]).unwrap(),
            Some(store.clone())
        );
        assert_eq!(Store::open(&path, "b", [2, 3]).unwrap(), None);
        assert_eq!(Store::open(&path, "a", [4, 3]).unwrap(), None);
        assert_eq!(store.tokens(1, true), [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
        assert_eq!(store.label(2), Some(Expression::Anger));
    }

    #[test]
    fn a_damaged_file_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("faces.safetensors");
        std::fs::write(&path, [7; 100]).unwrap();
        assert_eq!(Store::open(&path, "a", [2, 3]).unwrap(), None);
    }
}
