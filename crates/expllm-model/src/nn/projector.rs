//! From vision tokens to language tokens.

use burn::module::Module;
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};

use super::Linear;
use crate::parts::Projection;
use crate::{ModelError, ProjectorKind};

/// One linear layer, or two with an exact GELU between them; trainable.
#[derive(Module, Debug)]
pub struct Projector {
    /// The layers in order.
    pub layers: Vec<Linear>,
}

impl Projector {
    /// A projector from the vision width to the language width.
    #[must_use]
    pub fn new(kind: ProjectorKind, [input, output]: [usize; 2], device: &Device) -> Self {
        let layer = |input| Linear::new([input, output], true, device).trainable();
        let layers = match kind {
            ProjectorKind::Linear => vec![layer(input)],
            ProjectorKind::Mlp => vec![layer(input), layer(output)],
        };
        Self { layers }
    }

    /// Applies the layers.
    ///
    /// # Shapes
    ///
    /// `[batch, patches, vision width]` to `[batch, patches, language width]`.
    #[must_use]
    pub fn forward(&self, mut tokens: Tensor<3>) -> Tensor<3> {
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                tokens = gelu(tokens);
            }
            tokens = layer.forward(tokens);
        }
        tokens
    }
}

impl Projection for Projector {
    fn project(&self, tokens: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        Ok(self.forward(tokens))
    }
}
