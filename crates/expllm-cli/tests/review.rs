//! `expllm review`: from a photo to a sheet, and from filled forms to figures.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::path::Path;
use std::process::{Command, Output};

fn review(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_expllm"))
        .arg("review")
        .args(arguments)
        .arg(folder)
        .output()
        .unwrap()
}

#[test]
fn a_photo_becomes_a_sheet_and_forms_become_figures() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sheets");
    let photo = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/photos/astronaut.png"
    );
    let written = review(&["write", photo, "--out"], &folder);
    assert_eq!(written.status.code(), Some(0), "{written:?}");
    let sheets = std::fs::read_to_string(folder.join("sheets.md")).unwrap();
    assert!(
        sheets.contains("![face](face_001.png)\n\n**Key Observations:**"),
        "{sheets}"
    );
    let picture = image::open(folder.join("face_001.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (320, 320));

    let empty = review(&["count"], &folder);
    assert_eq!(empty.status.code(), Some(2), "{empty:?}");
    let form = std::fs::read_to_string(folder.join("form.csv")).unwrap();
    for (name, answers) in [("form1.csv", "1,4,4,0,5"), ("form2.csv", "1,4,3,1,4")] {
        std::fs::write(folder.join(name), form.replace("1,,,,", answers)).unwrap();
    }
    let counted = review(&["count"], &folder);
    let text = String::from_utf8(counted.stdout).unwrap();
    assert!(
        text.starts_with("1 faces, 2 readers\nstatements that are true\t0.875"),
        "{text}"
    );
    assert!(text.contains("points of 5\t4.500"), "{text}");

    // What readers wrote is not written over.
    let again = review(&["write", photo, "--out"], &folder);
    assert_ne!(again.status.code(), Some(0));
    assert!(folder.join("form2.csv").exists());
}
