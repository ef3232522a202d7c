//! Texts read blind: dealt without their source, and counted back.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use super::{TEXT, expllm, said};

/// Faces of one label with this text.
fn data_set(path: &Path, text: &str) {
    let mut au = [0.0; 24];
    au[8] = 0.9;
    let row = |index: usize| {
        let name = format!("{index}.jpg");
        json!({"file_name": name, "emo": "Surprise", "au": au, "description": text}).to_string()
    };
    let rows: Vec<String> = (0..30).map(row).collect();
    std::fs::write(path, rows.join("\n")).unwrap();
}

#[test]
fn a_filled_form_comes_back_as_wins() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    data_set(&at("one.jsonl"), TEXT);
    data_set(
        &at("two.jsonl"),
        &TEXT.replace("a sign of awe", "how surprise looks"),
    );
    let deal = expllm()
        .args(["cot", "compare", "--blind", "12", "--seed", "3", "--out"])
        .args([at("out"), at("one.jsonl"), at("two.jsonl")])
        .output()
        .unwrap();
    assert!(deal.status.success(), "{}", said(&deal));
    let pairs = std::fs::read_to_string(at("out/pairs.json")).unwrap();
    let page = std::fs::read_to_string(at("out/pairs.md")).unwrap();
    for source in ["one.jsonl", "two.jsonl", ".jpg"] {
        assert!(
            !pairs.contains(source) && !page.contains(source),
            "{source}"
        );
    }
    let none = expllm()
        .args(["cot", "compare", "--unblind"])
        .arg(at("out"))
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(2), "{}", said(&none));
    let pairs: Vec<HashMap<String, Value>> = serde_json::from_str(&pairs).unwrap();
    let mut form = "pair,natural,faithful,reasoning,report\n".to_owned();
    for pair in &pairs {
        let is_one = pair["a"].as_str().unwrap().contains("awe");
        let (one, two) = if is_one { ("a", "b") } else { ("b", "a") };
        form += &format!("{},{two},even,{one},\n", pair["pair"]);
    }
    std::fs::write(at("out/form_reader.csv"), form).unwrap();
    let counted = expllm()
        .args(["cot", "compare", "--unblind"])
        .arg(at("out"))
        .output()
        .unwrap();
    assert!(counted.status.success(), "{}", said(&counted));
    let text = said(&counted);
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(row("natural")[..4], ["0", "12", "0", "0.000"]);
    assert_eq!(row("faithful"), ["0", "0", "12", "-"]);
    assert_eq!(row("reasoning")[..4], ["12", "0", "0", "1.000"]);
    assert_eq!(row("report"), ["0", "0", "0", "-"]);
}
