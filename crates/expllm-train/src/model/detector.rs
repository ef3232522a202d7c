//! The encoder of the tiny language model: the two looks, fine and blurred, of an earlier reader of
//! action units, which came with the model's own weights and stay as they are.

use expllm_face::device::reading_device;
use expllm_face::encoder::FaceEncoderConfig;
use expllm_model::nn::VisionEncoder;
use expllm_model::{ConvolutionalConfig, ExpLlm, LoadOptions, VisionConfig, checkpoint};

use crate::TrainError;

/// The square of an aligned face that it sees: left and top edge and side, in shares of the face's.
const VIEW: [f32; 3] = [0.0625, 0.109_375, 0.875];

/// The sizes of the encoder that ships.
pub(super) fn shipped_vision() -> ConvolutionalConfig {
    ConvolutionalConfig {
        view: VIEW,
        encoder: FaceEncoderConfig::new(),
    }
}

/// The encoder that ships, on the processor.
pub(super) fn shipped_encoder() -> Result<VisionEncoder, TrainError> {
    let shipped = checkpoint::shipped()?;
    let options = LoadOptions::default();
    let device = reading_device();
    let model = ExpLlm::load(&shipped.config, shipped.source.as_ref(), &options, &device)?;
    Ok(model.vision)
}

/// Whether a model has the sizes of the encoder that ships.
pub(super) fn is_shipped(vision: &VisionConfig) -> bool {
    matches!(vision, VisionConfig::Convolutional(config) if *config == shipped_vision())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;

    #[test]
    fn the_encoder_that_ships_has_its_sizes_and_answers_two_tokens() {
        let shipped = checkpoint::shipped().unwrap();
        assert!(is_shipped(&shipped.config.vision));
        let side = shipped_vision().encoder.side;
        let faces = Tensor::<4>::zeros([1, 1, side, side], &reading_device());
        let tokens = shipped_encoder().unwrap().forward(faces);
        assert_eq!(tokens.dims(), [1, 2, ConvolutionalConfig::SCORES]);
    }
}
