//! A running average of weights.

use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};

/// A model whose weights follow those of a trained one slowly
/// ([Polyak and Juditsky 1992](https://doi.org/10.1137/0330046)).
#[derive(Debug, Clone)]
pub struct Average<M> {
    decay: f64,
    /// The average, without gradients.
    pub model: M,
}

impl<M: Module> Average<M> {
    /// An average that begins at the model; `decay` is what it keeps of itself per step.
    #[must_use]
    pub fn new(model: &M, decay: f64) -> Self {
        Self {
            decay,
            model: model.valid(),
        }
    }

    /// Moves towards the model after `step` steps; early steps move it further, so that it soon
    /// forgets where it began.
    #[must_use]
    pub fn follow(self, model: &M, step: usize) -> Self {
        let young = (1.0 + step as f64) / (10.0 + step as f64);
        let decay = self.decay.min(young);
        let mut collect = Collect(VecDeque::new());
        model.visit(&mut collect);
        let mut mix = Mix {
            towards: collect.0,
            decay,
        };
        Self {
            decay: self.decay,
            model: self.model.map(&mut mix),
        }
    }
}

/// The tensors of a module, in order; `None` for frozen ones.
struct Collect(VecDeque<Option<TensorData>>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let trained = value.is_require_grad();
        self.0
            .push_back(trained.then(|| value.cast(DType::F32).into_data()));
    }
}

/// Mixes tensors with others, in the same order.
struct Mix {
    towards: VecDeque<Option<TensorData>>,
    decay: f64,
}

impl ModuleMapper for Mix {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(Some(towards)) = self.towards.pop_front() else {
            return param;
        };
        let decay = self.decay;
        param.map(|own| {
            let dtype = own.dtype();
            let towards = Tensor::from_data(towards, (&own.device(), DType::F32));
            (own.cast(DType::F32) * decay + towards * (1.0 - decay)).cast(dtype)
        })
    }
}
