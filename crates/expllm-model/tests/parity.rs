//! Equality with a reference implementation: that of `fixtures/parity.py`, and the authors' where
//! its numbers are at hand.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod common;

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
use common::{File, assert_close, device, numbers, parity_folders, slack};
use expllm_model::checkpoint::{self, WeightFile};
use expllm_model::nn::causal_lm_loss;
use expllm_model::parts::TokenMask;
use expllm_model::{ExpLlm, LoadOptions, ModelError, TensorInfo, TensorSource, parity};

/// The model of a folder and what the reference computes with it.
fn fixture(folder: &Path) -> (ExpLlm, File) {
    let source = File::open(&folder.join("model.safetensors"));
    let options = LoadOptions::default();
    let config = checkpoint::open(folder).unwrap().config;
    let model = ExpLlm::load(&config, &source, &options, &device()).unwrap();
    (model, File::open(&folder.join("expected.safetensors")))
}

#[test]
fn every_intermediate_tensor_equals_the_reference() {
    for folder in parity_folders() {
        every_tensor_equals(&folder);
    }
}

fn every_tensor_equals(folder: &Path) {
    let (model, expected) = fixture(folder);
    let position = numbers(model.vision.dinov2().unwrap().position_embedding());
    assert_close(
        "position embedding",
        &position,
        &expected.floats("pos_embed_16x16"),
        1e-5,
    );
    for (name, model) in [("adapters", model.clone()), ("merged", model.merge_lora())] {
        let images = expected.tensor::<4>("images");
        let patches = numbers(model.vision.forward(images.clone()).unwrap());
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

/// Gradients of all parameters, in the order of the layout.
#[derive(Default)]
struct GradientsOf<'a> {
    gradients: Option<&'a Gradients>,
    found: Vec<Option<Vec<f32>>>,
}

impl ModuleVisitor for GradientsOf<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients.unwrap());
        self.found.push(gradient.map(numbers));
    }
}

#[test]
fn gradients_of_trainable_tensors_equal_the_reference() {
    for folder in parity_folders() {
        every_gradient_equals(&folder);
    }
}

fn every_gradient_equals(folder: &Path) {
    let source = File::open(&folder.join("model.safetensors"));
    let expected = File::open(&folder.join("expected.safetensors"));
    let wanted = File::open(&folder.join("gradients.safetensors"));
    let mut config = checkpoint::open(folder).unwrap().config;
    let vision = &mut config.vision.dinov2_mut().unwrap().lora;
    for lora in [vision, &mut config.llm.lora] {
        lora.as_mut().unwrap().dropout = 0.0;
    }
    let device = device().autodiff();
    let model = ExpLlm::load(&config, &source, &LoadOptions::default(), &device).unwrap();
    let pixels = expected.read("images").unwrap();
    let images = model
        .encode_images(Tensor::from_data(pixels, &device))
        .unwrap();
    let tokens = expected.tokens("input_ids");
    let mask = TokenMask::full(tokens.len(), tokens[0].len());
    let hidden = model.forward(&tokens, &mask, Some(&images), None).unwrap();
    let loss = causal_lm_loss(model.llm.logits(hidden), &expected.ints("labels")).unwrap();
    let gradients = loss.backward();
    let mut visitor = GradientsOf {
        gradients: Some(&gradients),
        found: Vec::new(),
    };
    model.visit(&mut visitor);
    for (spec, gradient) in model.layout().into_iter().zip(visitor.found) {
        assert_eq!(gradient.is_some(), spec.trainable, "{}", spec.name);
        let Some(gradient) = gradient else { continue };
        let wanted = wanted.floats(&spec.name);
        let size = wanted.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
        assert_close(&spec.name, &gradient, &wanted, 1e-4 * size * slack());
    }
}

/// A source in which one tensor is a tenth larger.
struct Changed<'a>(&'a dyn TensorSource, &'static str);

impl TensorSource for Changed<'_> {
    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        self.0.info(name)
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        let mut data = self.0.read(name)?;
        if name == self.1 {
            let numbers = data.as_mut_slice::<f32>().unwrap();
            numbers.iter_mut().for_each(|number| *number *= 1.1);
        }
        Ok(data)
    }
}

#[test]
fn the_comparison_of_folders_holds_for_both_formats_and_notices_changes() {
    for folder in parity_folders() {
        the_comparison_notices_changes(&folder);
    }
}

fn the_comparison_notices_changes(folder: &Path) {
    let expected = WeightFile::open(&folder.join("expected.safetensors")).unwrap();
    let checkpoint = checkpoint::open(folder).unwrap();
    let report = |source: &dyn TensorSource| {
        let options = LoadOptions::default();
        let model = ExpLlm::load(&checkpoint.config, source, &options, &device()).unwrap();
        parity::compare(&model, &expected).unwrap()
    };
    let pickle = WeightFile::open(&folder.join("pytorch_model.bin")).unwrap();
    for source in [checkpoint.source.as_ref(), &pickle] {
        let report = report(source);
        assert!(report.holds() || slack() > 1.0, "{report:?}");
        assert_eq!((report.tensors.len(), report.greedy), (5, Some((2, 2))));
    }
    for (name, rows) in [("vision_model.pos_embed", 5), ("lm_head.weight", 2)] {
        let report = report(&Changed(&pickle, name));
        let beyond = report.tensors.iter().filter(|row| !row.holds()).count();
        assert!(!report.holds() && beyond >= rows - 1, "{report:?}");
    }
}
