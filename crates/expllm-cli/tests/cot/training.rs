//! What the engine writes is what the trainer reads.

use std::path::{Path, PathBuf};

use expllm::data::{Layout, ReadOptions, Record};
use serde_json::json;

use super::common::{checkpoint, tokenizer};
use super::{build, expllm, records, said};

const FACES: usize = 8;

/// Pictures and labels, built and merged into every format that trains.
fn built(folder: &Path) {
    let labels = ["Happiness", "Sadness", "Surprise", "Anger"];
    let mut lines = Vec::new();
    for index in 0..FACES {
        let mut au = [0.0; 24];
        au[8 + index] = 0.7;
        let name = format!("faces/{index}.png");
        std::fs::create_dir_all(folder.join("faces")).unwrap();
        image::RgbImage::from_fn(40, 36, |x, _| image::Rgb([30 * index as u8, 90, x as u8]))
            .save(folder.join(&name))
            .unwrap();
        let row = json!({"file_name": name, "emo": labels[index % 4], "au": au});
        lines.push(row.to_string());
    }
    // Not every row of a build can be trained on.
    let missing = json!({"file_name": "gone.png", "emo": "Fear", "au": vec![0.0; 24]});
    lines.push(missing.to_string());
    std::fs::write(folder.join("in.jsonl"), lines.join("\n")).unwrap();
    let root = folder.to_str().unwrap();
    let out = folder.join("built.jsonl");
    let output = build(&folder.join("in.jsonl"), &out, &["--root", root])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for (name, more) in [
        ("official.json", &["--list", root][..]),
        ("llava.json", &["--format", "llava"]),
        ("columns.parquet", &[]),
    ] {
        let output = expllm()
            .args(["cot", "merge"])
            .arg(&out)
            .arg("--out")
            .arg(folder.join(name))
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.code() < Some(2), "{}", said(&output));
    }
}

/// Trains one step of two records through the program.
fn train(folder: &Path, (layout, root): (Layout, &Path), model: &Path) -> String {
    let output = folder.join(format!(
        "run-{layout}-{}",
        root.extension().unwrap().display()
    ));
    let config = format!(
        "output = {output:?}\nstage = \"instruction\"\n\
         [start]\ncheckpoint = {model:?}\n\
         [data.annotations]\nroot = {root:?}\nlayout = \"{layout}\"\n\
         [records]\nlabel_only = 0.0\n\
         [optimiser]\nrate = 1e-3\n\
         [run]\nsteps = 1\nbatch = 2\nmicro_batch = 1\n\
         [validation]\nevery = 1\nrecords = 1\nchains = 0\n"
    );
    let file = output.with_extension("toml");
    std::fs::write(&file, config).unwrap();
    let run = expllm()
        .args(["train", "model", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let text = said(&run);
    assert!(run.status.success(), "{layout}: {text}");
    assert!(!text.contains("left out"), "{layout}: {text}");
    assert!(output.join("model/config.json").is_file(), "{layout}");
    let metrics = std::fs::read_to_string(output.join("metrics.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    let losses = first.to_string();
    assert!(
        losses.contains("loss") && !losses.contains("null"),
        "{losses}"
    );
    text
}

fn read(layout: Layout, root: &Path) -> Vec<Record> {
    layout.read(root, &ReadOptions::default()).unwrap().records
}

/// Without the number that a list gives to further rounds.
fn name(record: &Record) -> &str {
    record.id.split('#').next().unwrap()
}

#[test]
fn every_format_that_trains_is_read_whole_and_takes_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    built(folder);
    let model: PathBuf = checkpoint(folder, Some(tokenizer()));
    let lines = records(&folder.join("built.jsonl"));
    for (layout, file) in [
        (Layout::ExpllmJson, "built.jsonl"),
        (Layout::ExpllmJson, "official.json"),
        (Layout::Llava, "llava.json"),
        (Layout::ExpllmList, "official.txt"),
    ] {
        let root = folder.join(file);
        let found = read(layout, &root);
        assert_eq!(found.len(), FACES, "{file}");
        let with_text = found.iter().filter(|r| r.description.is_some()).count();
        // Of the list, a quarter has a chain.
        let wanted = match layout {
            Layout::ExpllmList => FACES / 4,
            _ => FACES,
        };
        assert_eq!(with_text, wanted, "{file}");
        for record in &found {
            let line = lines.iter().find(|line| line["file_name"] == name(record));
            let line = line.unwrap();
            assert_eq!(line["emo"], record.expression.unwrap().name());
            let au: Vec<f32> = serde_json::from_value(line["au"].clone()).unwrap();
            assert_eq!(record.action_units.unwrap().feafa()[..], au[..]);
            if let Some(text) = &record.description {
                assert_eq!(line["description"], text.as_str());
            }
        }
        train(folder, (layout, &root), &model);
    }
    // Columns come back as lines, with everything that was said of each record.
    let back = folder.join("back.jsonl");
    let output = expllm()
        .args(["cot", "merge"])
        .arg(folder.join("columns.parquet"))
        .arg("--out")
        .arg(&back)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(records(&back), lines);
}
