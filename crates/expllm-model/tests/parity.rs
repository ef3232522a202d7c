//! Equality with the reference implementation, by the `locllm_tiny` fixture.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod common;

use common::{File, assert_close, device, fixture_config, numbers, shared, slack};
use expllm_model::nn::causal_lm_loss;
use expllm_model::nn::llama::TokenMask;
use expllm_model::{ExpLlm, LoadOptions};

/// The model of the fixture and what the reference computes with it.
fn fixture() -> Option<(ExpLlm, File)> {
    let folder = shared("fixtures/locllm_tiny")?;
    let source = File::open(&folder.join("model.safetensors"));
    let options = LoadOptions::default();
    let model = ExpLlm::load(&fixture_config(), &source, &options, &device()).unwrap();
    Some((model, File::open(&folder.join("expected.safetensors"))))
}

#[test]
fn every_intermediate_tensor_equals_the_reference() {
    let Some((model, expected)) = fixture() else {
        return;
    };
    let position = numbers(model.vision.position_embedding());
    assert_close(
        "position embedding",
        &position,
        &expected.floats("pos_embed_16x16"),
        1e-5,
    );
    for (name, model) in [("adapters", model.clone()), ("merged", model.merge_lora())] {
        let images = expected.tensor::<4>("images");
        let patches = numbers(model.vision.forward(images.clone()));
        let wanted = expected.floats("vision_patch_tokens");
        assert_close(
            &format!("{name}: patch tokens"),
            &patches,
            &wanted,
            1e-4 * slack(),
        );
        let images = model.encode_images(images).unwrap();
        let wanted = expected.floats("projected");
        let projected = numbers(images.clone());
        assert_close(
            &format!("{name}: projected"),
            &projected,
            &wanted,
            1e-4 * slack(),
        );

        let tokens = expected.tokens("input_ids");
        let mask = TokenMask::full(tokens.len(), tokens[0].len());
        let hidden = model.forward(&tokens, &mask, Some(&images), None).unwrap();
        let logits = model.llm.logits(hidden);
        let wanted = expected.floats("logits");
        assert_close(
            &format!("{name}: logits"),
            &numbers(logits.clone()),
            &wanted,
            1e-3 * slack(),
        );
        let loss = causal_lm_loss(logits, &expected.ints("labels")).unwrap();
        let wanted = expected.floats("loss");
        assert_close(
            &format!("{name}: loss"),
            &numbers(loss),
            &wanted,
            1e-4 * slack(),
        );
    }
}
