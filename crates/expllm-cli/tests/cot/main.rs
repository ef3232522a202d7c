//! `expllm cot` as a user runs it: killed, without disk, with bad input, bad servers and models
//! that write nonsense; and what it writes trains.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod blind;
#[path = "../common/mod.rs"]
mod common;
mod dataset;
mod faces;
mod formats;
mod input;
#[path = "../../../expllm-cot/tests/mock_server/mod.rs"]
mod mock_server;
mod model;
mod servers;
mod stopping;
mod training;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A text that fits a face whose jaw drops strongly.
const TEXT: &str = "**Key Observations:** The jaw drops strongly, which is a sign of awe.\n\n\
     **Overall Emotional Interpretation:** This points to a sudden event.\n\n\
     **Conclusion:** The label is Surprise.";

fn expllm() -> Command {
    Command::new(env!("CARGO_BIN_EXE_expllm"))
}

fn build(input: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = expllm();
    command.args(["cot", "build", "--annotations"]).arg(input);
    command.arg("--out").arg(out).args(more);
    command
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Faces whose jaw drops strongly, one per line.
fn surprises(path: &Path, count: usize) {
    let mut au = [0.0; 24];
    au[8] = 0.9;
    let mut text = String::new();
    for index in 0..count {
        let name = format!("{index}.jpg");
        writeln!(
            text,
            "{}",
            json!({"file_name": name, "emo": "Surprise", "au": au})
        )
        .unwrap();
    }
    std::fs::write(path, text).unwrap();
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every record once, in order, with its text.
fn assert_whole(out: &Path, count: usize) {
    let records = records(out);
    assert_eq!(records.len(), count);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record["index"], index);
        assert_eq!(record["file_name"], format!("{index}.jpg"));
        assert_eq!(record["status"], "checked", "{record}");
        let text = record["description"].as_str().unwrap().to_lowercase();
        assert!(text.contains("surprise"), "{text}");
    }
}

fn journal(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

/// What a server with the OpenAI interface answers with a text.
fn answer(text: &str) -> String {
    let message = json!({"role": "assistant", "content": text});
    json!({"model": "mock", "choices": [{"message": message}]}).to_string()
}

/// A photo in which a face is found.
fn astronaut() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png")
}
