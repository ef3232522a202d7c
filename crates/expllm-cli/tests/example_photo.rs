//! What the program says of the example photo: the README's sample, and the reasons in
//! `data/astronaut_reasons.json`.
//!
//! After a change that is meant, run these tests with `EXPLLM_BLESS=1` to write the reasons anew,
//! and copy what `expllm analyze` prints into the README.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The standard output of the program, run in the root of the project.
fn expllm(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_expllm"))
        .current_dir(root())
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The paragraphs of the README's first quotation, each on one line.
fn sample(readme: &str) -> Vec<String> {
    let lines = readme.lines().skip_while(|line| !line.starts_with('>'));
    let quoted: Vec<_> = lines.map_while(|line| line.strip_prefix('>')).collect();
    let paragraphs = quoted.split(|line| line.trim().is_empty());
    paragraphs
        .map(|lines| words(&lines.join(" ")).join(" "))
        .collect()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// Whether two texts are the same but for whole numbers that differ by one, as the last digit of
/// a percentage may from one processor to the next.
fn same(left: &str, right: &str) -> bool {
    let (left, right) = (words(left), words(right));
    let near = |(left, right): (&&str, &&str)| {
        let numbers = (left.parse::<i32>(), right.parse::<i32>());
        left == right || matches!(numbers, (Ok(l), Ok(r)) if (l - r).abs() <= 1)
    };
    left.len() == right.len() && left.iter().zip(&right).all(near)
}

#[test]
fn the_program_says_what_the_readme_shows() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let sample = sample(&readme);
    assert_eq!(sample.len(), 5, "{sample:?}");
    let said = expllm(&["analyze", "examples/photos/astronaut.png"]);
    for paragraph in sample {
        let found = said.lines().any(|line| same(line, &paragraph));
        assert!(
            found,
            "the README shows\n{paragraph}\nand this is said:\n{said}"
        );
    }
}

/// Whether two values are the same but for small differences of numbers.
fn close(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            (left.as_f64().unwrap() - right.as_f64().unwrap()).abs() <= 0.01
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| close(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| close(value, other)))
        }
        _ => left == right,
    }
}

#[test]
fn the_reasons_are_those_on_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/astronaut_reasons.json");
    let said = expllm(&["reason", "--json", "examples/photos/astronaut.png"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let reasons = &said[0]["reasoning"];
    if std::env::var_os("EXPLLM_BLESS").is_some() {
        let text = serde_json::to_string_pretty(reasons).unwrap();
        std::fs::write(&file, text + "\n").unwrap();
    }
    let wanted = std::fs::read_to_string(&file).unwrap();
    let wanted: Value = serde_json::from_str(&wanted).unwrap();
    assert!(close(reasons, &wanted), "{reasons:#}");
    assert_eq!(said[0]["action_units"].as_object().unwrap().len(), 35);
    assert_eq!(said.as_array().unwrap().len(), 1);
}

#[test]
fn reasons_as_text_name_what_the_json_names() {
    let said = expllm(&["reason", "examples/photos/astronaut.png"]);
    for part in [
        "  face 1: ",
        "label         Happiness, clearly",
        "main cue      corners 0.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let anger = expllm(&[
        "reason",
        "--label",
        "anger",
        "examples/photos/astronaut.png",
    ]);
    assert!(
        anger.contains("do not support it; alone they show Happiness"),
        "{anger}"
    );
}

#[test]
fn a_photo_without_faces_and_one_that_is_none_keep_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let blank = folder.path().join("a_blank.png");
    image::RgbImage::from_pixel(90, 70, image::Rgb([120; 3]))
        .save(&blank)
        .unwrap();
    std::fs::write(folder.path().join("b_text.png"), "not an image").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_expllm"))
        .args(["reason", "--json"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows[0]["face"].is_null() && rows[0].get("error").is_none());
    assert!(rows[1]["face"].is_null() && rows[1]["error"].is_string());
}
