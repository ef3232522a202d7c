//! `expllm merge`: the tables of shards are the table of the whole.

#![allow(clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::codecs::gif::GifEncoder;
use image::{Delay, DynamicImage, RgbImage, imageops};

fn expllm(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_expllm"));
    let output = command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

fn succeeds(folder: &Path, arguments: &[&str]) {
    let output = expllm(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = expllm(folder, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Parts of a portrait, not all of which show the face.
fn pictures(count: u32) -> Vec<RgbImage> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png");
    let photo = image::open(path).unwrap().into_rgb8();
    let part = |at: u32| imageops::crop_imm(&photo, 120 - 24 * (at % 6), 0, 240, 240);
    let small = |at| imageops::thumbnail(&part(at).to_image(), 160, 160);
    (0..count).map(small).collect()
}

/// Seven photos in two folders, one of them broken; the names repeat.
fn photos(dir: &Path) {
    for (at, picture) in pictures(6).iter().enumerate() {
        let folder = dir.join("set").join(["a", "b"][at % 2]);
        fs::create_dir_all(&folder).unwrap();
        picture
            .save(folder.join(format!("{}.png", at / 2)))
            .unwrap();
    }
    fs::write(dir.join("set/c.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
}

/// Eleven short clips, whose names are ordered by their numbers.
fn clips(dir: &Path) {
    fs::create_dir(dir.join("clips")).unwrap();
    for number in 0..11 {
        let path = dir.join(format!("clips/{number}.gif"));
        let mut encoder = GifEncoder::new_with_speed(fs::File::create(path).unwrap(), 20);
        for picture in pictures(2) {
            let picture = DynamicImage::from(picture).into_rgba8();
            let delay = Delay::from_numer_denom_ms(80, 1);
            let frame = image::Frame::from_parts(picture, 0, 0, delay);
            encoder.encode_frame(frame).unwrap();
        }
    }
}

/// Runs a command whole and in three parts; gives the whole table and the merged one.
fn both(dir: &Path, command: &[&str], ending: &str) -> [Vec<u8>; 2] {
    let name = |stem: &str| format!("{stem}.{ending}");
    let (whole, merged) = (name("whole"), name("merged"));
    let run = |out: &str, shard: Option<String>| {
        let shard = shard.map(|s| ["--shard".to_owned(), s]).unwrap_or_default();
        let shard = shard.iter().map(String::as_str).filter(|s| !s.is_empty());
        let arguments = command.iter().copied().chain(["--out", out]).chain(shard);
        expllm(dir, &arguments.collect::<Vec<_>>());
    };
    run(&whole, None);
    let parts: Vec<_> = (0..3).map(|part| name(&format!("part{part}"))).collect();
    for (part, out) in parts.iter().enumerate() {
        run(out, Some(format!("{part}/3")));
    }
    // In whatever order they are named.
    succeeds(
        dir,
        &["merge", &parts[2], &parts[0], &parts[1], "--out", &merged],
    );
    [&whole, &merged].map(|name| fs::read(dir.join(name)).unwrap())
}

#[test]
fn shards_of_photos_become_the_table_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    photos(dir.path());
    for (format, least) in [("csv", 8), ("jsonl", 7)] {
        let [whole, merged] = both(dir.path(), &["au", "set", "--format", format], format);
        assert!(whole == merged, "au {format}: the tables differ");
        assert!(merged.iter().filter(|b| **b == b'\n').count() >= least);
    }
    let [whole, merged] = both(dir.path(), &["au", "set", "--format", "parquet"], "parquet");
    assert!(whole == merged && merged.starts_with(b"PAR1"));
    // The wording of a chain depends on the place of a photo among all.
    for format in ["jsonl", "parquet"] {
        let arguments = ["analyze", "set", "--format", format];
        let [whole, merged] = both(dir.path(), &arguments, format);
        assert!(whole == merged, "analyze {format}: the tables differ");
    }
}

#[test]
fn shards_of_clips_become_the_table_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    clips(dir.path());
    for format in ["csv", "jsonl", "parquet"] {
        let [whole, merged] = both(dir.path(), &["video", "clips", "--format", format], format);
        assert!(whole == merged, "{format}: the tables differ");
    }
    let table = fs::read_to_string(dir.path().join("merged.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 22);
    assert!(table.lines().nth(5).unwrap().contains("clips/2.gif"));
}

/// Writes tables by hand.
fn tables(dir: &Path, texts: &[(&str, &str)]) -> Vec<PathBuf> {
    let one = |(name, text): &(&str, &str)| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    texts.iter().map(one).collect()
}

#[test]
fn tables_that_do_not_fit_together_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let a = "file,face\na.png,0\nb.png,0\n";
    tables(
        dir.path(),
        &[
            ("a.csv", a),
            ("same.csv", a),
            ("other.csv", "file,face,x\nc.png,0,1\n"),
            ("cut.csv", "file,face\nc.png,0\nd.p"),
            ("lines.jsonl", "{\"file\":\"c.png\",\"face\":0}\n"),
            ("array.json", "[\n{\"file\":\"c.png\",\"face\":0}\n]\n"),
            ("left.csv", "file,face\nc.png,0\n"),
            ("left.csv.resume", "{}"),
            ("empty.csv", ""),
        ],
    );
    for (second, wanted) in [
        ("same.csv", "a.png stands in a.csv and in same.csv"),
        ("a.csv", "a.png stands in a.csv and in a.csv"),
        ("other.csv", "has other columns than the first table"),
        ("cut.csv", "cut.csv: "),
        ("lines.jsonl", "merge tables of one format"),
        ("array.json", "--format jsonl"),
        ("left.csv", "is not complete"),
        ("none.csv", "none.csv"),
    ] {
        let said = refused(dir.path(), &["merge", "a.csv", second, "--out", "out.csv"]);
        let twice = wanted.replace("in a.csv and in a.csv", "in a.csv twice");
        assert!(
            said.contains(wanted) || said.contains(&twice),
            "{second}: {said}"
        );
        assert!(!dir.path().join("out.csv").exists(), "{second}");
    }
    let said = refused(dir.path(), &["merge", "a.csv", "--out", "a.csv"]);
    assert!(said.contains("is the input"), "{said}");
    let said = refused(dir.path(), &["merge", "a.csv", "--out", "a.parquet"]);
    assert!(said.contains("is named like Parquet"), "{said}");
    succeeds(
        dir.path(),
        &["merge", "empty.csv", "a.csv", "--out", "out.csv"],
    );
    assert_eq!(fs::read_to_string(dir.path().join("out.csv")).unwrap(), a);
}
