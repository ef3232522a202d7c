//! Merging, grading and comparing data sets.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use super::{assert_whole, build, expllm, records, said, surprises};

#[test]
fn shards_merge_into_every_format_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    surprises(&at("in.jsonl"), 25);
    assert!(
        build(&at("in.jsonl"), &at("all.jsonl"), &[])
            .status()
            .unwrap()
            .success()
    );
    let shards = ["0/3", "1/3", "2/3"].map(|shard| {
        let out = at(&format!("shard{}.jsonl", &shard[..1]));
        let status = build(&at("in.jsonl"), &out, &["--shard", shard]).status();
        assert!(status.unwrap().success());
        out
    });
    let merge = |inputs: &[PathBuf], out: &Path, more: &[&str]| {
        let mut command = expllm();
        command
            .args(["cot", "merge"])
            .args(inputs)
            .arg("--out")
            .arg(out);
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    merge(&shards, &at("merged.jsonl"), &[]);
    let read = |name| std::fs::read(at(name)).unwrap();
    assert!(
        read("merged.jsonl") == read("all.jsonl"),
        "merging changed a record"
    );
    let mut from = at("merged.jsonl");
    for (name, more) in [
        ("a.parquet", &[][..]),
        ("b.json", &["--format", "llava"]),
        ("c.json", &["--list", "images"]),
    ] {
        merge(&[from], &at(name), more);
        from = at(name);
    }
    let official: Value = serde_json::from_slice(&std::fs::read(from).unwrap()).unwrap();
    let whole = records(&at("all.jsonl"));
    assert_eq!(official.as_array().unwrap().len(), 25);
    for (record, wanted) in official.as_array().unwrap().iter().zip(whole) {
        for key in ["file_name", "emo", "au", "description"] {
            assert_eq!(record[key], wanted[key], "{key}");
        }
    }
    assert!(at("c_label.json").is_file() && at("c.txt").is_file());
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 30);
    assert!(build(&input, &out, &[]).status().unwrap().success());
    let (a, b) = (out.to_str().unwrap(), input.to_str().unwrap());
    let at = |name: &str| folder.path().join(name);
    let (merged, other) = (at("merged.json"), at("other.jsonl"));
    let (c, d) = (merged.to_str().unwrap(), other.to_str().unwrap());
    for arguments in [
        &["check", a][..],
        &["check", a, "--json"],
        &["compare", a, b],
        &["merge", a, "--out", c, "--list", "images"],
        &["build", "--annotations", b, "--dry-run"],
        &["build", "--annotations", b, "--out", d],
    ] {
        let mut run = expllm()
            .arg("cot")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(run.stdout.take());
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(said(&output), "");
    }
    // All work is done although nobody listened.
    assert!(merged.is_file() && at("merged_label.json").is_file());
    let list = std::fs::read_to_string(at("merged.txt")).unwrap();
    assert_eq!(list.lines().count(), 2);
    assert_whole(&other, 30);
}

#[test]
fn bad_rows_are_kept_when_nobody_reads_the_messages() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 30);
    let mut text = std::fs::read_to_string(&input).unwrap();
    text.insert_str(0, "{\"file_name\": \"bad.jpg\"}\n");
    text.push_str("{\"file_name\": \"worse.jpg\"}\n");
    std::fs::write(&input, text).unwrap();
    let merged = folder.path().join("m.json");
    let mut merge = expllm();
    merge
        .args(["cot", "merge"])
        .arg(&out)
        .arg("--out")
        .arg(&merged);
    for mut command in [build(&input, &out, &[]), merge] {
        let mut run = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((run.stdout.take(), run.stderr.take()));
        // Not 101, the status of a panic.
        assert_eq!(run.wait().unwrap().code(), Some(1));
    }
    assert_eq!(records(&out).len(), 32);
    let official: Value = serde_json::from_slice(&std::fs::read(merged).unwrap()).unwrap();
    assert_eq!(official.as_array().unwrap().len(), 30);
}

#[test]
fn files_of_other_makers_are_joined_and_their_bad_rows_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let row = |name: &str| json!({"file_name": name, "emo": "Fear", "description": "a text"});
    let bad = json!({"file_name": "c.jpg", "emo": "Ennui", "description": "a text"});
    let write = |name: &str, rows: &[Value]| {
        std::fs::write(at(name), Value::from(rows).to_string()).unwrap();
    };
    write("one.json", &[row("a.jpg"), row("b.jpg"), bad]);
    write("two.json", &[row("d.jpg"), row("e.jpg")]);
    write("same.json", &[row("b.jpg")]);
    let merge = |inputs: &[&str], out: &str| {
        let mut command = expllm();
        command.args(["cot", "merge"]);
        command.args(inputs.iter().map(|name| at(name)));
        command.arg("--out").arg(at(out)).output().unwrap()
    };
    let output = merge(&["one.json", "two.json"], "all.json");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("4 records in"), "{text}");
    assert!(text.contains("one.json: \"c.jpg\" was rejected: line 1: unknown expression"));
    let names = |file: &str| -> Vec<String> {
        let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(at(file)).unwrap()).unwrap();
        let name = |row: &Value| row["file_name"].as_str().unwrap().to_owned();
        rows.iter().map(name).collect()
    };
    assert_eq!(names("all.json"), ["a.jpg", "b.jpg", "d.jpg", "e.jpg"]);
    // A face in two files is an error, and no half file takes the place of the last one.
    let output = merge(&["one.json", "same.json"], "all.json");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("\"b.jpg\") is in two of the inputs"));
    assert_eq!(names("all.json").len(), 4);
    assert!(!at("all.json.part").exists());
}

#[test]
fn two_data_sets_over_the_same_faces_stand_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    surprises(&at("in.jsonl"), 6);
    assert!(
        build(&at("in.jsonl"), &at("a.jsonl"), &[])
            .status()
            .unwrap()
            .success()
    );
    let other = |index: usize| {
        let label = if index == 5 { "Fear" } else { "Surprise" };
        json!({"file_name": format!("{index}.jpg"), "emo": label, "description": "Only this."})
    };
    let rows: Vec<_> = (3..9).map(|index| other(index).to_string()).collect();
    std::fs::write(at("b.jsonl"), rows.join("\n")).unwrap();
    let output = expllm()
        .args(["cot", "compare", "--examples", "2"])
        .args([at("a.jsonl"), at("b.jsonl")])
        .output()
        .unwrap();
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("3 faces in both, 2 with the same label"),
        "{text}"
    );
    assert_eq!(text.matches("=== ").count(), 2);
    let first = text.split("=== 3.jpg").nth(1).unwrap();
    let (a, b) = first.split_once("--- B (Surprise)\nOnly this.").unwrap();
    assert!(a.contains("--- A (Surprise)\n**Key Observations:**"), "{a}");
    assert!(b.contains("=== 4.jpg"));
    let row = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    let figures = |name: &str| -> Vec<String> {
        row(name)[22..]
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(figures("records"), ["6", "6"]);
    assert_eq!(figures("parsed"), ["6", "0"]);
}

#[test]
fn a_table_of_another_tool_is_built_from() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let table = "frame, success, AU05_r, AU12_r, AU26_r, emo\r\n\
                 1, 1, 3.5, 0.0, 4.0, Surprise\r\n2, 0, 0, 0, 0, Surprise\r\n";
    std::fs::write(at("clip.csv"), table).unwrap();
    let built = build(&at("clip.csv"), &at("out.jsonl"), &["--writer", "composer"]);
    let output = { built }.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let built = records(&at("out.jsonl"));
    assert_eq!(
        (&built[0]["file_name"], &built[0]["status"]),
        (&json!("clip#1"), &json!("checked"))
    );
    assert_eq!(built[0]["au"]["jaw_drop"], json!(0.8));
    assert_eq!(built[0]["au"].get("cheek_puff"), None);
    assert_eq!(built[1]["status"], "rejected");
    assert!(built[1]["error"].as_str().unwrap().contains("no face"));
}
