//! Holding a model against what the reference computes with the same weights.

use burn::tensor::{DType, Tensor, TensorData};

use crate::generation::{CancelToken, GenerationSettings, Prefix, TokenStream};
use crate::nn::causal_lm_loss;
use crate::parts::TokenMask;
use crate::{ExpLlm, ModelError, TensorSource};

/// How one tensor compares with the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorParity {
    /// Its name in the file of expected values.
    pub name: &'static str,
    /// The largest difference of two numbers; infinite when one is not a number.
    pub largest_error: f32,
    /// The largest difference that counts as equal.
    pub tolerance: f32,
}

impl TensorParity {
    /// Whether all numbers are equal within the tolerance.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.largest_error <= self.tolerance
    }
}

/// How a model compares with the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct ParityReport {
    /// One row per tensor of the file of expected values.
    pub tensors: Vec<TensorParity>,
    /// Rows of greedy tokens that agree, and how many there are; `None` without expected tokens.
    pub greedy: Option<(usize, usize)>,
}

impl ParityReport {
    /// Whether everything agrees.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.tensors.iter().all(TensorParity::holds)
            && self.greedy.is_none_or(|(agree, rows)| agree == rows)
    }
}

/// Compares a model in f32 with expected values, all of which are optional but `images`:
///
/// | name | shape | tolerance |
/// |---|---|---|
/// | `images` | `[batch, 3, side, side]` | input |
/// | `input_ids` | `[batch, length]` | input |
/// | `labels` | `[batch, length]`, -100 where not trained | input |
/// | `pos_embed_16x16` | `[1, 1 + patches, vision width]` | 1e-5 |
/// | `vision_patch_tokens` | `[batch, patches, vision width]` | 1e-4 |
/// | `projected` | `[batch, patches, width]` | 1e-4 |
/// | `logits` | `[batch, length, vocab]` | 1e-3 |
/// | `loss` | `[1]` | 1e-4 |
/// | `greedy_24` | `[batch, tokens]` | equal |
///
/// # Errors
///
/// [`ModelError::UnknownTensor`] for a missing input, and whatever stops the model from running.
pub fn compare(model: &ExpLlm, expected: &dyn TensorSource) -> Result<ParityReport, ModelError> {
    let mut comparison = Comparison {
        expected,
        tensors: Vec::new(),
    };
    let device = model.llm.device();
    let pixels = Tensor::<4>::from_data(
        typed(expected, "images", 4, DType::F32)?,
        (&device, DType::F32),
    );
    let images = model.encode_images(pixels.clone())?;
    let dtype = model.llm.dtype();
    comparison.add("pos_embed_16x16", 1e-5, || {
        let encoder = model.vision.dinov2().ok_or_else(|| ModelError::Input {
            what: "model",
            reason: "has no vision transformer to compare".to_owned(),
        })?;
        Ok(encoder.position_embedding())
    })?;
    comparison.add("vision_patch_tokens", 1e-4, || {
        model.vision.forward(pixels.cast(dtype))
    })?;
    comparison.add("projected", 1e-4, || Ok(images.clone()))?;
    let has = |name| expected.info(name).is_some();
    let mut greedy = None;
    if has("input_ids") {
        let tokens: Vec<Vec<u32>> = rows(expected, "input_ids")?;
        if has("logits") || has("loss") {
            let mask = TokenMask::full(tokens.len(), tokens.first().map_or(0, Vec::len));
            let hidden = model.forward(&tokens, &mask, Some(&images), None)?;
            let logits = model.llm.logits(hidden);
            comparison.add("logits", 1e-3, || Ok(logits.clone()))?;
            if has("loss") {
                let labels: Vec<Vec<i32>> = rows(expected, "labels")?;
                comparison.add("loss", 1e-4, || causal_lm_loss(logits.clone(), &labels))?;
            }
        }
        if has("greedy_24") {
            let wanted: Vec<Vec<u32>> = rows(expected, "greedy_24")?;
            greedy = Some(count_agreeing(model, &tokens, &images, &wanted)?);
        }
    }
    Ok(ParityReport {
        tensors: comparison.tensors,
        greedy,
    })
}

struct Comparison<'a> {
    expected: &'a dyn TensorSource,
    tensors: Vec<TensorParity>,
}

impl Comparison<'_> {
    /// Adds a row when the expected values are there.
    fn add<const D: usize>(
        &mut self,
        name: &'static str,
        tolerance: f32,
        compute: impl FnOnce() -> Result<Tensor<D>, ModelError>,
    ) -> Result<(), ModelError> {
        if self.expected.info(name).is_none() {
            return Ok(());
        }
        let wanted = typed(self.expected, name, D, DType::F32)?;
        let found = compute()?.cast(DType::F32).try_into_data();
        let found = found.map_err(|error| ModelError::Device(format!("{error:?}")))?;
        if found.shape() != wanted.shape() {
            let (found, wanted) = (found.shape().to_vec(), wanted.shape().to_vec());
            let reason = format!("the model gives {found:?}, {wanted:?} is expected");
            return Err(ModelError::tensor(name, reason));
        }
        let pairs = found.iter::<f32>().zip(wanted.iter::<f32>());
        let largest_error = pairs.fold(0.0_f32, |largest, (found, wanted)| {
            let error = (found - wanted).abs();
            if error.is_nan() {
                f32::INFINITY
            } else {
                largest.max(error)
            }
        });
        self.tensors.push(TensorParity {
            name,
            largest_error,
            tolerance,
        });
        Ok(())
    }
}

/// How many rows of greedy tokens agree, and how many there are.
fn count_agreeing(
    model: &ExpLlm,
    prompts: &[Vec<u32>],
    images: &Tensor<3>,
    wanted: &[Vec<u32>],
) -> Result<(usize, usize), ModelError> {
    if prompts.len() != wanted.len() || images.dims()[0] != prompts.len() {
        return Err(ModelError::tensor(
            "greedy_24",
            "has other rows than the prompts",
        ));
    }
    let mut agree = 0;
    for (row, (prompt, wanted)) in prompts.iter().zip(wanted).enumerate() {
        let image = images.clone().narrow(0, row, 1);
        let settings = GenerationSettings {
            max_new_tokens: wanted.len().max(1),
            ..GenerationSettings::default()
        };
        let prefix = Prefix::new(model, prompt, Some(image))?;
        let found = TokenStream::new(prefix, &settings, CancelToken::default())?
            .collect::<Result<Vec<_>, _>>()?;
        // The reference may fill up with padding after its end token.
        agree += usize::from(wanted.starts_with(&found) && ended(model, &found, wanted));
    }
    Ok((agree, wanted.len()))
}

/// Whether the reference ended where the answer did.
fn ended(model: &ExpLlm, found: &[u32], wanted: &[u32]) -> bool {
    let config = model.config();
    let next = wanted.get(found.len());
    next.is_none_or(|&token| token == config.eos_token_id || token == config.pad_token_id)
}

/// A tensor in another number format, its number of axes checked.
fn typed(
    source: &dyn TensorSource,
    name: &str,
    axes: usize,
    dtype: DType,
) -> Result<TensorData, ModelError> {
    let data = source.read(name)?;
    if data.rank() != axes || data.num_elements() == 0 {
        let reason = format!("{:?} needs {axes} axes", data.shape().to_vec());
        return Err(ModelError::tensor(name, reason));
    }
    Ok(data.convert_dtype(dtype))
}

/// A tensor of two axes as rows of tokens or labels.
fn rows<T: TryFrom<i64>>(source: &dyn TensorSource, name: &str) -> Result<Vec<Vec<T>>, ModelError> {
    let data = typed(source, name, 2, DType::I64)?;
    let length = data.shape()[1];
    let numbers: Result<Vec<T>, _> = data.iter::<i64>().map(T::try_from).collect();
    let numbers = numbers.map_err(|_| ModelError::tensor(name, "holds a number out of range"))?;
    let mut numbers = numbers.into_iter();
    let row = |_| numbers.by_ref().take(length).collect();
    Ok((0..data.shape()[0]).map(row).collect())
}
