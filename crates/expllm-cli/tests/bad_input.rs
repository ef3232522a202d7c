//! Every bad input is a row or a message; nothing else is lost.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use image::{ImageFormat, RgbImage};

/// 16 x 16 pixels of ink, written with Pillow:
/// `Image.new("CMYK", (16, 16), (0, 200, 40, 10)).save("cmyk.jpg")`.
const CMYK: &[u8] = include_bytes!("data/cmyk.jpg");

fn astronaut() -> RgbImage {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png");
    image::open(path).unwrap().into_rgb8()
}

fn expllm(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_expllm"));
    let output = command.args(arguments).arg(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

/// Rows of `expllm au`, each as its columns by name.
fn rows(output: &Output) -> Vec<std::collections::HashMap<String, String>> {
    let mut reader = csv::Reader::from_reader(&output.stdout[..]);
    reader.deserialize().map(Result::unwrap).collect()
}

/// A PNG that is nothing but a header.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut picture = Cursor::new(Vec::new());
    RgbImage::new(1, 1)
        .write_to(&mut picture, ImageFormat::Png)
        .unwrap();
    let mut bytes = picture.into_inner();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & (0u32.wrapping_sub(sum & 1)))
        })
    })
}

#[test]
fn every_kind_of_bad_file_has_its_row_and_the_good_one_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let mut jpeg = Cursor::new(Vec::new());
    astronaut().write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    put("a_empty.jpg", b"");
    put("b_text.png", b"not an image");
    put("c_cut.jpg", &jpeg[..jpeg.len() / 2]);
    put("d_huge.png", &png_header(50_000, 50_000));
    put("e_cmyk.jpg", CMYK);
    RgbImage::new(1, 1)
        .save(dir.path().join("f_dot.png"))
        .unwrap();
    std::fs::create_dir(dir.path().join("g_folder.png")).unwrap();
    put("z_good.jpg", &jpeg);
    let expected = [
        ("a_empty.jpg", "is empty"),
        ("b_text.png", "is not a JPEG"),
        ("c_cut.jpg", "is damaged"),
        ("d_huge.png", "has 50000 x 50000 pixels"),
        ("e_cmyk.jpg", ""),
        ("f_dot.png", ""),
        ("z_good.jpg", ""),
    ];
    let output = expllm(&["au"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    let found = rows(&output);
    assert_eq!(found.len(), expected.len());
    for (row, (name, error)) in found.iter().zip(expected) {
        assert!(row["file"].ends_with(name), "{row:?}");
        assert!(row["error"].contains(error), "{name}: {}", row["error"]);
        assert_eq!(
            row["error"].is_empty(),
            error.is_empty(),
            "{name}: {}",
            row["error"]
        );
        assert_eq!(row["face"].is_empty(), name != "z_good.jpg", "{name}");
    }
    for format in ["text", "json", "jsonl", "html"] {
        let output = expllm(&["analyze", "--format", format], dir.path());
        assert_eq!(output.status.code(), Some(1), "{format}");
        let text = String::from_utf8(output.stdout).unwrap();
        for (name, error) in expected {
            assert!(
                text.contains(name) && text.contains(error),
                "{format}: {name}"
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_a_row() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret.png");
    astronaut().save(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).unwrap();
    if std::fs::read(&path).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    let output = expllm(&["au"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(rows(&output)[0]["error"].contains("cannot be read"));
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_a_row() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere.png", dir.path().join("gone.png")).unwrap();
    let output = expllm(&["au"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    let found = rows(&output);
    assert!(
        found.len() == 1 && !found[0]["error"].is_empty(),
        "{found:?}"
    );
}

#[test]
fn a_face_cut_by_the_edge_is_read_and_no_face_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let photo = astronaut();
    // A fifth of the face is missing on the right.
    let cut = image::imageops::crop_imm(&photo, 0, 0, 254, 300).to_image();
    cut.save(dir.path().join("cut.png")).unwrap();
    let empty = image::imageops::crop_imm(&photo, 300, 300, 200, 200).to_image();
    empty.save(dir.path().join("empty.png")).unwrap();
    let output = expllm(&["au"], dir.path());
    assert_eq!(output.status.code(), Some(0));
    let found = rows(&output);
    let faces: Vec<_> = found.iter().map(|row| row["face"].as_str()).collect();
    assert_eq!(faces, ["0", ""]);
    let text = String::from_utf8(expllm(&["analyze"], dir.path()).stdout).unwrap();
    assert!(text.contains("no face found"), "{text}");
}

#[test]
fn a_hundred_faces_in_one_photo_are_a_hundred_rows() {
    let dir = tempfile::tempdir().unwrap();
    let portrait = image::imageops::crop_imm(&astronaut(), 150, 40, 150, 150).to_image();
    let crowd = RgbImage::from_fn(1500, 1500, |x, y| *portrait.get_pixel(x % 150, y % 150));
    crowd.save(dir.path().join("crowd.png")).unwrap();
    let drawn = dir.path().join("drawn");
    let photo = dir.path().join("crowd.png");
    let output = expllm(&["au"], &photo);
    assert_eq!(output.status.code(), Some(0));
    let found = rows(&output);
    assert!((95..=105).contains(&found.len()), "{} faces", found.len());
    for (index, row) in found.iter().enumerate() {
        assert_eq!(row["face"], index.to_string());
        assert!(row["error"].is_empty() && !row["nose_wrinkle"].is_empty());
    }
    let arguments = [
        "analyze",
        "--format",
        "html",
        "--annotate",
        drawn.to_str().unwrap(),
    ];
    let output = expllm(&arguments, &photo);
    assert_eq!(output.status.code(), Some(0));
    assert!(drawn.join("crowd.png").exists());
}

/// Runs a command whose reader has gone before the first byte.
fn without_a_reader(arguments: &[&Path]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = Command::new(env!("CARGO_BIN_EXE_expllm"))
        .args(arguments)
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_reader_that_has_gone_ends_the_program_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let photo = dir.path().join("a.png");
    astronaut().save(&photo).unwrap();
    let table = dir.path().join("result_all.json");
    let row = r#"[{"task": "emo_estim", "gt": "Fear", "img_path": "a", "pred": "Fear"}]"#;
    std::fs::write(&table, row).unwrap();
    let photo = photo.as_path();
    let word = Path::new;
    let chains = dir.path().join("chains.json");
    let record = r#"[{"file_name": "a.png", "emo": "Fear", "description": "fear"}]"#;
    std::fs::write(&chains, record).unwrap();
    let commands: [&[&Path]; 8] = [
        &[word("cot"), word("check"), &chains],
        &[word("units")],
        &[word("compare")],
        &[word("data"), word("layouts")],
        &[word("score"), &table],
        &[word("au"), photo],
        &[word("analyze"), photo],
        &[word("analyze"), word("--format"), word("html"), photo],
    ];
    for arguments in commands {
        let (status, errors) = without_a_reader(arguments);
        assert_eq!((status, errors.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

/// A full disk must not look like success.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = PathBuf::from("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_expllm"))
        .arg("units")
        .stdout(std::fs::File::options().write(true).open(full).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("standard output"), "{errors}");
}
