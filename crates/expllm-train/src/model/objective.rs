//! The loss of a part of a step.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use expllm_model::ExpLlm;

use super::example::MicroBatch;
use crate::TrainError;

/// The weighted cross entropy of the trained tokens, in nats; the losses of all parts of a step
/// sum up to the loss of the step.
///
/// # Shapes
///
/// - output: `[1]`
///
/// # Errors
///
/// [`TrainError::Model`] when tokens or images do not fit the model.
pub fn part_loss(
    model: &ExpLlm,
    part: &MicroBatch,
    device: &Device,
) -> Result<Tensor<1>, TrainError> {
    let images = image_tokens(model, part, device)?;
    let hidden = model.forward(&part.tokens, &part.mask, Some(&images), None)?;
    let [rows, length, width] = hidden.dims();
    let count = part.targets.len();
    let index = |numbers: &Vec<i64>| {
        Tensor::<1, Int>::from_data(TensorData::new(numbers.clone(), [count]), device)
    };
    // Scores are computed where a token is trained alone: the head is a large part of the model.
    let trained = hidden
        .reshape([rows * length, width])
        .select(0, index(&part.positions))
        .reshape([1, count, width]);
    let vocab = model.config().llm.vocab_size;
    let scores = model.llm.logits(trained).reshape([count, vocab]);
    let targets = index(&part.targets).reshape([count, 1]);
    let picked = log_softmax(scores, 1).gather(1, targets).reshape([count]);
    let weights = Tensor::<1>::from_data(TensorData::new(part.weights.clone(), [count]), device);
    Ok((picked * weights).sum().neg())
}

/// The tokens of the images of a part for the language model.
///
/// # Shapes
///
/// - output: `[rows, patches, width]`
pub(super) fn image_tokens(
    model: &ExpLlm,
    part: &MicroBatch,
    device: &Device,
) -> Result<Tensor<3>, TrainError> {
    let options = || (device, model.llm.dtype());
    Ok(match part.images.shape().to_vec().len() {
        4 => model.encode_images(Tensor::from_data(part.images.clone(), options()))?,
        _ => {
            let tokens = Tensor::<3>::from_data(part.images.clone(), options());
            model.projector.forward(tokens)
        }
    })
}
