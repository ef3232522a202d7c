//! Rows and images that cannot be used, and units that are read from images.

use std::path::Path;

use serde_json::json;

use super::{build, records, said, surprises};

#[test]
fn bad_rows_are_named_with_file_and_line_and_nothing_else_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("images");
    std::fs::create_dir(&root).unwrap();
    for name in ["good.jpg", "late.jpg", "few.jpg", "far.jpg", "mood.jpg"] {
        std::fs::write(root.join(name), b"not looked at: units are given").unwrap();
    }
    let au = vec![0.3; 24];
    let mut lines: Vec<Vec<u8>> = [
        json!({"file_name": "good.jpg", "emo": "Fear", "au": au}),
        json!({"file_name": "gone.jpg", "emo": "Fear", "au": au}),
        json!({"file_name": "mood.jpg", "emo": "Ennui", "au": au}),
        json!({"file_name": "few.jpg", "emo": "Fear", "au": [0.3]}),
        json!({"file_name": "far.jpg", "emo": "Fear", "au": vec![7.0; 24]}),
        json!({"file_name": "good.jpg", "emo": "Fear", "au": au}),
        json!({"file_name": "../secret.jpg", "emo": "Fear", "au": au}),
        json!({"file_name": "/etc/hosts", "emo": "Fear", "au": au}),
    ]
    .iter()
    .map(|row| row.to_string().into_bytes())
    .collect();
    lines.push(b"{\"file_name\": \"\xff.jpg\", \"emo\": \"Fear\"}".to_vec());
    lines.push(
        json!({"file_name": "late.jpg", "emo": "Fear", "au": au})
            .to_string()
            .into_bytes(),
    );
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    std::fs::write(&input, lines.join(&b'\n')).unwrap();
    let output = build(&input, &out, &["--root", root.to_str().unwrap()])
        .output()
        .unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for (line, reason) in [
        (2, "no image \"gone.jpg\""),
        (3, "Ennui"),
        (4, "24 numbers, found 1"),
        (5, "from 0 to 1"),
        (6, "occurs twice"),
        (7, "leaves the image root"),
        (8, "leaves the image root"),
        (9, "not valid JSON"),
    ] {
        let named = format!("in.jsonl: line {line}: ");
        let found = text.lines().find(|l| l.contains(&named));
        assert!(
            found.is_some_and(|l| l.contains(reason)),
            "{named}{reason} in\n{text}"
        );
    }
    let records = records(&out);
    assert_eq!(records.len(), 10);
    let checked = |at: usize| records[at]["status"] == "checked";
    assert!(checked(0) && checked(9));
    let rejected = records.iter().filter(|r| r["status"] == "rejected");
    assert_eq!(rejected.count(), 8);
}

#[cfg(unix)]
#[test]
fn links_out_of_the_image_root_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("images");
    std::fs::create_dir(&root).unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 1);
    std::os::unix::fs::symlink(&input, root.join("0.jpg")).unwrap();
    let output = build(&input, &out, &["--root", root.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(
        said(&output).contains("leaves the image root"),
        "{}",
        said(&output)
    );
}

#[test]
fn units_that_a_record_lacks_are_read_from_its_image() {
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos");
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    let row = json!({"file_name": "astronaut.png", "emo": "Happiness"});
    std::fs::write(&input, row.to_string()).unwrap();
    let output = build(&input, &out, &[]).output().unwrap();
    assert!(
        said(&output).contains("line 1: no au values"),
        "{}",
        said(&output)
    );
    std::fs::remove_file(&out).unwrap();
    let output = build(&input, &out, &["--root", photos.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let record = &records(&out)[0];
    assert_eq!(record["au"].as_object().unwrap().len(), 35);
    let text = record["description"].as_str().unwrap();
    assert!(text.contains("corner"), "{text}");
}

#[test]
fn a_limit_ends_a_run_and_a_higher_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("o.jsonl"),
    );
    surprises(&input, 20);
    for (limit, finished) in [("5", 5), ("3", 5), ("5", 5), ("8", 8), ("100", 20)] {
        let output = build(&input, &out, &["--limit", limit]).output().unwrap();
        let text = said(&output);
        assert!(output.status.success(), "{limit}: {text}");
        assert_eq!(records(&out).len(), finished, "{limit}");
        let idle = text.contains("nothing to do");
        assert_eq!(
            idle,
            ["3", "5"].contains(&limit) && !text.contains("5 records written")
        );
    }
}
