//! Parts of the published shape with random weights, packed for the processor.

use burn::tensor::DType;
use expllm_model::{
    Backend, Dinov2Config, Format, LlmConfig, LoadOptions, ModelConfig, ModelError, Network,
    RandomWeights, VisionConfig,
};

/// A part of the published model that is measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LargePart {
    /// Four of the 32 layers of the language model, with its head of 32,000 tokens.
    Language,
    /// The vision encoder, ViT-L/14 at 224 pixels.
    Vision,
}

/// The part with weights in a format; the rest of the model is tiny.
///
/// # Errors
///
/// [`ModelError::Device`] in a build without the processor.
pub fn large_part(part: LargePart, format: Format) -> Result<Network, ModelError> {
    let mut config = ModelConfig::tiny();
    config.llm.lora = None;
    match part {
        LargePart::Language => {
            config.llm = LlmConfig {
                num_layers: 4,
                ..LlmConfig::llama_7b()
            };
            config.image_token_id = 32_000;
            if let Some(vision) = config.vision.dinov2_mut() {
                vision.lora = None;
            }
        }
        LargePart::Vision => config.vision = VisionConfig::Dinov2(Dinov2Config::large()),
    }
    let source = RandomWeights::new(&config, DType::F16, 1)?;
    let options = LoadOptions {
        kernels: Some(format.into()),
        ..LoadOptions::default()
    };
    Network::load(&config, &source, &options, &Backend::Cpu.device()?)
}
