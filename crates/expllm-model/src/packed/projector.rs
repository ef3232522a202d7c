//! The projector.

use burn::tensor::Tensor;
use expllm_kernels::{Input, Isa, gelu, on_pool};

use super::affine::Affine;
use super::{Loader, failed, tensor};
use crate::parts::{Projection, numbers};
use crate::{ModelError, ProjectorKind};

/// One linear layer, or two with an exact GELU between them, with packed weights.
#[derive(Debug)]
pub(crate) struct PackedProjector {
    isa: Isa,
    layers: Vec<Affine>,
}

impl PackedProjector {
    pub(crate) fn load(
        kind: ProjectorKind,
        [input, output]: [usize; 2],
        loader: &Loader<'_>,
    ) -> Result<Self, ModelError> {
        let layer = |name: &str, columns| Affine::load(loader, name, columns);
        let layers = match kind {
            ProjectorKind::Linear => vec![layer("mm_projector", input)?],
            ProjectorKind::Mlp => vec![
                layer("mm_projector.0", input)?,
                layer("mm_projector.2", output)?,
            ],
        };
        Ok(Self {
            isa: Isa::detect(),
            layers,
        })
    }

    /// `[tokens, vision width]` to `[tokens, language width]`.
    fn forward(&self, mut tokens: Vec<f32>) -> Result<Vec<f32>, ModelError> {
        let run = || {
            let (isa, mut input) = (self.isa, Input::new());
            for (index, layer) in self.layers.iter().enumerate() {
                if index > 0 {
                    gelu(isa, &mut tokens);
                }
                let weight = &layer.weight;
                input.set(isa, weight.format(), &tokens, weight.columns());
                layer.write(isa, &input, &mut tokens, |_| ())?;
            }
            Ok(tokens)
        };
        on_pool(run).map_err(failed)
    }
}

impl Projection for PackedProjector {
    fn project(&self, tokens: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let ([batch, count, _], device) = (tokens.dims(), tokens.device());
        let projected = self.forward(numbers(tokens)?)?;
        let width = projected.len() / (batch * count).max(1);
        Ok(tensor(projected, [batch, count, width], &device))
    }
}
