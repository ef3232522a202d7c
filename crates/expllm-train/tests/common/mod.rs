//! A small data set and a small model for training tests.
#![allow(dead_code)] // Each test binary uses a part of it.
#![allow(clippy::unwrap_used)] // A broken fixture ends the test.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use expllm_model::checkpoint::{Checkpoint, SaveOptions, save};
use expllm_model::{ModelConfig, RandomWeights, Tokenizer};
use expllm_train::model::{Judgement, Observer, StepReport, TrainConfig};
use serde_json::json;

const LABELS: [&str; 3] = ["Happiness", "Sadness", "Surprise"];

/// Photos in three shades, with labels and chains that tell them apart.
pub fn data_set(dir: &Path, count: usize) -> PathBuf {
    let rows: Vec<_> = (0..count)
        .map(|index| {
            let (file, label) = (format!("{index}.png"), LABELS[index % 3]);
            let shade = 60 + 60 * (index % 3) as u8;
            image::RgbImage::from_fn(40, 36, |x, _| image::Rgb([shade, shade, (x * 5) as u8]))
                .save(dir.join(&file))
                .unwrap();
            json!({
                "file_name": file,
                "emo": label,
                "description": format!(
                    "**Key Observations:** left {label}\n\n**Overall Emotional Interpretation:** \
                     b\n\n**Conclusion:** {label}"
                ),
            })
        })
        .collect();
    let path = dir.join("annotations.json");
    std::fs::write(&path, serde_json::to_string(&rows).unwrap()).unwrap();
    path
}

/// A checkpoint of random weights without adapters, with a tokenizer learnt from a few words.
pub fn base(dir: &Path) -> PathBuf {
    let texts = LABELS.map(|label| format!("TASK: USER: ASSISTANT: {label} **Conclusion:** left"));
    let tokenizer = Tokenizer::train(texts.iter().map(String::as_str), 380).unwrap();
    let mut config = ModelConfig::tiny();
    config.llm.vocab_size = tokenizer.vocab_size();
    config.image_token_id = tokenizer.vocab_size() as u32;
    config.llm.lora = None;
    config.vision.dinov2_mut().unwrap().lora = None;
    // The reference preprocessing gives images of this size.
    let vision = config.vision.dinov2_mut().unwrap();
    (
        vision.image_size,
        vision.patch_size,
        vision.pretrain_image_size,
    ) = (224, 56, 224);
    let folder = dir.join("base");
    let checkpoint = Checkpoint {
        source: Box::new(RandomWeights::new(&config, DType::F32, 3).unwrap()),
        tokenizer: Some(tokenizer),
        prompt: Default::default(),
        generation: Default::default(),
        config,
    };
    save(&folder, &checkpoint, &SaveOptions::default()).unwrap();
    folder
}

/// A run of `steps` steps of two records.
pub fn config(dir: &Path, stage: &str, output: &str, steps: usize) -> TrainConfig {
    let toml = format!(
        "output = {output:?}\nstage = {stage:?}\n\
         [start]\ncheckpoint = {base:?}\n\
         [data.annotations]\nroot = {root:?}\n\
         [records]\nlabel_only = 0.5\n\
         [optimiser]\nrate = 1e-2\nema = 0.9\n\
         [run]\nsteps = {steps}\nbatch = 2\nmicro_batch = 1\ncheckpoint_every = 3\n\
         [validation]\nevery = 1\nrecords = 2\nchains = 0\n",
        output = dir.join(output),
        base = dir.join("base"),
        root = dir.join("annotations.json"),
    );
    TrainConfig::from_toml(&toml).unwrap()
}

/// Keeps the validation losses of a run.
#[derive(Debug, Default)]
pub struct Losses {
    pub seen: Vec<(usize, f64)>,
    pub skipped: usize,
}

impl Observer for Losses {
    fn begins(&mut self, _what: &str) {}

    fn steps(&mut self, _report: &StepReport) {}

    fn skipped(&mut self, _reason: &str) {
        self.skipped += 1;
    }

    fn validated(&mut self, step: usize, loss: f64, _judgement: Option<&Judgement>) {
        self.seen.push((step, loss));
    }
}
