//! What the tests of this crate share: the device under test, fixtures, comparisons.
#![allow(dead_code)] // Each test binary uses a part of it.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A broken fixture ends the test.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use expllm_model::{Backend, ModelConfig, ModelError, TensorInfo, TensorSource};
#[allow(unused_imports)] // As above.
pub use expllm_testing::shared;
use safetensors::SafeTensors;

/// The backend that `EXPLLM_TEST_DEVICE` names; `cpu` without it.
pub fn backend() -> Backend {
    std::env::var("EXPLLM_TEST_DEVICE")
        .map_or(Ok(Backend::Cpu), |name| name.parse())
        .unwrap()
}

/// The device under test.
pub fn device() -> Device {
    backend().device().unwrap()
}

/// By how much the bounds of f32 comparisons are widened: 1 on the processor. Graphics drivers
/// may fuse and reorder sums and approximate `exp` and `sin`, which adds up over the layers.
pub fn slack() -> f32 {
    match backend() {
        Backend::Cpu => 1.0,
        _ => 10.0,
    }
}

/// A whole safetensors file in memory.
pub struct File(Vec<u8>);

impl File {
    pub fn open(path: &Path) -> Self {
        Self(std::fs::read(path).unwrap())
    }

    fn view(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.read(name).unwrap().try_into_vec().unwrap()
    }

    pub fn ints(&self, name: &str) -> Vec<Vec<i32>> {
        let file = self.view();
        let view = file.tensor(name).unwrap();
        let numbers: Vec<i32> = view
            .data()
            .chunks_exact(4)
            .map(|bytes| i32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        numbers
            .chunks(view.shape()[1])
            .map(<[i32]>::to_vec)
            .collect()
    }

    pub fn tokens(&self, name: &str) -> Vec<Vec<u32>> {
        let rows = self.ints(name).into_iter();
        rows.map(|row| row.into_iter().map(|id| id as u32).collect())
            .collect()
    }

    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        Tensor::from_data(self.read(name).unwrap(), &device())
    }
}

impl TensorSource for File {
    fn names(&self) -> Vec<String> {
        let file = self.view();
        file.names().into_iter().map(str::to_owned).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        let file = self.view();
        let view = file.tensor(name).ok()?;
        Some(TensorInfo {
            shape: view.shape().to_vec(),
            dtype: DType::F32,
        })
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let file = self.view();
        let view = file
            .tensor(name)
            .map_err(|_| ModelError::UnknownTensor(name.to_owned()))?;
        let numbers: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        Ok(TensorData::new(numbers, view.shape().to_vec()))
    }
}

/// Checkpoint folders in the official layout with what a reference computes from them: the one of
/// `fixtures/parity.py`, and that of the authors' code where it is there.
pub fn parity_folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    let official = shared("fixtures/locllm_tiny");
    [Some(own), official].into_iter().flatten().collect()
}

/// The configuration of the `locllm_tiny` fixture.
pub fn fixture_config() -> ModelConfig {
    let mut config = ModelConfig::expllm_7b();
    let vision = config.vision.dinov2_mut().unwrap();
    vision.embed_dim = 48;
    vision.depth = 3;
    vision.num_heads = 4;
    config.llm.vocab_size = 640;
    config.llm.hidden_size = 64;
    config.llm.intermediate_size = 176;
    config.llm.num_layers = 3;
    config.llm.num_heads = 4;
    config.llm.num_kv_heads = 4;
    config.llm.head_dim = 16;
    config.llm.max_positions = 1024;
    config.image_token_id = 3;
    config
}

/// The numbers of a tensor as f32.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.cast(DType::F32).into_data().try_into_vec().unwrap()
}

/// The largest difference, and NaN as infinity.
pub fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).fold(0.0, |largest, (l, r)| {
        let difference = (l - r).abs();
        if difference.is_nan() {
            f32::INFINITY
        } else {
            largest.max(difference)
        }
    })
}

/// Fails when numbers differ by more than a bound, and prints by how much they differ.
pub fn assert_close(what: &str, left: &[f32], right: &[f32], bound: f32) {
    let found = largest_difference(left, right);
    println!("{what}: largest difference {found:.2e}, bound {bound:.0e}");
    assert!(found <= bound, "{what}: {found:e} > {bound:e}");
}
