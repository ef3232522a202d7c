use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Distribution, ElementConversion, Int, Tensor, TensorData, s};
use expllm_face::device::default_device;
use expllm_model::nn::llama::Llama;
use expllm_model::parts::{Decoder, TokenMask};
use expllm_model::{LlmConfig, LoraConfig};

use super::*;

const PATCHES: usize = 2;

/// Sizes that are whole tiles nowhere, and queries that share keys.
fn config(tied: bool) -> LlmConfig {
    LlmConfig {
        vocab_size: 61,
        hidden_size: 40,
        intermediate_size: 56,
        num_layers: 2,
        num_heads: 4,
        num_kv_heads: 2,
        head_dim: 12,
        tie_word_embeddings: tied,
        max_positions: 128,
        ..LlmConfig::llama_7b()
    }
}

/// Sizes that are whole tiles everywhere.
fn whole() -> LlmConfig {
    LlmConfig {
        vocab_size: 64,
        hidden_size: 64,
        intermediate_size: 96,
        head_dim: 16,
        ..config(true)
    }
}

/// Draws numbers anew, so that attention looks somewhere and adapters do something; larger ones
/// make attention so sharp that rounding decides where it looks.
struct Draw;

impl ModuleMapper for Draw {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor) = (param.id, param.val());
        let drawn = Distribution::Normal(if D == 1 { 1.0 } else { 0.0 }, 0.2);
        let numbers = Tensor::<D>::random(tensor.shape(), drawn, &tensor.device().inner());
        let numbers = Tensor::from_data(numbers.into_data(), &tensor.device());
        Param::initialized(id, numbers).set_require_grad(tensor.is_require_grad())
    }
}

fn model(config: &LlmConfig) -> Llama {
    let model = Llama::new(config, &default_device().autodiff());
    let model = match config.lora {
        Some(_) => model,
        None => model.unfreeze(),
    };
    model.map(&mut Draw)
}

struct Batch {
    tokens: Vec<Vec<u32>>,
    images: Vec<f32>,
    width: usize,
}

impl Batch {
    fn new(config: &LlmConfig) -> Self {
        let token =
            |record: usize, at: usize| (record * 31 + at * 17 + at * at) % config.vocab_size;
        let record = |record: usize, length: usize| -> Vec<u32> {
            (0..length).map(|at| token(record, at) as u32).collect()
        };
        let lengths = [37, 5, 70, 32];
        let images = lengths.len() * PATCHES * config.hidden_size;
        Self {
            tokens: (0..).zip(lengths).map(|(r, l)| record(r, l)).collect(),
            images: (0..images).map(|i| (i as f32 * 0.7).sin()).collect(),
            width: config.hidden_size,
        }
    }

    fn targets(tokens: &[u32]) -> Vec<Target> {
        let trained = (3..tokens.len()).filter(|at| at % 3 > 0);
        let target = |at: usize| Target {
            position: at - 1,
            token: tokens[at] as usize,
            weight: 0.01 * (1 + at % 5) as f32,
        };
        trained.map(target).collect()
    }

    fn sentences(&self) -> Vec<Sentence<'_>> {
        let images = self.images.chunks_exact(PATCHES * self.width);
        let sentence = |(tokens, image)| {
            let tokens: &Vec<u32> = tokens;
            Sentence {
                tokens,
                image: Some((1, image)),
                trained: Self::targets(tokens),
            }
        };
        self.tokens.iter().zip(images).map(sentence).collect()
    }

    /// Loss, gradient of images and gradients of the model by burn.
    fn by_burn(&self, model: &Llama) -> (f32, Vec<f32>, GradientsParams) {
        let device = model.device();
        let (rows, longest) = (
            self.tokens.len(),
            self.tokens.iter().map(Vec::len).max().unwrap(),
        );
        let mut padded = self.tokens.clone();
        padded.iter_mut().for_each(|row| row.resize(longest, 0));
        let real = self
            .tokens
            .iter()
            .map(|row| (0..longest).map(|at| at < row.len()).collect());
        let mask = TokenMask::new(real.collect()).unwrap();
        let images = TensorData::new(self.images.clone(), [rows, PATCHES, self.width]);
        let images = Tensor::<3>::from_data(images, &device).require_grad();
        let embedded = model.embed(&padded).unwrap();
        let embedded = embedded.slice_assign(s![.., 1..1 + PATCHES, ..], images.clone());
        let hidden = model.forward(embedded, &mask, None).unwrap();
        let vocab = model.config().vocab_size;
        let scores = log_softmax(model.logits(hidden), 2).reshape([rows * longest, vocab]);
        let mut loss = Tensor::<1>::zeros([1], &device);
        for (row, tokens) in self.tokens.iter().enumerate() {
            for target in Self::targets(tokens) {
                let at = row * longest + target.position;
                let place = Tensor::<1, Int>::from_data([at as i64], &device);
                let picked = scores.clone().select(0, place).narrow(1, target.token, 1);
                loss = loss - picked.reshape([1]) * target.weight;
            }
        }
        let value: f32 = loss.clone().into_scalar::<f32>().elem();
        let mut gradients = loss.backward();
        let image = images.grad_remove(&mut gradients).unwrap();
        let image = image.into_data().try_to_vec().unwrap();
        (value, image, GradientsParams::from_grads(gradients, model))
    }
}

/// The gradient of every tensor that has one.
struct Gradients<'a>(&'a GradientsParams, Vec<Vec<f32>>);

impl ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.0.get::<D>(param.id) {
            self.1.push(gradient.into_data().try_to_vec().unwrap());
        }
    }
}

fn all(model: &Llama, gradients: &GradientsParams) -> Vec<Vec<f32>> {
    let mut found = Gradients(gradients, Vec::new());
    model.visit(&mut found);
    found.1
}

fn close(found: &[f32], wanted: &[f32]) -> bool {
    let most = wanted.iter().fold(1e-6f32, |most, v| most.max(v.abs()));
    let mut pairs = found.iter().zip(wanted);
    found.len() == wanted.len() && pairs.all(|(a, b)| (a - b).abs() <= 1e-3 * most)
}

/// Whether two gradients point the same way: numbers of bf16 err by one in 256.
fn along(found: &[f32], wanted: &[f32]) -> bool {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosine = dot(found, wanted) / (dot(found, found) * dot(wanted, wanted)).sqrt();
    found.len() == wanted.len() && cosine > 0.99
}

fn agrees(config: &LlmConfig) {
    let (model, batch) = (model(config), Batch::new(config));
    let (loss, images, expected) = batch.by_burn(&model);
    let expected = all(&model, &expected);
    type Same = fn(&[f32], &[f32]) -> bool;
    let ways: [(LlamaSteps, Same); 2] = [
        (LlamaSteps::exact(&model).unwrap(), close),
        (LlamaSteps::new(&model).unwrap(), along),
    ];
    for (mut steps, same) in ways {
        // Twice, as weights are packed anew or kept.
        let _ = steps.step(&model, &batch.sentences(), 0);
        let found = steps.step(&model, &batch.sentences(), 0);
        let sum: f32 = found.losses.iter().sum();
        assert!((sum / loss - 1.0).abs() < 1e-2, "{sum} for {loss}");
        assert!(same(&found.images.concat(), &images), "images");
        let mut gradients = GradientsParams::new();
        let device = model.device().inner();
        found.gradients.register(&model, &mut gradients, &device);
        let found = all(&model, &gradients);
        assert_eq!(found.len(), expected.len());
        for (index, (found, wanted)) in found.iter().zip(&expected).enumerate() {
            assert!(same(found, wanted), "tensor {index} of {}", expected.len());
        }
    }
}

#[test]
fn gradients_of_all_weights_equal_those_of_the_framework() {
    agrees(&config(true));
    agrees(&config(false));
    agrees(&whole());
}

#[test]
fn gradients_of_adapters_equal_those_of_the_framework() {
    let lora = LoraConfig {
        rank: 3,
        alpha: 6.0,
        dropout: 0.0,
        targets: ["q_proj", "v_proj", "up_proj", "down_proj"]
            .map(String::from)
            .to_vec(),
    };
    for sizes in [config(true), whole()] {
        agrees(&LlmConfig {
            lora: Some(lora.clone()),
            ..sizes
        });
    }
}

#[test]
fn a_record_does_not_depend_on_others_nor_on_threads() {
    let config = config(true);
    let (model, batch) = (model(&config), Batch::new(&config));
    let mut steps = LlamaSteps::new(&model).unwrap();
    let sentences = batch.sentences();
    let together = steps.step(&model, &sentences, 0);
    for (index, sentence) in sentences.iter().enumerate() {
        let alone = steps.step(&model, std::slice::from_ref(sentence), 0);
        assert!((alone.losses[0] - together.losses[index]).abs() < 1e-5);
        assert!(close(&alone.images[0], &together.images[index]));
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    let mut shared = pool.install(|| steps.step(&model, &sentences, 0));
    let mut together = together;
    let parts = shared.gradients.parts().zip(together.gradients.parts());
    for (shared, together) in parts {
        assert!(shared.is_empty() && together.is_empty() || close(shared, together));
    }
}

#[test]
fn what_adapters_leave_out_depends_on_the_seed_alone() {
    let lora = LoraConfig {
        rank: 3,
        alpha: 6.0,
        dropout: 0.5,
        targets: vec!["q_proj".to_owned()],
    };
    let config = LlmConfig {
        lora: Some(lora),
        ..config(true)
    };
    let (model, batch) = (model(&config), Batch::new(&config));
    let mut steps = LlamaSteps::exact(&model).unwrap();
    let mut losses = |seed| steps.step(&model, &batch.sentences(), seed).losses;
    assert_eq!(losses(1), losses(1));
    assert_ne!(losses(1), losses(2));
}
