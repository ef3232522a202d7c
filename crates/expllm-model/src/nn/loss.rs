//! The training loss of a language model.

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::ModelError;

/// The label of positions that are not trained.
pub const IGNORED_LABEL: i32 = -100;

/// Mean cross entropy of predicting each label from the position before it, over all labels of
/// the batch except [`IGNORED_LABEL`]; the number is in nats.
///
/// # Shapes
///
/// - `logits`: `[batch, length, vocab]`, any float format; the sum is taken in f32
/// - `labels`: `batch` rows of `length`
/// - output: `[1]`
///
/// # Errors
///
/// [`ModelError::Input`] when the sizes disagree, a label is outside the vocabulary, or no label
/// is left.
pub fn causal_lm_loss(logits: Tensor<3>, labels: &[Vec<i32>]) -> Result<Tensor<1>, ModelError> {
    let [batch, length, vocab] = logits.dims();
    let fail = |reason: String| ModelError::Input {
        what: "labels",
        reason,
    };
    if labels.len() != batch || labels.iter().any(|row| row.len() != length) {
        return Err(fail(format!("need {batch} rows of {length}")));
    }
    let mut positions = Vec::new();
    let mut targets = Vec::new();
    for (row, row_labels) in labels.iter().enumerate() {
        for (place, &label) in row_labels.iter().enumerate().skip(1) {
            if label == IGNORED_LABEL {
                continue;
            }
            if usize::try_from(label).map_or(true, |label| label >= vocab) {
                return Err(fail(format!(
                    "{label} is outside the vocabulary of {vocab}"
                )));
            }
            positions.push((row * length + place - 1) as i64);
            targets.push(i64::from(label));
        }
    }
    let count = positions.len();
    if count == 0 {
        return Err(fail("none is trained".to_owned()));
    }
    let device = logits.device();
    let index =
        |data: Vec<i64>| Tensor::<1, Int>::from_data(TensorData::new(data, [count]), &device);
    let trained = logits
        .reshape([batch * length, vocab])
        .select(0, index(positions))
        .cast(DType::F32);
    let picked = log_softmax(trained, 1).gather(1, index(targets).reshape([count, 1]));
    Ok(-picked.mean())
}
