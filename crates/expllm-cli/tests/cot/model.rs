//! `--writer model`: the project's own language model, with random weights, so that every text
//! fails the checks.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use super::common::{checkpoint, tokenizer};
use super::{astronaut, build, expllm, journal, records, said};

/// A folder with images, annotations and a checkpoint named `checkpoint`.
struct Setting {
    folder: tempfile::TempDir,
    model: PathBuf,
}

impl Setting {
    fn new(rows: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = checkpoint(folder.path(), Some(tokenizer()));
        for name in ["a.png", "b.png", "c.png"] {
            std::fs::copy(astronaut(), folder.path().join(name)).unwrap();
        }
        image::RgbImage::from_pixel(96, 96, image::Rgb([90; 3]))
            .save(folder.path().join("grey.png"))
            .unwrap();
        let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
        std::fs::write(folder.path().join("in.jsonl"), lines.join("\n")).unwrap();
        Self { folder, model }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, out: &str, more: &[&str]) -> Output {
        build(&self.at("in.jsonl"), &self.at(out), &["--writer", "model"])
            .arg("--root")
            .arg(self.folder.path())
            .arg("--model")
            .arg(&self.model)
            .args(more)
            .output()
            .unwrap()
    }
}

fn faces() -> Vec<Value> {
    let mut au = [0.0; 24];
    au[8] = 0.9;
    vec![
        json!({"file_name": "a.png", "emo": "Surprise", "au": au}),
        json!({"file_name": "grey.png", "emo": "Fear"}),
        json!({"file_name": "b.png", "emo": "Happiness"}),
        json!({"file_name": "gone.png", "emo": "Fear", "au": au}),
        json!({"file_name": "c.png", "emo": "Sadness", "au": au}),
    ]
}

fn graded(path: &Path) -> Value {
    let output = expllm()
        .args(["cot", "check", "--json"])
        .arg(path)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn texts_that_fail_give_way_to_the_composer_and_nothing_is_lost() {
    let setting = Setting::new(&faces());
    let output = setting.run("o.jsonl", &[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("line 2: \"grey.png\": no face found"),
        "{text}"
    );
    assert!(text.contains("line 4: no image \"gone.png\""), "{text}");
    let found = records(&setting.at("o.jsonl"));
    assert_eq!(found.len(), 5);
    for (index, (record, wanted)) in found.iter().zip(faces()).enumerate() {
        assert_eq!(record["index"], index);
        assert_eq!(record["file_name"], wanted["file_name"]);
        if [1, 3].contains(&index) {
            assert_eq!(record["status"], "rejected");
            continue;
        }
        // The text is the composer's; what was asked and what was wrong with it stands beside.
        assert_eq!(record["status"], "composed", "{record}");
        assert_eq!(record["writer"], "composer");
        assert_eq!(record["model"], "checkpoint");
        assert_eq!(record["attempts"], 1, "a greedy model is asked once");
        assert!(record["findings"].to_string().contains("parts"), "{record}");
        assert_eq!(record["emo"], wanted["emo"]);
        // Units of the record are a list as they came, units read from the image have names.
        let au = &record["au"];
        let named = || au.as_object().unwrap().len();
        let count = au.as_array().map_or_else(named, |list| list.len());
        assert!([24, 35].contains(&count), "{record}");
    }
    let grade = graded(&setting.at("o.jsonl"));
    assert_eq!((&grade["parsed"], &grade["bad"]), (&json!(3), &json!(2)));
    assert_eq!(grade["grounding_precision"], 1.0);
    assert_eq!(grade["label_in_conclusion"], 1.0);
}

#[test]
fn a_model_that_samples_is_asked_again_with_other_seeds() {
    let face = |name: &str| json!({"file_name": name, "emo": "Surprise"});
    let setting = Setting::new(&["a.png", "b.png", "c.png"].map(face));
    // One token each: longer texts of random bytes are no UTF-8, and all look alike.
    let sampling = [
        ["--temperature", "50"],
        ["--max-tokens", "1"],
        ["--on-failure", "set-aside"],
    ];
    let written = |out: &str, more: &[&str]| {
        let output = setting.run(out, &[sampling.as_flattened(), more].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        records(&setting.at(out))
    };
    let attempts = |records: &[Value], wanted: u32| {
        records
            .iter()
            .for_each(|r| assert_eq!(r["attempts"], wanted));
    };
    let texts = |records: &[Value]| -> Vec<Value> {
        records.iter().map(|r| r["description"].clone()).collect()
    };
    let once = written("once.jsonl", &["--repairs", "0"]);
    let thrice = written("thrice.jsonl", &["--repairs", "2"]);
    attempts(&once, 1);
    attempts(&thrice, 3);
    assert_ne!(texts(&once), texts(&thrice));
    // The same seed, the same text.
    assert_eq!(written("again.jsonl", &["--repairs", "2"]), thrice);
    let other = written("other.jsonl", &["--repairs", "2", "--seed", "7"]);
    assert_ne!(texts(&other), texts(&thrice));
}

#[test]
fn what_is_set_aside_is_what_the_model_said() {
    let setting = Setting::new(&faces()[2..3]);
    let output = setting.run("o.jsonl", &["--on-failure", "set-aside", "--cropped"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let record = records(&setting.at("o.jsonl")).remove(0);
    assert_eq!(
        (&record["status"], &record["writer"]),
        (&"set_aside".into(), &"model".into())
    );
    let output = expllm()
        .args(["analyze", "--cropped", "--format", "json", "--label"])
        .args(["Happiness", "--model"])
        .arg(&setting.model)
        .arg(setting.at("b.png"))
        .output()
        .unwrap();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["description"], rows[0]["chain"]["text"]);
    // It has no place in training data, and is graded as such.
    assert_eq!(graded(&setting.at("o.jsonl"))["set_aside"], 1);
    let output = expllm()
        .args(["cot", "merge"])
        .arg(setting.at("o.jsonl"))
        .arg("--out")
        .arg(setting.at("m.json"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("0 records in"), "{text}");
    assert!(text.contains("\"b.png\" was set aside"), "{text}");
    assert_eq!(std::fs::read(setting.at("m.json")).unwrap(), b"[\n]\n");
}

#[test]
fn a_run_goes_on_where_it_was_stopped() {
    let setting = Setting::new(&faces());
    let whole = setting.run("whole.jsonl", &[]);
    assert_eq!(whole.status.code(), Some(1));
    setting.run("parts.jsonl", &["--limit", "2"]);
    let parts = setting.at("parts.jsonl");
    let mut text = std::fs::read_to_string(&parts).unwrap();
    assert_eq!(text.lines().count(), 2);
    text.push_str("{\"index\":2,\"file_na");
    std::fs::write(&parts, text).unwrap();
    setting.run("parts.jsonl", &[]);
    let read = |path| std::fs::read(path).unwrap();
    assert!(read(parts) == read(setting.at("whole.jsonl")));
}

#[test]
fn what_a_model_needs_is_said() {
    let setting = Setting::new(&faces());
    let writer = ["--writer", "model"];
    let out = setting.at("o.jsonl");
    let without = build(&setting.at("in.jsonl"), &out, &writer)
        .output()
        .unwrap();
    assert_eq!(without.status.code(), Some(2));
    let text = said(&without);
    assert!(
        text.contains("--model DIR") && text.contains("--root DIR"),
        "{text}"
    );
    let wrong = build(&setting.at("in.jsonl"), &out, &writer)
        .arg("--root")
        .arg(setting.folder.path())
        .args(["--model", "/no/such/folder"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said(&wrong).contains("/no/such/folder"), "{}", said(&wrong));
    assert!(!out.exists() && !journal(&out).exists());
}
