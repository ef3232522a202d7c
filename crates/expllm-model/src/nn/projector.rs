//! From vision tokens to language tokens.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};

use super::Linear;
use crate::ProjectorKind;
use crate::processor::{self, ProcessorProjector};

/// One linear layer, or two with an exact GELU between them; trainable.
#[derive(Module, Debug)]
pub struct Projector {
    /// The layers in order.
    pub layers: Vec<Linear>,
    /// Packed weights, which are used in place of the layers.
    #[module(skip)]
    processor: Option<Arc<ProcessorProjector>>,
    #[module(skip)]
    width: usize,
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
        Self {
            layers,
            processor: None,
            width: output,
        }
    }

    /// Runs with packed weights from now on.
    pub(crate) fn set_processor(&mut self, projector: ProcessorProjector) {
        self.processor = Some(Arc::new(projector));
    }

    /// Applies the layers.
    ///
    /// # Shapes
    ///
    /// `[batch, patches, vision width]` to `[batch, patches, language width]`.
    #[must_use]
    pub fn forward(&self, mut tokens: Tensor<3>) -> Tensor<3> {
        if let Some(projector) = &self.processor {
            let ([batch, count, _], device) = (tokens.dims(), tokens.device());
            let shape = [batch, count, self.width];
            let projected = projector.forward(processor::numbers(tokens));
            // Sizes always fit; tokens that are no numbers show in all that follows.
            let projected =
                projected.unwrap_or_else(|_| vec![f32::NAN; batch * count * self.width]);
            return processor::tensor(projected, shape, &device);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                tokens = gelu(tokens);
            }
            tokens = layer.forward(tokens);
        }
        tokens
    }
}
