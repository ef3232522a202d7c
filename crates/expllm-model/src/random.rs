//! Random weights of any size, for tests, benches and trials without a checkpoint.

use std::hash::{DefaultHasher, Hash, Hasher};

use burn::tensor::{DType, TensorData};
use half::{bf16, f16};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    ExpLlm, ModelConfig, ModelError, TensorInfo, TensorSource, TensorSpec, default_device,
};

/// Numbers drawn with one seed, so that each stretch can be drawn on its own thread.
const STRETCH: usize = 1 << 16;

/// A source of random weights for a configuration: the same seed gives the same weights.
///
/// Matrices are uniform with a spread of `1 / sqrt(inputs)`, so that signals keep their size
/// through the layers; adapters are not zero; norms lie around one.
#[derive(Debug, Clone)]
pub struct RandomWeights {
    specs: Vec<TensorSpec>,
    dtype: DType,
    seed: u64,
}

impl RandomWeights {
    /// Weights in `F32`, `F16` or `BF16`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Config`].
    pub fn new(config: &ModelConfig, dtype: DType, seed: u64) -> Result<Self, ModelError> {
        // Parameters are lazy, so this takes no memory for weights.
        let specs = ExpLlm::init(config, &default_device())?.layout();
        Ok(Self { specs, dtype, seed })
    }

    fn spec(&self, name: &str) -> Option<&TensorSpec> {
        self.specs.iter().find(|spec| spec.name == name)
    }

    fn draw<T: Send>(&self, spec: &TensorSpec, convert: fn(f32) -> T) -> Vec<T> {
        let inputs: usize = spec.shape.iter().skip(1).product();
        let is_norm = spec.name.contains("norm") && spec.name.ends_with("weight");
        let (centre, spread) = match spec.shape.len() {
            1 if is_norm
                || ["gamma", "running_var"]
                    .iter()
                    .any(|end| spec.name.ends_with(end)) =>
            {
                (1.0, 0.2)
            }
            1 => (0.0, 0.1),
            // Uniform numbers up to sqrt(3) have a variance of one.
            _ => (0.0, (3.0 / inputs.max(1) as f32).sqrt()),
        };
        let mut hasher = DefaultHasher::new();
        (self.seed, &spec.name).hash(&mut hasher);
        let seed = hasher.finish();
        let count = spec.shape.iter().product::<usize>();
        (0..count.div_ceil(STRETCH))
            .into_par_iter()
            .flat_map_iter(|stretch| {
                let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(stretch as u64));
                let length = STRETCH.min(count - stretch * STRETCH);
                (0..length)
                    .map(move |_| convert(centre + spread * (2.0 * random.random::<f32>() - 1.0)))
            })
            .collect()
    }
}

impl TensorSource for RandomWeights {
    fn names(&self) -> Vec<String> {
        self.specs.iter().map(|spec| spec.name.clone()).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        self.spec(name).map(|spec| TensorInfo {
            shape: spec.shape.clone(),
            dtype: self.dtype,
        })
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let spec = self
            .spec(name)
            .ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))?;
        let shape = spec.shape.clone();
        match self.dtype {
            DType::F32 => Ok(TensorData::new(self.draw(spec, |x| x), shape)),
            DType::F16 => Ok(TensorData::new(self.draw(spec, f16::from_f32), shape)),
            DType::BF16 => Ok(TensorData::new(self.draw(spec, bf16::from_f32), shape)),
            other => {
                let reason = format!("random weights cannot be {other:?}");
                Err(ModelError::tensor(name, reason))
            }
        }
    }
}
