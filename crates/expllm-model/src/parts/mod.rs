//! What the network consists of, whoever computes it.
//!
//! An encoder turns an image into tokens, a projector carries them into the width of the language
//! model, and a decoder reads tokens and scores what may come next. Each is a seam: `nn` computes
//! it with burn, for training and for every backend, `packed` with weights in the formats of
//! `expllm-kernels`, for inference on the processor. What is around them knows these seams alone.

mod cache;
mod decoder;
mod mask;
mod vision;

use burn::tensor::{DType, Tensor};

use crate::ModelError;
pub use cache::{KeyValues, KvCache};
pub use decoder::{Decoder, Pass};
pub(crate) use decoder::{check_tokens, step};
pub use mask::{Seen, TokenMask};
pub(crate) use vision::encode;
pub use vision::{Encoder, Projection};

/// The numbers of a tensor as f32.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    let failed = |error: String| ModelError::Device(error);
    let data = tensor.cast(DType::F32).try_into_data();
    let data = data.map_err(|error| failed(format!("{error:?}")))?;
    data.try_into_vec()
        .map_err(|error| failed(format!("{error:?}")))
}
