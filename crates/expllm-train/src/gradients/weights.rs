//! The weights of a backbone as plain numbers, and their gradients in the same shape.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Shape, Tensor, TensorData};
use expllm_face::backbone::Backbone;

use super::layer::LayerWeights;

/// The weights of a backbone as numbers, with what is needed to hand gradients back.
#[derive(Debug)]
pub struct BackboneWeights {
    pub(super) layers: Vec<LayerWeights>,
    pub(super) tensors: Vec<(ParamId, Shape)>,
}

impl BackboneWeights {
    /// The weights of a backbone.
    #[must_use]
    pub fn read(backbone: &Backbone) -> Self {
        let mut reader = Reader::default();
        backbone.visit(&mut reader);
        let mut values = reader.values.into_iter();
        let mut layers = Vec::new();
        while let (Some(kernel), Some(gamma), Some(beta)) =
            (values.next(), values.next(), values.next())
        {
            layers.push(LayerWeights {
                kernel,
                gamma,
                beta,
            });
        }
        Self {
            layers,
            tensors: reader.tensors,
        }
    }

    pub(super) fn zeros(&self) -> Self {
        Self {
            layers: self.layers.iter().map(LayerWeights::zeros).collect(),
            tensors: self.tensors.clone(),
        }
    }

    pub(super) fn plus(mut self, mut other: Self) -> Self {
        for (own, other) in self.layers.iter_mut().zip(&mut other.layers) {
            for (own, other) in own.parts().into_iter().zip(other.parts()) {
                own.iter_mut().zip(other.iter()).for_each(|(a, b)| *a += b);
            }
        }
        self
    }

    /// Adds these gradients to those of an optimiser step; `device` is one without gradients.
    pub fn register(mut self, gradients: &mut GradientsParams, device: &Device) {
        let values = self.layers.iter_mut().flat_map(LayerWeights::parts);
        for ((id, shape), values) in self.tensors.iter().zip(values) {
            let data = TensorData::new(std::mem::take(values), shape.clone());
            match shape.rank() {
                4 => gradients.register(*id, Tensor::<4>::from_data(data, device)),
                _ => gradients.register(*id, Tensor::<1>::from_data(data, device)),
            }
        }
    }
}

/// Collects float tensors in the order of the module.
#[derive(Default)]
struct Reader {
    values: Vec<Vec<f32>>,
    tensors: Vec<(ParamId, Shape)>,
}

impl ModuleVisitor for Reader {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        self.tensors.push((param.id, tensor.shape()));
        let data = tensor.into_data().convert::<f32>();
        self.values.push(data.try_to_vec().unwrap_or_default());
    }
}
