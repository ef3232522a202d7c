//! From pixels to tokens of the language model.

use std::fmt::Debug;

use burn::tensor::{DType, Tensor};

use crate::{ModelError, VisionConfig};

/// A vision encoder: pixels in, tokens out.
pub trait Encoder: Debug + Send + Sync {
    /// Tokens of images.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, side, side]` of the size of the configuration, normalised, to
    /// `[batch, patches, vision width]`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Device`] when the computation fails.
    fn tokens(&self, images: Tensor<4>) -> Result<Tensor<3>, ModelError>;
}

/// What carries the tokens of an encoder into the width of a language model.
pub trait Projection: Debug + Send + Sync {
    /// Projects tokens.
    ///
    /// # Shapes
    ///
    /// `[batch, patches, vision width]` to `[batch, patches, language width]`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Device`] when the computation fails.
    fn project(&self, tokens: Tensor<3>) -> Result<Tensor<3>, ModelError>;
}

/// The tokens of images for a language model whose activations are of `dtype`.
pub(crate) fn encode(
    images: Tensor<4>,
    (config, dtype): (&VisionConfig, DType),
    encoder: &dyn Encoder,
    projection: &dyn Projection,
) -> Result<Tensor<3>, ModelError> {
    let (side, colours) = (config.image_size(), config.channels());
    let [_, channels, height, width] = images.dims();
    if [channels, height, width] != [colours, side, side] {
        return Err(ModelError::Input {
            what: "images",
            reason: format!("{channels} x {height} x {width}, needs {colours} x {side} x {side}"),
        });
    }
    projection.project(encoder.tokens(images.cast(dtype))?)
}
