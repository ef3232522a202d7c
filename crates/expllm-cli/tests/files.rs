//! Which files are read, which may be written, and when what was written counts again.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{ImageFormat, RgbImage, imageops};
use serde_json::Value;

fn expllm(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_expllm"));
    let output = command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
    format!("{out}{err}")
}

/// A small portrait.
fn portrait() -> RgbImage {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png");
    let photo = image::open(path).unwrap().into_rgb8();
    imageops::thumbnail(&photo, 256, 256)
}

fn put(folder: &Path, name: &str, format: ImageFormat) -> PathBuf {
    let path = folder.join(name);
    portrait().save_with_format(&path, format).unwrap();
    path
}

const ROWS: &str = r#"{"file_name": "1.jpg", "emo": "Happiness", "au": [0,0,0,0,0,0,0,0,0.3,0,0,0.7,0.6,0,0,0,0,0,0,0,0,0,0,0]}
{"file_name": "2.jpg", "emo": "Sadness", "au": [0,0,0,0,0,0,0,0,0.3,0,0,0.7,0.6,0,0,0,0,0,0,0,0,0,0,0]}
{"file_name": "3.jpg", "emo": "Anger", "au": [0,0,0,0,0,0,0,0,0.3,0,0,0.7,0.6,0,0,0,0,0,0,0,0,0,0,0]}
"#;

#[test]
fn no_command_writes_over_what_it_reads() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let photo = put(folder, "photo.png", ImageFormat::Png);
    std::fs::write(folder.join("rows.jsonl"), ROWS).unwrap();
    std::fs::write(folder.join("l.csv"), "file,expression\nphoto.png,happy\n").unwrap();
    std::fs::write(folder.join("notes.txt"), "mine").unwrap();
    let pixels = std::fs::read(&photo).unwrap();
    for arguments in [
        ["au", "photo.png", "--out", "photo.png"].as_slice(),
        &["analyze", "photo.png", "--out", "./photo.png"],
        &["analyze", "photo.png", "--annotate", "."],
        &[
            "analyze",
            "photo.png",
            "--format",
            "html",
            "--out",
            "notes.txt",
        ],
        &["cot", "check", "rows.jsonl", "--html", "rows.jsonl"],
        &[
            "cot",
            "build",
            "--annotations",
            "rows.jsonl",
            "--out",
            "rows.jsonl",
        ],
        &["cot", "merge", "rows.jsonl", "--out", "./rows.jsonl"],
        &[
            "data",
            "inspect",
            "--dataset",
            "csv",
            "--root",
            ".",
            "--sheet",
            "photo.png",
        ],
        &[
            "eval",
            "--dataset",
            "csv",
            "--root",
            "l.csv",
            "--predictions",
            "l.csv",
            "--out",
            "rows.jsonl",
        ],
    ] {
        let output = expllm(folder, arguments);
        assert_ne!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            said(&output)
        );
    }
    assert_eq!(std::fs::read(&photo).unwrap(), pixels);
    assert_eq!(
        std::fs::read_to_string(folder.join("rows.jsonl")).unwrap(),
        ROWS
    );
    let kept = std::fs::read_to_string(folder.join("notes.txt"));
    assert_eq!(kept.unwrap(), "mine");
}

#[test]
fn every_photo_has_its_drawing_and_a_second_run_replaces_them() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.jpg", ImageFormat::Jpeg);
    put(dir.path(), "a.png", ImageFormat::Png);
    put(dir.path(), "a_2.jpg", ImageFormat::Jpeg);
    let arguments = [
        "analyze",
        "a.jpg",
        "a.png",
        "a_2.jpg",
        "--cropped",
        "--annotate",
        "drawn",
    ];
    for _ in 0..2 {
        let output = expllm(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert_eq!(
            std::fs::read_dir(dir.path().join("drawn")).unwrap().count(),
            3
        );
    }
}

#[test]
fn pictures_of_a_folder_are_told_by_content_and_those_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    std::fs::create_dir(&set).unwrap();
    for name in ["photo", "photo.JPG", "photo.jpg_large", "x.heic", "x.jfif"] {
        put(&set, name, ImageFormat::Jpeg);
    }
    put(&set, "x.gif", ImageFormat::Gif);
    std::fs::write(set.join("y.heic"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    std::fs::write(set.join("notes.txt"), "no picture").unwrap();
    let output = expllm(
        dir.path(),
        &[
            "au",
            "set",
            "--cropped",
            "--format",
            "json",
            "--out",
            "t.json",
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("HEIC"), "{}", said(&output));
    let text = std::fs::read_to_string(dir.path().join("t.json")).unwrap();
    let rows: Value = serde_json::from_str(&text).unwrap();
    let rows = rows.as_array().unwrap();
    let read = rows.iter().filter(|row| row["face"] == 0).count();
    assert_eq!((rows.len(), read), (7, 6));
}

#[test]
fn a_missing_photo_is_told_where_a_file_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let output = expllm(dir.path(), &["au", "missing.jpg", "--out", "x.csv"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("missing.jpg"), "{}", said(&output));
}

fn accuracy(folder: &Path) -> String {
    let metrics = std::fs::read(folder.join("o/metrics.json")).unwrap();
    let metrics: Value = serde_json::from_slice(&metrics).unwrap();
    metrics["accuracy"]["value"].to_string()
}

#[test]
fn an_evaluation_that_goes_on_takes_labels_and_images_as_they_are_now() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.jpg", ImageFormat::Jpeg);
    let labels = |text: &str| std::fs::write(dir.path().join("l.csv"), text).unwrap();
    let arguments = [
        "eval",
        "--dataset",
        "csv",
        "--root",
        ".",
        "--out",
        "o",
        "--cropped",
    ];
    let run = || {
        let output = expllm(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        std::fs::read_to_string(dir.path().join("o/predictions.jsonl")).unwrap()
    };
    labels("file,expression\na.jpg,happy\n");
    let first = run();
    assert_eq!(accuracy(dir.path()), "1.0");
    labels("file,expression\na.jpg,sad\n");
    assert_eq!(run(), first, "the same image is not read again");
    assert_eq!(accuracy(dir.path()), "0.0");
    imageops::flip_horizontal(&portrait())
        .save(dir.path().join("a.jpg"))
        .unwrap();
    let second = run();
    assert_eq!((first.lines().count(), second.lines().count()), (2, 3));
}

#[test]
fn a_build_that_goes_on_refuses_a_changed_label_and_what_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.jsonl");
    std::fs::write(&input, ROWS).unwrap();
    let build = |more: &[&str]| {
        let mut arguments = vec!["cot", "build", "--annotations", "in.jsonl", "--out"];
        arguments.extend(more);
        expllm(dir.path(), &arguments)
    };
    assert_eq!(build(&["o.jsonl", "--limit", "2"]).status.code(), Some(0));
    std::fs::write(&input, ROWS.replacen("Happiness", "Fear", 1)).unwrap();
    let output = build(&["o.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("line 1"), "{}", said(&output));
    std::fs::write(&input, ROWS).unwrap();
    assert_eq!(build(&["o.jsonl"]).status.code(), Some(0));
    #[cfg(unix)]
    assert_eq!(build(&["/dev/full"]).status.code(), Some(2));
}

#[test]
fn an_endpoint_that_never_answers_ends_a_build() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in.jsonl"), ROWS).unwrap();
    let arguments = [
        "cot",
        "build",
        "--annotations",
        "in.jsonl",
        "--out",
        "o.jsonl",
        "--writer",
        "openai",
        "--endpoint",
        "http://127.0.0.1:9/v1",
        "--retries",
        "1",
    ];
    let output = expllm(dir.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("no endpoint has answered"),
        "{}",
        said(&output)
    );
    assert_eq!(std::fs::read(dir.path().join("o.jsonl")).unwrap(), b"");
}

#[test]
fn repeated_rows_of_a_result_count_once_unless_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let row = |pred: &str| {
        format!(r#"{{"task":"emo_estim","gt":"Happiness","img_path":"0.jpg","pred":"{pred}"}}"#)
    };
    let text = format!(
        "\u{feff}[{},{},{}]",
        row("Happiness"),
        row("Sadness"),
        row("Sadness")
    );
    std::fs::write(dir.path().join("dup.json"), text).unwrap();
    let once = said(&expllm(dir.path(), &["score", "dup.json"]));
    assert!(
        once.contains("2 rows repeat an image and are left out"),
        "{once}"
    );
    assert!(once.contains("1.0000"), "{once}");
    let all = said(&expllm(dir.path(), &["score", "dup.json", "--repeats"]));
    assert!(all.contains("0.3333"), "{all}");
}
