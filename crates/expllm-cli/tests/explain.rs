//! `expllm analyze --model` as a user runs it, with a small checkpoint of random weights.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{checkpoint, tokenizer};
use expllm::au::FaceReader;
use expllm::core::{
    ExplainQuestion, ExplainRequest, Explainer, Explanation, Expression, ExpressionSet,
};
use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm::face::PhotoReader;
use serde_json::Value;

fn astronaut() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png")
}

fn analyze(model: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_expllm"))
        .args(["analyze", "--cropped", "--model"])
        .arg(model)
        .args(arguments)
        .arg(astronaut())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What the library says of the whole photo as one face.
fn expected(model: &Path, question: ExplainQuestion) -> Explanation {
    let photo = PhotoReader::default().read(astronaut()).unwrap();
    let reader = FaceReader::pretrained().unwrap();
    let face = reader.read_crop(&photo).unwrap();
    let source = ModelSource::Folder(model.to_path_buf());
    let explainer = source.load(&ExplainerOptions::default()).unwrap();
    let asked = ExplainRequest::of_reading(&face, question, ExpressionSet::Eight);
    let asked = reader.with_pixels(asked, (&photo, &face), explainer.crop_side());
    explainer.explain_all(&[asked.unwrap()]).unwrap().remove(0)
}

#[test]
fn the_program_says_what_the_library_says_in_every_mode_and_format() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path(), Some(tokenizer()));
    for (arguments, question) in [
        (&[][..], ExplainQuestion::LabelFirst),
        (&["--mode", "chain-first"], ExplainQuestion::ChainFirst),
        (
            &["--label", "Fear"],
            ExplainQuestion::Given(Expression::Fear),
        ),
    ] {
        let expected = expected(&model, question);
        let with = |more: &[&str]| analyze(&model, &[arguments, more].concat());
        let rows: Value = serde_json::from_str(&stdout(&with(&["--format", "json"]))).unwrap();
        let chain = &rows[0]["chain"];
        assert_eq!(chain["text"], expected.text.as_str());
        assert!(!expected.text.is_empty());
        // Random weights write no chain of thought, and the row says so.
        assert!(
            chain["error"]
                .as_str()
                .unwrap()
                .contains("Key Observations")
        );
        assert_eq!(rows[0]["action_units"].as_object().unwrap().len(), 35);
        assert_eq!(
            rows[0]["expression"],
            expected.expression.unwrap().snake_case()
        );
        match &expected.probabilities {
            Some(probabilities) => {
                for expression in Expression::ALL {
                    let found = rows[0]["probabilities"][expression.snake_case()]
                        .as_f64()
                        .unwrap();
                    let wanted = f64::from(probabilities.get(expression).get());
                    assert!((found - wanted).abs() < 1e-6, "{expression}");
                }
            }
            None => assert!(rows[0]["probabilities"].is_null()),
        }
        // The same lines come while the text is written, in the order in which they are known.
        let sorted = |text: String| {
            let mut lines: Vec<_> = text.lines().map(str::trim_end).collect();
            lines.retain(|line| !line.is_empty());
            lines.sort_unstable();
            lines.join("\n")
        };
        let whole = stdout(&with(&[]));
        let streamed = stdout(&with(&["--stream"]));
        let unmarked = streamed.replace(" [not supported]", "");
        assert_eq!(sorted(unmarked), sorted(whole));
        let place = |word: &str| streamed.find(word).unwrap();
        let remark = place("(no Key Observations part");
        match question {
            ExplainQuestion::LabelFirst => assert!(place("expression:") < remark),
            _ => assert!(place("expression:") > place("action units:")),
        }
        let page = stdout(&with(&["--format", "html"]));
        assert!(page.contains("class=\"loose\"") && page.ends_with("</html>\n"));
    }
}

#[test]
fn packed_weights_of_any_format_give_nearly_the_same_probabilities() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path(), Some(tokenizer()));
    let probabilities = |arguments: &[&str]| -> Vec<f64> {
        let output = analyze(&model, &[&["--format", "json"], arguments].concat());
        let rows: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let share = |e: Expression| rows[0]["probabilities"][e.snake_case()].as_f64().unwrap();
        Expression::ALL.into_iter().map(share).collect()
    };
    let plain = probabilities(&["--dtype", "f32"]);
    for (format, bound) in [("f16", 1e-3), ("bf16", 0.02), ("q8", 0.02), ("q4", 0.2)] {
        for (found, wanted) in probabilities(&["--dtype", format]).iter().zip(&plain) {
            assert!((found - wanted).abs() < bound, "{format}: {found} {wanted}");
        }
    }
}

#[test]
fn the_shipped_model_answers_and_its_claims_are_held_against_the_readings() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_expllm"));
        command.arg("analyze").args(arguments).arg(astronaut());
        stdout(&command.output().unwrap())
    };
    let shipped = |arguments: &[&str]| run(&[&["--stage", "expllm"], arguments].concat());
    let rows: Value = serde_json::from_str(&shipped(&["--format", "json"])).unwrap();
    let chain = &rows[0]["chain"];
    let label = rows[0]["expression"].as_str().unwrap();
    assert!(
        chain["conclusion"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains(label)
    );
    let grounding = &rows[0]["grounding"];
    assert!((0.0..=1.0).contains(&grounding["precision"].as_f64().unwrap()));
    assert!(grounding["unsupported"].is_array());
    let text = shipped(&[]);
    assert!(
        text.contains("grounding: ") && text.contains("action units:"),
        "{text}"
    );
    let chain_first = shipped(&["--mode", "chain-first"]);
    assert!(chain_first.contains("**Conclusion:**"), "{chain_first}");
    // The composer names what was read and nothing else.
    let rows = run(&["--stage", "composer", "--format", "json"]);
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows[0]["grounding"]["precision"], 1.0);
    assert_eq!(
        rows[0]["grounding"]["unsupported"],
        Value::Array(Vec::new())
    );
}

#[test]
fn seven_classes_leave_contempt_out() {
    let dir = tempfile::tempdir().unwrap();
    let model = checkpoint(dir.path(), Some(tokenizer()));
    let output = analyze(&model, &["--classes", "7", "--format", "json"]);
    let rows: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(rows[0]["probabilities"]["contempt"], 0.0);
    let output = analyze(&model, &["--classes", "7", "--label", "Contempt"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |model: &Path, arguments: &[&str], status: i32, word: &str| {
        let output = analyze(model, arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{message}");
        assert!(message.contains(word), "{message}");
    };
    let bare = checkpoint(dir.path(), None);
    refused(&bare, &[], 1, "tokenizer");
    refused(&dir.path().join("none"), &[], 1, "config.json");
    refused(&bare, &["--stage", "composer"], 2, "--model");
    refused(&bare, &["--stream", "--format", "json"], 2, "--stream");
    refused(&bare, &["--draws", "33"], 2, "--draws");
    refused(
        &bare,
        &["--mode", "label-first", "--label", "Fear"],
        2,
        "--mode",
    );
    let program = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_expllm"));
        command.arg("analyze").args(arguments).arg(astronaut());
        command.output().unwrap().status.code()
    };
    for unused in [["--mode", "chain-first"], ["--draws", "3"]] {
        assert_eq!(
            program(&[&["--stage", "composer"][..], &unused].concat()),
            Some(2)
        );
    }
}

#[test]
fn the_composer_explains_a_given_label_and_streams() {
    let output = Command::new(env!("CARGO_BIN_EXE_expllm"))
        .args([
            "analyze", "--stage", "composer", "--stream", "--label", "Sadness",
        ])
        .arg(astronaut())
        .output()
        .unwrap();
    let text = stdout(&output);
    assert!(text.contains("expression: Sadness (given)"), "{text}");
    let conclusion = text.split("**Conclusion:**").nth(1).unwrap();
    assert!(conclusion.to_lowercase().contains("sad"), "{text}");
}
