//! `expllm convert` as a user runs it.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expllm::model::DType;
use expllm::model::checkpoint::LanguageModel;

fn gguf() -> PathBuf {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../expllm-model");
    model.join("tests/fixtures/llama_gguf/model.gguf")
}

fn convert(from: &Path, to: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_expllm"))
        .args(["convert", "--from"])
        .arg(from)
        .arg("--to")
        .arg(to)
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn a_gguf_file_becomes_a_llama_folder() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("llama");
    let output = convert(&gguf(), &to, &["--dtype", "f16"]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{words}");
    assert!(
        words.contains("21 tensors") && words.contains("--vision"),
        "{words}"
    );
    let folder = LanguageModel::open(&to).unwrap();
    folder.verify().unwrap();
    assert_eq!(folder.config, LanguageModel::open(&gguf()).unwrap().config);
    assert!(folder.tokenizer.is_some());
    let dtype = folder.source.info("model.norm.weight").unwrap().dtype;
    assert_eq!(dtype, DType::F16);
}

#[test]
fn a_damaged_file_is_named_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("cut.gguf");
    let whole = std::fs::read(gguf()).unwrap();
    std::fs::write(&from, &whole[..whole.len() - 100]).unwrap();
    let output = convert(&from, &dir.path().join("to"), &[]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("cut.gguf") && words.contains("tensor"),
        "{words}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
