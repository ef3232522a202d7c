//! `expllm analyze` and `expllm au` as a user runs them.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn astronaut() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png")
}

fn expllm(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_expllm"))
        .args(arguments)
        .args(paths)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A grey photo of the size of a BMP file, without faces.
fn blank(path: &Path) {
    image::RgbImage::from_pixel(90, 70, image::Rgb([120; 3]))
        .save(path)
        .unwrap();
}

#[test]
fn the_astronaut_as_text_json_and_table() {
    let photo = astronaut();
    let output = expllm(&["analyze"], &[&photo]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(
        text.contains("face 1:") && text.contains("**Key Observations:**"),
        "{text}"
    );

    let output = expllm(&["analyze", "--format", "json"], &[&photo]);
    let rows: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let face = &rows[0];
    assert_eq!(face["face"], 0);
    assert_eq!(face["action_units"].as_object().unwrap().len(), 35);
    assert_eq!(face["probabilities"].as_object().unwrap().len(), 8);
    assert!(face["box"]["width"].as_f64().unwrap() > 50.0);
    assert!(face["head_pose"]["yaw"].is_number());
    let chain = face["chain"].as_object().unwrap();
    for part in ["key_observations", "interpretation", "conclusion", "text"] {
        assert!(!chain[part].as_str().unwrap().is_empty(), "{part}");
    }
    let label = face["expression"].as_str().unwrap();
    assert!(
        face["chain"]["conclusion"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains(label)
    );

    let output = expllm(&["au"], &[&photo]);
    let table = stdout(&output);
    let header = table.lines().next().unwrap();
    assert!(header.starts_with("file,face,x,y,width,height,score,left_eye_close,right_eye_close,"));
    assert!(header.ends_with(
        ",lip_press,neutral,happiness,sadness,surprise,fear,disgust,anger,contempt,\
         pitch,yaw,roll,confidence,error"
    ));
    assert_eq!(table.lines().count(), 2);
    assert_eq!(header.split(',').count(), 55);
}

#[test]
fn one_bad_file_stops_nothing_and_order_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("a_text.png"), "not an image").unwrap();
    std::fs::write(at("b_empty.jpg"), "").unwrap();
    blank(&at("c_blank.png"));
    let bytes = std::fs::read(astronaut()).unwrap();
    std::fs::write(at("d_cut.png"), &bytes[..bytes.len() / 3]).unwrap();
    std::fs::write(at("e_good.png"), &bytes).unwrap();
    std::fs::write(at("notes.txt"), "no photo").unwrap();

    let output = expllm(&["analyze", "--format", "jsonl"], &[folder.path()]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    let rows: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let names: Vec<_> = rows
        .iter()
        .map(|r| r["file"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 5);
    assert!(names.is_sorted());
    let errors: Vec<bool> = rows.iter().map(|r| r["error"].is_string()).collect();
    assert_eq!(errors, [true, true, false, true, false]);
    assert!(rows[2]["face"].is_null());
    assert_eq!(rows[4]["face"], 0);
}

#[test]
fn a_crop_is_one_face_and_annotated_photos_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rows.json");
    let drawn = folder.path().join("drawn");
    let photo = astronaut();
    let arguments = [
        "analyze",
        "--cropped",
        "--format",
        "json",
        "--out",
        out.to_str().unwrap(),
        "--annotate",
        drawn.to_str().unwrap(),
    ];
    let output = expllm(&arguments, &[&photo]);
    assert_eq!(output.status.code(), Some(0));
    let rows: Value = serde_json::from_str(&std::fs::read_to_string(out).unwrap()).unwrap();
    assert_eq!(rows[0]["box"]["width"], 512.0);
    assert_eq!(rows[0]["box"]["height"], 512.0);
    let annotated = image::open(drawn.join("astronaut.png")).unwrap();
    assert!(annotated.height() >= 512);
}

#[test]
fn html_is_one_page_with_a_picture() {
    let output = expllm(&["analyze", "--format", "html"], &[&astronaut()]);
    let page = stdout(&output);
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("src=\"data:image/jpeg;base64,/9j/"));
    assert!(!page.contains("src=\"http"));
}

#[cfg(unix)]
#[test]
fn a_folder_that_links_to_itself_ends() {
    let folder = tempfile::tempdir().unwrap();
    blank(&folder.path().join("blank.png"));
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    let output = expllm(&["au"], &[folder.path()]);
    assert_eq!(output.status.code(), Some(1));
    let table = stdout(&output);
    assert_eq!(table.lines().count(), 3);
    assert!(table.contains("is a link back to"));
}

#[test]
fn wrong_usage_and_missing_files() {
    assert_eq!(expllm(&["analyze"], &[]).status.code(), Some(2));
    let output = expllm(&["au", "--format", "xml"], &[&astronaut()]);
    assert_eq!(output.status.code(), Some(2));
    let output = expllm(&["au"], &[Path::new("none/such.png")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("none/such.png: cannot be read"));
}
