//! Gradients of a step over a backbone, by whichever way is fast on a device.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, ElementConversion, Tensor, TensorData};
use expllm_face::backbone::{Backbone, BackboneConfig};
use expllm_face::device::Backend;

use crate::TrainError;
use crate::gradients::BackboneByHand;

/// The way a backbone of one configuration and input size is trained.
pub(crate) struct BackboneSteps {
    /// Tracks gradients.
    device: Device,
    way: Way,
}

enum Way {
    /// By hand, on the processor.
    ByHand(BackboneByHand),
    /// By burn, for crops of a side.
    Burn(usize),
}

impl BackboneSteps {
    /// Steps over crops of `side` pixels: by hand on the processor, by burn elsewhere.
    ///
    /// # Errors
    ///
    /// When the build lacks the backend.
    pub fn new(config: &BackboneConfig, side: usize, backend: Backend) -> Result<Self, TrainError> {
        let way = match backend {
            Backend::Cpu => Way::ByHand(BackboneByHand::new(config, side)),
            _ => Way::Burn(side),
        };
        let device = backend.device()?.autodiff();
        Ok(Self { device, way })
    }

    /// The device that everything of the step but a backbone by hand is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The loss of a batch of standardised grey crops and its gradients.
    ///
    /// `loss` gets the features, `[batch, features]`; `backbone` is a part of `module`.
    pub fn step<M: Module>(
        &mut self,
        (module, backbone): (&M, &Backbone),
        crops: Vec<f32>,
        loss: impl FnOnce(Tensor<2>) -> Tensor<1>,
    ) -> (f32, GradientsParams) {
        match &mut self.way {
            Way::ByHand(steps) => steps.step((module, backbone), &crops, &self.device, loss),
            Way::Burn(side) => {
                let batch = crops.len() / (*side * *side);
                let crops = TensorData::new(crops, [batch, 1, *side, *side]);
                let crops = Tensor::<4>::from_data(crops, &self.device);
                let loss = loss(backbone.forward(crops));
                let gradients = GradientsParams::from_grads(loss.backward(), module);
                (loss.into_scalar::<f32>().elem(), gradients)
            }
        }
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same_loss_and_as_many_gradients() {
        let config = BackboneConfig::new(vec![8], vec![16], vec![1]);
        let mut by_hand = BackboneSteps::new(&config, 16, Backend::Cpu).unwrap();
        let device = by_hand.device().clone();
        let mut by_burn = BackboneSteps {
            device: device.clone(),
            way: Way::Burn(16),
        };
        let backbone = config.init(&device);
        let crops: Vec<f32> = (0..2 * 256).map(|i| (i as f32 * 0.7).sin()).collect();
        let step = |steps: &mut BackboneSteps| {
            let loss = |features: Tensor<2>| features.powi_scalar(2).mean();
            let (loss, gradients) = steps.step((&backbone, &backbone), crops.clone(), loss);
            (loss, gradients.len())
        };
        let (hand, burn) = (step(&mut by_hand), step(&mut by_burn));
        assert!(
            (hand.0 - burn.0).abs() < 2e-3 * burn.0.abs(),
            "{hand:?} {burn:?}"
        );
        assert_eq!(hand.1, burn.1);
    }
}
