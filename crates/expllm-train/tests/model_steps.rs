//! One step of the language model: optimiser, devices, losses that are no numbers.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod common;

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{DType, Tensor};
use common::base;
use expllm_face::device::default_device;
use expllm_model::checkpoint::{WeightFile, open};
use expllm_model::conversation::{Task, Turn};
use expllm_model::{ExpLlm, FreshPart, LoadOptions, TensorSource};
use expllm_testing::shared;
use expllm_train::TrainError;
use expllm_train::model::{Example, ExampleImage, Language, clip, gradients};

/// The numbers of every parameter, in the order of the layout.
#[derive(Default)]
struct Numbers(Vec<Vec<f32>>);

impl ModuleVisitor for Numbers {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().cast(DType::F32).into_data();
        self.0.push(data.try_into_vec().unwrap());
    }
}

/// The gradient of every parameter that has one.
struct Found<'a>(&'a GradientsParams, Vec<Option<Vec<f32>>>);

impl ModuleVisitor for Found<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.0.get::<D>(param.id);
        let numbers = gradient.map(|g| g.into_data().try_into_vec().unwrap());
        self.1.push(numbers);
    }
}

/// Registers stored gradients, in the order of the layout.
struct Register<'a> {
    names: std::vec::IntoIter<String>,
    source: &'a WeightFile,
    factor: f32,
    gradients: GradientsParams,
}

impl ModuleVisitor for Register<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.names.next().unwrap();
        if let Ok(data) = self.source.read(&name) {
            let gradient = Tensor::<D>::from_data(data, &default_device()) * self.factor;
            self.gradients.register(param.id, gradient);
        }
    }
}

/// Checkpoint folders with gradients, and what three steps make of them: by the definition of
/// AdamW (`parity.py` of `expllm-model`), and by PyTorch (`adamw_steps.py`) where the folder that
/// it was run on is at hand.
fn folders_with_steps() -> Vec<(PathBuf, PathBuf)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let own = tests.join("../../expllm-model/tests/fixtures/parity");
    let own_steps = own.join("adamw_steps.safetensors");
    let official = shared("fixtures/locllm_tiny");
    let official = official.map(|dir| (dir, tests.join("fixtures/adamw_steps.safetensors")));
    [Some((own, own_steps)), official]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn three_steps_of_adamw_equal_the_reference() {
    for (folder, steps) in folders_with_steps() {
        three_steps_equal(&folder, &steps);
    }
}

fn three_steps_equal(folder: &Path, steps: &Path) {
    let checkpoint = open(folder).unwrap();
    let device = default_device().autodiff();
    let (source, options) = (checkpoint.source.as_ref(), LoadOptions::default());
    let mut model = ExpLlm::load(&checkpoint.config, source, &options, &device).unwrap();
    let stored = WeightFile::open(&folder.join("gradients.safetensors")).unwrap();
    let wanted = WeightFile::open(steps).unwrap();
    let config = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(0.05);
    let mut optimiser = config.init();
    let names: Vec<_> = model.layout().into_iter().map(|spec| spec.name).collect();
    let mut compared = 0;
    for (number, factor) in [1.0, 0.5, -1.0].into_iter().enumerate() {
        let mut before = Numbers::default();
        model.visit(&mut before);
        let mut register = Register {
            names: names.clone().into_iter(),
            source: &stored,
            factor,
            gradients: GradientsParams::new(),
        };
        model.visit(&mut register);
        model = optimiser.step(5e-4, model, register.gradients);
        let mut after = Numbers::default();
        model.visit(&mut after);
        for ((name, before), after) in names.iter().zip(&before.0).zip(&after.0) {
            let Ok(wanted) = wanted.read(&format!("{number}.{name}")) else {
                // Frozen tensors stay bit for bit.
                assert_eq!(before, after, "{name}");
                continue;
            };
            let wanted: Vec<f32> = wanted.try_into_vec().unwrap();
            // Relative to the size of a step, which is about the learning rate.
            for (found, wanted) in after.iter().zip(&wanted) {
                let error = (found - wanted).abs();
                assert!(
                    error <= 1e-4 * 5e-4 + 2e-7 * wanted.abs(),
                    "{name}: {found} {wanted}"
                );
            }
            compared += 1;
        }
    }
    assert!(compared >= 3 * 16, "{compared}");
}

/// A model with adapters and something to train it on.
fn ready(dir: &Path) -> (ExpLlm, Language) {
    let checkpoint = open(&base(dir)).unwrap();
    let mut config = checkpoint.config;
    let mut lora = expllm_model::ModelConfig::expllm_7b().llm.lora.unwrap();
    lora.dropout = 0.0;
    config.llm.lora = Some(lora);
    let options = LoadOptions {
        fresh: FreshPart::ALL.to_vec(),
        ..LoadOptions::default()
    };
    let device = default_device().autodiff();
    let model = ExpLlm::load(&config, checkpoint.source.as_ref(), &options, &device).unwrap();
    let language = Language {
        tokenizer: checkpoint.tokenizer.unwrap(),
        template: checkpoint.prompt,
        config,
    };
    (model, language)
}

fn example(number: usize, value: f32) -> Example {
    let side = 3 * 224 * 224;
    let pixels = (0..side).map(|i| value * ((i * (number + 3)) % 17) as f32 / 17.0);
    let mut turns = vec![Turn::new(Task::Expression, "Happiness")];
    if number % 2 == 1 {
        turns.push(Turn::new(Task::Explanation, "**Conclusion:** left Sadness"));
    }
    Example {
        id: format!("record {number}"),
        image: ExampleImage::Pixels(pixels.collect()),
        turns,
    }
}

fn gradient_of(
    model: &ExpLlm,
    language: &Language,
    rows: usize,
    devices: usize,
) -> (f32, Vec<Option<Vec<f32>>>) {
    let examples = (0..4).map(|number| example(number, 1.0)).collect();
    let parts = language.parts(examples, rows, true).unwrap();
    let devices = vec![default_device().autodiff(); devices];
    let (loss, found) = gradients(model, &parts, &devices, 0).unwrap();
    let mut visitor = Found(&found, Vec::new());
    model.visit(&mut visitor);
    (loss, visitor.1)
}

#[test]
fn two_devices_equal_one_with_twice_the_batch_and_parts_equal_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (model, language) = ready(dir.path());
    let (loss, whole) = gradient_of(&model, &language, 4, 1);
    let layout = model.layout();
    for (rows, devices) in [(2, 2), (1, 1), (1, 2)] {
        let (other_loss, other) = gradient_of(&model, &language, rows, devices);
        assert!((loss - other_loss).abs() < 1e-5, "{loss} {other_loss}");
        for ((spec, whole), other) in layout.iter().zip(&whole).zip(&other) {
            assert_eq!(whole.is_some(), spec.trainable, "{}", spec.name);
            let (Some(whole), Some(other)) = (whole, other) else {
                continue;
            };
            let size = whole.iter().fold(1e-6_f32, |size, x| size.max(x.abs()));
            let pairs = whole.iter().zip(other);
            let error = pairs.fold(0.0_f32, |error, (a, b)| error.max((a - b).abs()));
            assert!(error <= 1e-4 * size, "{}: {error} of {size}", spec.name);
        }
    }
}

#[test]
fn a_loss_that_is_no_number_names_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let (model, language) = ready(dir.path());
    let examples = vec![example(0, 1.0), example(2, f32::NAN), example(4, 1.0)];
    let parts = language.parts(examples, 3, true).unwrap();
    let device = default_device().autodiff();
    let error = gradients(&model, &parts, &[device], 17).unwrap_err();
    match &error {
        TrainError::DivergedOn { step, records, .. } => {
            assert_eq!(
                (*step, records.as_slice()),
                (17, &["record 2".to_owned()][..])
            );
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains("record 2"), "{error}");
}

#[test]
fn long_gradients_are_scaled_down_together() {
    let dir = tempfile::tempdir().unwrap();
    let (model, language) = ready(dir.path());
    let parts = language.parts(vec![example(1, 1.0)], 1, true).unwrap();
    let devices = [default_device().autodiff()];
    let find = || gradients(&model, &parts, &devices, 0).unwrap().1;
    let (length, kept) = clip(&model, find(), 0.0);
    assert!(length > 0.0);
    assert!((clip(&model, kept, 0.0).0 - length).abs() < 1e-6);
    let (_, clipped) = clip(&model, find(), length / 4.0);
    let (again, _) = clip(&model, clipped, 0.0);
    assert!((again - length / 4.0).abs() < 1e-4 * length);
}

#[test]
fn a_conversation_longer_than_the_context_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut language) = ready(dir.path());
    language.config.llm.max_positions = 40;
    let error = language.parts(vec![example(3, 1.0)], 1, true).unwrap_err();
    assert!(error.to_string().contains("record 3"), "{error}");
}
