//! The action unit detector as the vision encoder of a language model.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use expllm_au::{AuNetwork, AuNetworkConfig, face_crop};
use expllm_model::nn::{DetectorEncoder, Linear, VisionEncoder};
use expllm_model::{ConvolutionalConfig, VisionConfig};

/// The sizes of an encoder that is the detector's network.
pub(super) fn detector_vision() -> ConvolutionalConfig {
    let AuNetworkConfig { encoder, .. } = AuNetworkConfig::new();
    let side = encoder.side;
    // In shares of the face, whatever its side is.
    let crop = face_crop(1, side);
    ConvolutionalConfig {
        view: [crop.tx, crop.ty, crop.a * side as f32],
        encoder,
    }
}

/// The detector's network as an encoder.
pub(super) fn detector_encoder(network: &AuNetwork, device: &Device) -> VisionEncoder {
    let mut heads = Heads::default();
    network.visit(&mut heads);
    let mut encoder = DetectorEncoder::new(&detector_vision(), device);
    encoder.encoder = network.encoder().clone().freeze();
    fill(&mut encoder.units, heads.units);
    fill(&mut encoder.expressions, heads.expressions);
    VisionEncoder::Convolutional(encoder)
}

/// Whether a model has the sizes of the detector's network.
pub(super) fn is_detector(vision: &VisionConfig) -> bool {
    matches!(vision, VisionConfig::Convolutional(config) if *config == detector_vision())
}

fn fill(layer: &mut Linear, [weight, bias]: [Option<TensorData>; 2]) {
    if let Some(data) = weight {
        layer.weight = layer.weight.clone().map(|old| {
            // burn's own layer keeps `[in, out]`.
            let new = Tensor::<2>::from_data(data, (&old.device(), DType::F32));
            new.transpose().set_require_grad(false)
        });
    }
    if let Some(data) = bias {
        layer.bias = layer.bias.take().map(|bias| {
            bias.map(|old| {
                Tensor::from_data(data, (&old.device(), DType::F32)).set_require_grad(false)
            })
        });
    }
}

/// Weight and bias of the detector's two readouts, found by the names of its parts.
#[derive(Default)]
struct Heads {
    path: Vec<String>,
    units: [Option<TensorData>; 2],
    expressions: [Option<TensorData>; 2],
}

impl ModuleVisitor for Heads {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let slots = match self.path.first().map(String::as_str) {
            Some("units") => &mut self.units,
            Some("expressions") => &mut self.expressions,
            _ => return,
        };
        let slot = match self.path.last().map(String::as_str) {
            Some("weight") => 0,
            Some("bias") => 1,
            _ => return,
        };
        slots[slot] = Some(param.val().cast(DType::F32).into_data());
    }
}

#[cfg(test)]
mod tests {
    use expllm_face::device::default_device;

    use super::*;

    #[test]
    fn a_token_holds_the_scores_of_the_detector() {
        let device = default_device();
        let config = AuNetworkConfig::new();
        let network = config.init(&device).valid();
        let side = config.encoder.side;
        let pixels = (0..side * side).map(|i| (i as f32 * 0.01).sin()).collect();
        let data = TensorData::new::<f32, _>(pixels, [1, 1, side, side]);
        let faces = Tensor::<4>::from_data(data, &device);
        let wanted = network.forward(faces.clone());
        let tokens = detector_encoder(&network, &device).forward(faces);
        assert_eq!(tokens.dims(), [1, 2, ConvolutionalConfig::SCORES]);
        let numbers = |t: Tensor<2>| t.into_data().try_into_vec::<f32>().unwrap();
        let scores = tokens.narrow(1, 0, 1).squeeze_dim::<2>(1);
        let wanted = numbers(Tensor::cat(vec![wanted.units, wanted.expressions], 1));
        for (found, wanted) in numbers(scores).iter().zip(&wanted) {
            assert!((found - wanted).abs() < 1e-4, "{found} {wanted}");
        }
    }
}
