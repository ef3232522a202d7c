//! `expllm synth` as its users run it.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // Helpers of tests.

use std::path::PathBuf;
use std::process::{Command, Output};

fn synth(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_expllm"))
        .arg("synth")
        .args(arguments)
        .output()
        .unwrap()
}

/// The real kit, or a note that the test was skipped.
fn kit() -> Option<PathBuf> {
    expllm_testing::shared("data/ict_facekit.safetensors")
}

#[test]
fn wrong_usage_and_unusable_kits_have_their_own_status() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("kit.safetensors");
    std::fs::write(&broken, [7u8; 100]).unwrap();
    let broken = broken.to_str().unwrap();
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let nowhere = synth(&["--facekit", broken, "--count", "3"]);
    assert_eq!(nowhere.status.code(), Some(2));
    let none = synth(&["--facekit", broken, "--count", "0", "--out", out]);
    assert_eq!(none.status.code(), Some(2));
    let unusable = synth(&["--facekit", broken, "--count", "3", "--out", out]);
    assert_eq!(unusable.status.code(), Some(1));
    let message = String::from_utf8(unusable.stderr).unwrap();
    assert!(message.contains("not a usable face kit"), "{message}");
}

#[test]
fn a_series_is_written_with_labels_and_is_the_same_again() {
    let Some(kit) = kit() else { return };
    let kit = kit.to_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, count: &str| {
        let out = dir.path().join(name);
        let run = synth(&[
            "--facekit",
            kit,
            "--count",
            count,
            "--size",
            "64",
            "--seed",
            "5",
            "--out",
            out.to_str().unwrap(),
        ]);
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        out
    };
    let (short, long) = (run("short", "3"), run("long", "5"));
    for name in ["000000.png", "000002.png"] {
        assert_eq!(
            std::fs::read(short.join(name)).unwrap(),
            std::fs::read(long.join(name)).unwrap()
        );
    }
    let labels = std::fs::read_to_string(long.join("labels.csv")).unwrap();
    let rows: Vec<&str> = labels.lines().collect();
    assert_eq!(rows.len(), 6);
    assert!(rows[0].starts_with("file,identity,left_eye_close,right_eye_close,"));
    assert!(rows[0].ends_with(",nose_wrinkle,pitch,yaw,roll"));
    let landmarks = std::fs::read_to_string(long.join("landmarks.csv")).unwrap();
    for row in landmarks.lines() {
        assert_eq!(row.split(',').count(), 1 + 2 * 68);
    }
}

#[test]
fn interventions_name_every_movement_and_expression() {
    let Some(kit) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_expllm"))
        .args(["eval", "--people", "2", "--classes", "7", "--intervene"])
        .arg(kit)
        .arg("--out")
        .arg(dir.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let text = std::fs::read_to_string(dir.path().join("interventions.json")).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
    let movements = figures["movements"].as_array().unwrap();
    let jaw = movements
        .iter()
        .find(|row| row["movement"] == "jaw")
        .unwrap();
    assert_eq!(
        (&jaw["told"]["n"], &jaw["units"][0]),
        (&2.into(), &"jaw_drop".into())
    );
    // Whoever smiles already cannot begin to.
    let corners = movements.iter().find(|row| row["movement"] == "corners");
    assert_eq!(corners.unwrap()["told"]["n"], 1);
    assert_eq!(figures["labels"].as_array().unwrap().len(), 6);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("brows_down") && printed.contains("happiness"),
        "{printed}"
    );
}
