//! `expllm eval`, `score` and `compare` as their users run them.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{checkpoint, tokenizer};
use serde_json::Value;

const FOUR_FILES: [&str; 4] = [
    "result_all.json",
    "metrics.json",
    "predictions.csv",
    "report.html",
];

/// A data set in the layout `folder`: parts of the astronaut's face, one file that is no image.
fn dataset(root: &Path) -> PathBuf {
    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png");
    let photo = image::open(photo).unwrap();
    let folder = root.join("data");
    for (at, class) in ["happiness", "neutral", "happiness", "fear"]
        .iter()
        .enumerate()
    {
        let shift = 6 * at as u32;
        let face = photo.crop_imm(150 + shift, 40 + shift, 150, 150);
        std::fs::create_dir_all(folder.join(class)).unwrap();
        face.to_rgb8()
            .save(folder.join(class).join(format!("{at}.png")))
            .unwrap();
    }
    std::fs::create_dir_all(folder.join("confused")).unwrap();
    std::fs::copy(folder.join("fear/3.png"), folder.join("confused/5.png")).unwrap();
    std::fs::write(folder.join("fear/6.png"), "no image").unwrap();
    folder
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_expllm"));
    command.args(arguments).output().unwrap()
}

/// Evaluates the data set with these further arguments.
fn eval(data: &Path, out: &Path, arguments: &[&str]) -> Output {
    let data = data.to_str().unwrap();
    let mut all = vec![
        "eval",
        "--dataset",
        "folder",
        "--root",
        data,
        "--classes",
        "7",
    ];
    all.extend(["--out", out.to_str().unwrap()]);
    all.extend(arguments);
    run(&all)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn assert_estimate(metrics: &Value, name: &str) {
    let figure = &metrics[name];
    for key in ["value", "low", "high", "n"] {
        assert!(figure[key].is_number(), "{name}.{key}: {figure}");
    }
}

#[test]
fn the_default_stage_writes_four_files_and_names_what_it_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dataset(dir.path()), dir.path().join("out"));
    let output = eval(&data, &out, &["--cropped"]);
    // One image is broken.
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    for file in FOUR_FILES {
        assert!(out.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let metrics = json(&out.join("metrics.json"));
    assert_eq!(
        (&metrics["n"], &metrics["failed"], &metrics["skipped"]),
        (&5.into(), &1.into(), &1.into())
    );
    for name in [
        "accuracy",
        "uar",
        "macro_f1",
        "ece",
        "chain_parsed",
        "label_in_conclusion",
    ] {
        assert_estimate(&metrics, name);
    }
    assert_eq!(metrics["chain_parsed"]["value"], 1.0);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("unknown label") && page.contains("is not a JPEG"));
    let table = std::fs::read_to_string(out.join("predictions.csv")).unwrap();
    assert!(table.starts_with("id,subject,truth,answer,error,neutral,"));
    assert!(table.lines().next().unwrap().ends_with(",lip_press,chain"));

    // Its own predictions, graded again, give the same figures.
    let again = dir.path().join("again");
    let table = out.join("predictions.csv");
    let output = eval(&data, &again, &["--predictions", table.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let graded = json(&again.join("metrics.json"));
    for name in ["accuracy", "uar", "grounding_recall", "chain_parsed"] {
        assert_eq!(graded[name], metrics[name], "{name}");
    }

    // The grader of result_all.json agrees, and the table of the paper is printed beside it.
    let official = out.join("result_all.json");
    let scored = run(&[
        "score",
        "--classes",
        "7",
        official.to_str().unwrap(),
        official.to_str().unwrap(),
    ]);
    assert_eq!(scored.status.code(), Some(0), "{}", stderr(&scored));
    let scored = String::from_utf8(scored.stdout).unwrap();
    let accuracy = metrics["accuracy"]["value"].as_f64().unwrap();
    let row = |name: &str| -> Vec<String> {
        let line = scored.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    let value = format!("{accuracy:.4}");
    assert_eq!(
        row("strict_accuracy")[1..],
        [value.clone(), value],
        "{scored}"
    );
    assert_eq!(row("mcnemar_p")[4], "1.0000", "{scored}");
    assert_eq!(row("images that the first has too")[6], "5", "{scored}");
    let ours = format!("rafdb={}", out.display());
    let compared = run(&["compare", &ours]);
    assert_eq!(compared.status.code(), Some(0));
    let compared = String::from_utf8(compared.stdout).unwrap();
    let mut lines = compared
        .lines()
        .skip_while(|line| !line.starts_with("rafdb"));
    assert!(lines.next().unwrap().contains("0.9103"), "{compared}");
    let ours = lines.find(|line| line.contains(" ours ")).unwrap();
    assert!(
        ours.starts_with("rafdb") && ours.contains(&format!("{accuracy:.4}")),
        "{ours}"
    );
}

#[test]
fn a_language_model_is_judged_in_both_orders_and_a_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let data = dataset(dir.path());
    let model = checkpoint(dir.path(), Some(tokenizer()));
    let model = model.to_str().unwrap();
    for mode in ["label-first", "chain-first"] {
        let out = dir.path().join(mode);
        let arguments = [
            "--cropped",
            "--stage",
            "expllm",
            "--model",
            model,
            "--mode",
            mode,
        ];
        let output = eval(&data, &out, &arguments);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let metrics = json(&out.join("metrics.json"));
        assert_eq!((&metrics["n"], &metrics["failed"]), (&5.into(), &1.into()));
        for name in ["accuracy", "ece", "chain_parsed"] {
            assert_estimate(&metrics, name);
        }
        // Random weights write no chains.
        assert_eq!(metrics["chain_parsed"]["value"], 0.0);
        let journal = out.join("predictions.jsonl");
        let whole = std::fs::read_to_string(&journal).unwrap();
        let rows: Vec<Value> = whole
            .lines()
            .skip(1)
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert!(
            rows[0]["chain"].is_string() && rows[0]["units"].is_object(),
            "{}",
            rows[0]
        );

        // Stopped within a line: the rest is predicted again, to the same figures.
        let cut: usize = whole.lines().take(3).map(|line| line.len() + 1).sum();
        std::fs::write(&journal, &whole[..cut + 20]).unwrap();
        let output = eval(&data, &out, &arguments);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert_eq!(json(&out.join("metrics.json")), metrics);
        // Another setup does not go on with these predictions.
        let other = [&arguments[..], &["--view", "whole"]].concat();
        let refused = eval(&data, &out, &other);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains("holds another run"));
    }
    let out = dir.path().join("whole");
    let arguments = [
        "--cropped",
        "--stage",
        "expllm",
        "--model",
        model,
        "--view",
        "whole",
    ];
    let output = eval(&data, &out, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("looking at the whole crop"));
}

#[test]
fn unusable_inputs_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dataset(dir.path()), dir.path().join("out"));
    let predictions = dir.path().join("p.csv");
    let predictions = predictions.to_str().unwrap();
    let graded = |text: &str| {
        std::fs::write(predictions, text).unwrap();
        let output = eval(&data, &out, &["--predictions", predictions]);
        (output.status.code(), stderr(&output))
    };
    let (status, errors) = graded("file,answer\nx,Fear\n");
    assert!(
        status == Some(2) && errors.contains("needs the column `id`"),
        "{errors}"
    );
    let (status, errors) = graded("id,answer\nfear/3.png,Fear\nfear/3.png,Anger\n");
    assert!(
        status == Some(2) && errors.contains("more than once"),
        "{errors}"
    );
    // Strangers, records without a prediction, odd answers: counted and shown.
    let (status, _) = graded(
        "id,answer\nfear/3.png,Fear\nneutral/1.png,Joyous\nhappiness/0.png,Contempt\nstranger.png,Fear\n",
    );
    assert_eq!(status, Some(1));
    let metrics = json(&out.join("metrics.json"));
    assert_eq!(
        (&metrics["n"], &metrics["failed"], &metrics["skipped"]),
        (&5.into(), &4.into(), &2.into())
    );
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for reason in [
        "Joyous",
        "Contempt is outside the 7 classes",
        "no prediction in the file",
        "stranger.png",
    ] {
        assert!(page.contains(reason), "{reason}");
    }

    let nowhere = dir.path().join("nowhere");
    let missing = eval(&nowhere, &out, &[]);
    assert!(missing.status.code() == Some(1) && stderr(&missing).contains("nowhere"));
    let unknown = run(&["eval", "--dataset", "ferret", "--root", "x", "--out", "y"]);
    assert!(unknown.status.code() == Some(2) && stderr(&unknown).contains("ferret"));
    let broken = eval(
        &data,
        &out,
        &["--stage", "expllm", "--model", data.to_str().unwrap()],
    );
    assert!(
        broken.status.code() == Some(1) && stderr(&broken).contains("config.json"),
        "{}",
        stderr(&broken)
    );
}

#[test]
fn tables_of_other_tools_are_graded_against_coders() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let labels = write(
        "disfa.csv",
        "image,AU1,AU12,AU26\na.jpg,0,5,0\nb.jpg,3,2,0\nc.jpg,0,0,0\nd.jpg,0,0,0\n",
    );
    let openface = write(
        "openface.csv",
        "image,AU12_r,AU26_r\na.jpg,4,0\nb.jpg,1,0\nc.jpg,3,5\ne.jpg,5,5\n",
    );
    let scored = run(&[
        "score",
        "--labels",
        &labels,
        "--label-threshold",
        "2",
        &openface,
    ]);
    let text = String::from_utf8(scored.stdout.clone()).unwrap();
    assert_eq!(scored.status.code(), Some(0), "{text}{}", stderr(&scored));
    let row = |name: &str| -> Vec<&str> {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect()
    };
    // Of a, b and c: one found, one missed, one found for nothing.
    assert_eq!(row("AU12")[1..6], ["3", "2", "2", "0.5000", "0.3333"]);
    assert_eq!(row("AU26")[1..6], ["3", "0", "1", "0.0000", "0.6667"]);
    for part in [
        "3 images with labels, 1 without, 1 labels without a row",
        "found from 0.5 of the scale, there from grade 2",
        "mean f1 over 2 units (AU12, AU26): 0.2500",
        "with the missing units (AU1) as 0: 0.1667",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let none = write("none.csv", "image,emo\na.jpg,Fear\n");
    let refused = run(&["score", "--labels", &labels, &none]);
    assert_ne!(refused.status.code(), Some(0));
    assert!(
        stderr(&refused).contains("libreface"),
        "{}",
        stderr(&refused)
    );
}
