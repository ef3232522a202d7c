//! A projector for two parts that have never met.

use burn::tensor::{DType, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{ModelError, TensorInfo, TensorSource};

/// Random weights of a two-layer projector, as `torch.nn.Linear` draws them: uniform up to
/// `1 / sqrt(inputs)`, weights and biases alike. The same seed gives the same weights.
#[derive(Debug, Clone)]
pub(super) struct FreshProjector {
    vision_width: usize,
    width: usize,
    seed: u64,
}

impl FreshProjector {
    pub(super) fn new(vision_width: usize, width: usize, seed: u64) -> Self {
        Self {
            vision_width,
            width,
            seed,
        }
    }

    /// Shape and inputs of a tensor.
    fn layer(&self, name: &str) -> Option<(Vec<usize>, usize)> {
        let (inputs, width) = match name.strip_prefix("mm_projector.")?.split_once('.')? {
            ("0", _) => (self.vision_width, self.width),
            ("2", _) => (self.width, self.width),
            _ => return None,
        };
        match name.rsplit_once('.')?.1 {
            "weight" => Some((vec![width, inputs], inputs)),
            "bias" => Some((vec![width], inputs)),
            _ => None,
        }
    }
}

impl TensorSource for FreshProjector {
    fn names(&self) -> Vec<String> {
        ["0.bias", "0.weight", "2.bias", "2.weight"]
            .map(|name| format!("mm_projector.{name}"))
            .to_vec()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        let (shape, _) = self.layer(name)?;
        Some(TensorInfo {
            shape,
            dtype: DType::F32,
        })
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let (shape, inputs) = self
            .layer(name)
            .ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))?;
        let place = self.names().iter().position(|other| other == name);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(place.unwrap_or(0) as u64);
        let bound = 1.0 / (inputs.max(1) as f32).sqrt();
        let count = shape.iter().product();
        let numbers: Vec<f32> = (0..count)
            .map(|_| bound * (2.0 * random.random::<f32>() - 1.0))
            .collect();
        Ok(TensorData::new(numbers, shape))
    }
}
