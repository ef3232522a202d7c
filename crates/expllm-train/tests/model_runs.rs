//! Runs of the language model as a whole: stages, resuming, records that cannot be used.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Losses, base, config, data_set};
use expllm_face::device::{Backend, default_device};
use expllm_model::checkpoint::{apply_adapter, open};
use expllm_model::{ExpLlm, LoadOptions};
use expllm_train::TrainError;
use expllm_train::model::{
    Judgement, Observer, Precision, RunPlan, StepReport, TrainConfig, train_model,
};

fn train(config: &TrainConfig) -> Result<Losses, TrainError> {
    let mut losses = Losses::default();
    train_model(config, &default_device(), &mut losses)?;
    Ok(losses)
}

fn tensors(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let checkpoint = open(folder).unwrap();
    let read = |name: String| {
        let data = checkpoint.source.read(&name).unwrap();
        (name, data.as_bytes().to_vec())
    };
    checkpoint.source.names().into_iter().map(read).collect()
}

fn prepared(records: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    data_set(dir.path(), records);
    base(dir.path());
    dir
}

/// Watches a run, and keeps the checkpoint that there is before its last step.
struct Keeper {
    losses: Losses,
    run: PathBuf,
    kept: PathBuf,
}

impl Observer for Keeper {
    fn begins(&mut self, _what: &str) {}

    fn steps(&mut self, _report: &StepReport) {}

    fn skipped(&mut self, _reason: &str) {}

    fn validated(&mut self, step: usize, loss: f64, judgement: Option<&Judgement>) {
        self.losses.validated(step, loss, judgement);
        if step == 7 {
            std::fs::create_dir_all(&self.kept).unwrap();
            for file in std::fs::read_dir(self.run.join("step-6")).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), self.kept.join(file.file_name())).unwrap();
            }
        }
    }
}

#[test]
fn a_run_that_was_stopped_goes_on_with_the_same_losses() {
    let dir = prepared(8);
    let mut keeper = Keeper {
        losses: Losses::default(),
        run: dir.path().join("whole/run"),
        kept: dir.path().join("stopped/run/step-6"),
    };
    let whole = config(dir.path(), "instruction", "whole", 7);
    train_model(&whole, &default_device(), &mut keeper).unwrap();
    let whole = keeper.losses.seen;
    let stopped = train(&config(dir.path(), "instruction", "stopped", 7)).unwrap();
    assert_eq!(whole.len(), 7);
    assert_eq!(stopped.seen, whole[6..]);
    let model = |run: &str| tensors(&dir.path().join(run).join("model"));
    assert_eq!(model("stopped"), model("whole"));
    assert!(whole[6].1 < whole[0].1, "{whole:?}");
    // A run that was finished has nothing left to do.
    let again = train(&config(dir.path(), "instruction", "stopped", 7)).unwrap();
    assert!(again.seen.is_empty());
    assert_eq!(model("stopped"), model("whole"));
}

#[test]
fn instruction_tuning_changes_adapters_and_projector_alone() {
    let dir = prepared(8);
    let config = config(dir.path(), "instruction", "run", 100);
    train(&config).unwrap();
    let before = tensors(&dir.path().join("base"));
    let after = tensors(&dir.path().join("run/model"));
    let mut adapters = 0;
    for (name, bytes) in &after {
        match before.get(name) {
            Some(old) if name.starts_with("mm_projector.") => assert_ne!(old, bytes, "{name}"),
            // Bit for bit, after a hundred steps.
            Some(old) => assert_eq!(old, bytes, "{name}"),
            None => {
                assert!(name.contains(".lora_"), "{name}");
                adapters += 1;
            }
        }
    }
    // A and B of query and value in two layers and two blocks.
    assert_eq!(adapters, 16);
    // The adapter goes onto the base again, and both load.
    let whole = open(&dir.path().join("run/model")).unwrap();
    let again = apply_adapter(
        open(&dir.path().join("base")).unwrap(),
        &dir.path().join("run/adapter"),
    )
    .unwrap();
    assert_eq!(again.config, whole.config);
    for checkpoint in [whole, again] {
        let (source, options) = (checkpoint.source.as_ref(), LoadOptions::default());
        let model = ExpLlm::load(&checkpoint.config, source, &options, &default_device());
        assert!(model.unwrap().merge_lora().config().llm.lora.is_none());
    }
}

#[test]
fn alignment_changes_the_projector_and_full_training_the_language_model_too() {
    let dir = prepared(8);
    let before = tensors(&dir.path().join("base"));
    for (stage, output) in [("alignment", "one"), ("full", "two")] {
        train(&config(dir.path(), stage, output, 2)).unwrap();
        let folder = dir.path().join(output).join("model");
        let halves = stage == "full";
        let checkpoint = open(&folder).unwrap();
        for name in checkpoint.source.names() {
            let size = checkpoint.source.info(&name).unwrap();
            assert_eq!(size.dtype == burn::tensor::DType::F16, halves);
            if halves {
                continue;
            }
            let same = checkpoint.source.read(&name).unwrap().as_bytes() == before[&name];
            assert_eq!(same, !name.starts_with("mm_projector."), "{name}");
        }
    }
}

#[test]
fn unusable_records_are_passed_over_and_a_set_without_usable_ones_is_refused() {
    let dir = prepared(8);
    for broken in ["1.png", "4.png"] {
        std::fs::write(dir.path().join(broken), b"no image").unwrap();
    }
    let losses = train(&config(dir.path(), "instruction", "run", 6)).unwrap();
    assert!(losses.skipped > 0);
    std::fs::write(dir.path().join("annotations.json"), "[]").unwrap();
    let error = train(&config(dir.path(), "instruction", "none", 6)).unwrap_err();
    assert!(matches!(error, TrainError::NoRecords(_)), "{error}");
}

#[test]
fn another_run_in_the_same_folder_is_refused() {
    let dir = prepared(4);
    train(&config(dir.path(), "alignment", "run", 1)).unwrap();
    let error = train(&config(dir.path(), "alignment", "run", 2)).unwrap_err();
    assert!(error.to_string().contains("another run"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let dir = prepared(4);
    // A file where the folder of checkpoints should be.
    std::fs::create_dir(dir.path().join("run")).unwrap();
    std::fs::write(dir.path().join("run/run"), b"").unwrap();
    let error = train(&config(dir.path(), "alignment", "run", 4)).unwrap_err();
    assert!(error.to_string().contains("run"), "{error}");
}

#[test]
fn a_precision_that_the_processor_lacks_is_refused_before_anything_is_written() {
    let dir = prepared(4);
    let mut config = config(dir.path(), "alignment", "run", 1);
    config.run.precision = Precision::Bf16;
    let Ok(processor) = Backend::Cpu.device() else {
        return;
    };
    let plan = RunPlan::new(&config, &processor).unwrap_err().to_string();
    let mut losses = Losses::default();
    let error = train_model(&config, &processor, &mut losses).unwrap_err();
    assert!(error.to_string() == plan && plan.contains("f32"), "{error}");
    assert!(!config.output.exists());
    config.run.precision = Precision::F32;
    train(&config).unwrap();
}
