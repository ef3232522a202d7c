//! `--dataset NAME --root DIR`: images of a layout, read by the action unit detector.

use std::path::Path;
use std::process::{Command, Output};

use image::{GrayImage, RgbImage};
use serde_json::Value;

use super::{astronaut, expllm, records, said};

fn build_set(layout: &str, root: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = expllm();
    command.args(["cot", "build", "--dataset", layout, "--root"]);
    command
        .arg(root)
        .arg("--out")
        .arg(out)
        .args(more)
        .output()
        .unwrap()
}

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The intensities that `expllm analyze` reads of a photo, by name.
fn analyzed(photo: &Path) -> serde_json::Map<String, Value> {
    let output = expllm()
        .args(["analyze", "--format", "json"])
        .arg(photo)
        .output()
        .unwrap();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    rows[0]["action_units"].as_object().unwrap().clone()
}

#[test]
fn images_of_a_layout_are_read_and_bad_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("o.jsonl"));
    let photo = std::fs::read(astronaut()).unwrap();
    put(&root, "train/happy/a.png", &photo);
    put(&root, "train/fear/b.png", &photo);
    put(&root, "train/fear/broken.png", b"not an image");
    put(&root, "train/confused/c.png", &photo);
    let grey = root.join("train/sad/grey.png");
    std::fs::create_dir_all(grey.parent().unwrap()).unwrap();
    RgbImage::from_pixel(96, 96, image::Rgb([90; 3]))
        .save(grey)
        .unwrap();
    let output = build_set("folder", &root, &out, &[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let found = records(&out);
    assert_eq!(found.len(), 5, "{text}");
    let by_name = |name: &str| {
        let record = found.iter().find(|record| record["file_name"] == name);
        record.unwrap_or_else(|| panic!("{name} in {text}"))
    };
    let units = analyzed(&astronaut());
    for (name, label) in [
        ("train/happy/a.png", "Happiness"),
        ("train/fear/b.png", "Fear"),
    ] {
        let record = by_name(name);
        assert_eq!(record["status"], "checked");
        assert_eq!(record["emo"], label);
        // The detector of the program and nothing else, and the name leads to the image.
        let au = record["au"].as_object().unwrap();
        assert_eq!(au.len(), units.len());
        for unit in expllm::core::ActionUnit::ALL {
            let read = units[unit.snake_case()].as_f64().unwrap();
            let kept = au[unit.snake_case()].as_f64().unwrap();
            assert!((read - kept).abs() < 1e-6, "{unit}: {read} {kept}");
        }
        assert!(root.join(record["file_name"].as_str().unwrap()).is_file());
    }
    for (name, reason) in [
        ("train/fear/broken.png", "is not a JPEG"),
        ("train/sad/grey.png", "no face found"),
        ("train/confused/c.png", "unknown label"),
    ] {
        assert_eq!(by_name(name)["status"], "rejected");
        let line = text.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|l| l.contains(reason)), "{name}: {text}");
    }
    // Started again it has nothing to do, and every record is still there once.
    let again = build_set("folder", &root, &out, &[]);
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(records(&out).len(), 5);
}

#[test]
fn missing_images_of_an_annotation_file_are_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("o.jsonl"));
    put(&root, "images/a.png", &std::fs::read(astronaut()).unwrap());
    let rows = serde_json::json!([
        {"file_name": "images/gone.png", "emo": "Fear"},
        {"file_name": "images/a.png", "emo": "Happiness"},
        {"file_name": "../o.jsonl", "emo": "Fear"},
        {"file_name": "images/a.png", "emo": "Happiness"},
    ]);
    put(&root, "labels.json", rows.to_string().as_bytes());
    for root in [root.clone(), root.join("labels.json")] {
        let output = build_set("expllm-json", &root, &out, &[]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let statuses: Vec<_> = (records(&out).iter())
            .map(|r| (r["file_name"].clone(), r["status"].clone()))
            .collect();
        assert_eq!(
            statuses,
            [
                ("images/a.png".into(), "checked".into()),
                ("images/gone.png".into(), "rejected".into()),
                ("../o.jsonl".into(), "rejected".into()),
                ("images/a.png".into(), Value::from("rejected")),
            ],
            "{text}"
        );
        assert!(text.contains("missing image") && text.contains("duplicate"));
        std::fs::remove_file(&out).unwrap();
        std::fs::remove_file(super::journal(&out)).unwrap();
    }
}

#[test]
fn images_that_are_no_files_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (
        folder.path().join("fer2013.csv"),
        folder.path().join("o.jsonl"),
    );
    let face = image::open(astronaut()).unwrap();
    let face: GrayImage = face.crop_imm(170, 50, 120, 120).into_luma8();
    let face = image::imageops::thumbnail(&face, 48, 48);
    let pixels: Vec<_> = face.as_raw().iter().map(u8::to_string).collect();
    let pixels = pixels.join(" ");
    let rows = format!("emotion,pixels,Usage\n3,{pixels},Training\n3,1 2 3,Training\n");
    std::fs::write(&root, rows).unwrap();
    let output = build_set("fer2013-csv", &root, &out, &["--cropped"]);
    let text = said(&output);
    let found = records(&out);
    assert_eq!(found.len(), 2, "{text}");
    assert_eq!(found[0]["status"], "checked", "{text}");
    assert_eq!(found[0]["emo"], "Happiness");
    assert_eq!(found[0]["au"].as_object().unwrap().len(), 35);
    assert_eq!(found[1]["status"], "rejected");
}

#[test]
fn unknown_layouts_are_refused_with_those_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let output = build_set("rafbd", folder.path(), &folder.path().join("o.jsonl"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("rafdb, "), "{}", said(&output));
    let alone = Command::new(env!("CARGO_BIN_EXE_expllm"))
        .args(["cot", "build", "--dataset", "folder", "--out", "o.jsonl"])
        .output()
        .unwrap();
    assert_eq!(alone.status.code(), Some(2));
    assert!(said(&alone).contains("--root"), "{}", said(&alone));
}
