//! `expllm video` as its users run it. Videos are made by `ffmpeg` where it is installed; what
//! needs it is skipped, saying so, where it is not.

#![allow(clippy::unwrap_used)] // Helpers of tests.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expllm_testing::{ffmpeg, has_ffmpeg};
use image::codecs::gif::GifEncoder;
use image::{Delay, RgbImage, RgbaImage, imageops};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_expllm"))
}

fn video(arguments: &[&str], paths: &[&Path]) -> Output {
    let mut command = program();
    let output = command.arg("video").args(paths).args(arguments).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn rows(table: &[u8]) -> Vec<HashMap<String, String>> {
    let mut reader = csv::Reader::from_reader(table);
    reader.deserialize().map(Result::unwrap).collect()
}

/// A face that moves to the right, two pixels a frame.
fn pictures(count: u32) -> Vec<RgbImage> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos/astronaut.png");
    let photo = image::open(path).unwrap().into_rgb8();
    let part = |frame: u32| imageops::crop_imm(&photo, 120 - 2 * (frame % 40), 0, 240, 240);
    (0..count).map(|frame| part(frame).to_image()).collect()
}

fn folder(dir: &Path, count: u32) -> PathBuf {
    let folder = dir.join("frames");
    fs::create_dir(&folder).unwrap();
    for (number, picture) in pictures(count).iter().enumerate() {
        picture.save(folder.join(format!("{number}.jpg"))).unwrap();
    }
    folder
}

fn gif(path: &Path, count: u32) {
    let mut encoder = GifEncoder::new_with_speed(fs::File::create(path).unwrap(), 10);
    for picture in pictures(count) {
        let picture: RgbaImage = image::DynamicImage::from(picture).into_rgba8();
        let delay = Delay::from_numer_denom_ms(80, 1);
        let frame = image::Frame::from_parts(picture, 0, 0, delay);
        encoder.encode_frame(frame).unwrap();
    }
}

/// A video of the frames of a folder with other arguments in between.
fn encoded(folder: &Path, arguments: &[&str], out: &Path) {
    let frames = folder.join("%d.jpg").display().to_string();
    let source = ["-framerate", "25", "-i", &frames];
    ffmpeg(&[&source[..], arguments].concat(), out);
}

#[test]
fn an_animation_and_a_folder_give_a_row_per_frame_with_the_columns_of_au() {
    let dir = tempfile::tempdir().unwrap();
    let animation = dir.path().join("clip.gif");
    gif(&animation, 6);
    let frames = folder(dir.path(), 6);
    for (clip, step) in [(&animation, 0.08), (&frames, 0.04)] {
        let output = video(&[], &[clip]);
        assert!(output.status.success(), "{}", errors(&output));
        let table = String::from_utf8(output.stdout.clone()).unwrap();
        let names: Vec<_> = table.lines().next().unwrap().split(',').collect();
        assert_eq!(names[..5], ["time", "frame", "person", "file", "face"]);
        let rows = rows(&output.stdout);
        assert_eq!(rows.len(), 6);
        for (number, row) in rows.iter().enumerate() {
            let time: f64 = row["time"].parse().unwrap();
            assert!((time - step * number as f64).abs() < 1e-6);
            assert_eq!((&*row["person"], &*row["error"]), ("0", ""));
            let unit: f32 = row["jaw_drop"].parse().unwrap();
            assert!((0.0..=1.0).contains(&unit));
        }
    }
}

#[test]
fn a_motion_jpeg_and_an_mp4_are_read_with_their_times() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let frames = folder(dir.path(), 10);
    let (mjpeg, mp4) = (dir.path().join("clip.avi"), dir.path().join("clip.mp4"));
    encoded(&frames, &["-c:v", "mjpeg", "-q:v", "3"], &mjpeg);
    encoded(&frames, &[], &mp4);
    let output = video(&["--every", "3", "--format", "jsonl"], &[&mjpeg, &mp4]);
    assert!(output.status.success(), "{}", errors(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let places: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["frame"].as_u64().unwrap(),
                row["time"].as_f64().unwrap(),
            )
        })
        .collect();
    let wanted = [(0, 0.0), (3, 0.12), (6, 0.24), (9, 0.36)];
    assert_eq!(places, [wanted, wanted].concat());
    assert!(rows.iter().all(|row| row["person"] == 0));
    for row in rows {
        let name = row["expression"].as_str().unwrap();
        assert!(row["probabilities"][name].as_f64().unwrap() > 0.125);
        assert_eq!(name, name.to_lowercase());
    }
}

#[test]
fn a_cut_video_keeps_its_rows_and_one_without_pictures_is_refused() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let frames = folder(dir.path(), 30);
    let whole = dir.path().join("whole.mp4");
    encoded(&frames, &["-movflags", "+faststart"], &whole);
    let bytes = fs::read(&whole).unwrap();
    let cut = dir.path().join("cut.mp4");
    fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let output = video(&[], &[&cut]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!rows(&output.stdout).is_empty());
    assert!(
        errors(&output).contains("broken after"),
        "{}",
        errors(&output)
    );
    let sound = dir.path().join("sound.mp4");
    ffmpeg(&["-f", "lavfi", "-i", "sine=duration=0.2"], &sound);
    let table = dir.path().join("table.csv");
    let output = video(&["--out", table.to_str().unwrap()], &[&sound]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors(&output).contains("no video stream"),
        "{}",
        errors(&output)
    );
    assert!(!table.exists());
}

#[cfg(unix)]
#[test]
fn a_decoder_that_fails_half_way_keeps_what_it_gave() {
    use std::os::unix::fs::PermissionsExt;
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip.mp4");
    encoded(&folder(dir.path(), 30), &[], &clip);
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|dir| dir.join("ffmpeg"));
    let real = real.into_iter().find(|path| path.exists()).unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    // Ten frames and a half, then an end without a word.
    let script = format!(
        "#!/bin/sh\n\"{}\" \"$@\" | head -c {}\nexit 3\n",
        real.display(),
        240 * 240 * 3 * 21 / 2
    );
    fs::write(bin.join("ffmpeg"), script).unwrap();
    fs::set_permissions(bin.join("ffmpeg"), fs::Permissions::from_mode(0o755)).unwrap();
    let paths = std::iter::once(bin).chain(std::env::split_paths(&path));
    let mut command = program();
    command.arg("video").arg(&clip);
    command.env("PATH", std::env::join_paths(paths).unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert_eq!(rows(&output.stdout).len(), 10);
    assert!(
        errors(&output).contains("broken after 10 frames"),
        "{}",
        errors(&output)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_camera_that_is_not_plugged_in_is_named() {
    if !has_ffmpeg() {
        return;
    }
    let output = video(&[], &[Path::new("camera:97")]);
    assert_eq!(output.status.code(), Some(1));
    let said = errors(&output);
    assert!(
        said.contains("camera:97") && said.contains("No such file"),
        "{said}"
    );
}

#[test]
fn a_video_without_ffmpeg_says_how_to_install_it() {
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip.mp4");
    fs::write(&clip, b"\0\0\0\x18ftypmp42").unwrap();
    let mut command = program();
    command.arg("video").arg(&clip).env("PATH", dir.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors(&output).contains("apt-get install ffmpeg"),
        "{}",
        errors(&output)
    );
}

#[test]
fn a_clip_is_never_written_over_and_a_full_disk_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip.gif");
    gif(&clip, 2);
    let before = fs::read(&clip).unwrap();
    for option in ["--out", "--events", "--report", "--annotate"] {
        let output = video(&[option, clip.to_str().unwrap()], &[&clip]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert!(
            errors(&output).contains("is the input"),
            "{}",
            errors(&output)
        );
    }
    assert_eq!(fs::read(&clip).unwrap(), before);
    if Path::new("/dev/full").exists() {
        let output = video(&["--out", "/dev/full"], &[&clip]);
        assert_eq!(output.status.code(), Some(1));
        assert!(errors(&output).contains("/dev/full"), "{}", errors(&output));
    }
}

#[test]
fn two_programs_do_not_write_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip.gif");
    gif(&clip, 2);
    let table = dir.path().join("table.csv");
    let other = fs::File::create(&table).unwrap();
    other.lock().unwrap();
    let output = video(&["--out", table.to_str().unwrap()], &[&clip]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("another program"),
        "{}",
        errors(&output)
    );
    drop(other);
    let output = video(&["--out", table.to_str().unwrap()], &[&clip]);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(rows(&fs::read(&table).unwrap()).len(), 2);
}

#[test]
fn events_and_report_are_of_everybody_in_sight() {
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip.gif");
    gif(&clip, 12);
    let (events, report) = (dir.path().join("e.jsonl"), dir.path().join("r.html"));
    let named = [&events, &report].map(|path| path.to_str().unwrap().to_owned());
    let arguments = ["--events", &named[0], "--report", &named[1], "--explain"];
    let output = video(&arguments, &[&clip]);
    assert!(output.status.success(), "{}", errors(&output));
    let text = fs::read_to_string(&events).unwrap();
    let person: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(
        (person["person"].as_u64(), person["frames"].as_u64()),
        (Some(0), Some(12))
    );
    let segments = person["expressions"].as_array().unwrap();
    assert_eq!(
        segments.len(),
        person["explanations"].as_array().unwrap().len()
    );
    let page = fs::read_to_string(&report).unwrap();
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("person 0"));
    assert!(!page.contains("://"), "asks another host for something");
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_whole_rows_and_resuming_gives_the_same_table() {
    let dir = tempfile::tempdir().unwrap();
    let frames = folder(dir.path(), 260);
    let (part, whole) = (dir.path().join("part.csv"), dir.path().join("whole.csv"));
    let mut command = program();
    command.arg("video").arg(&frames).arg("--out").arg(&part);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // The first rows come out after 64 frames.
    while fs::metadata(&part).map_or(0, |found| found.len()) < 10_000 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(
            child.try_wait().unwrap().is_none(),
            "ended before the interrupt"
        );
    }
    let signal = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(signal.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let kept = rows(&fs::read(&part).unwrap());
    assert!(kept.len() < 260 && kept.iter().all(|row| row["person"] == "0"));
    let mismatch = video(
        &["--resume", "--every", "2", "--out", part.to_str().unwrap()],
        &[&frames],
    );
    assert_eq!(mismatch.status.code(), Some(2));
    let output = video(&["--resume", "--out", part.to_str().unwrap()], &[&frames]);
    assert!(output.status.success(), "{}", errors(&output));
    let output = video(&["--out", whole.to_str().unwrap()], &[&frames]);
    assert!(output.status.success(), "{}", errors(&output));
    let (part_text, whole_text) = (fs::read(&part).unwrap(), fs::read(&whole).unwrap());
    assert_eq!(rows(&part_text).len(), 260);
    assert!(part_text == whole_text, "the tables differ");
    let output = video(&["--resume", "--out", part.to_str().unwrap()], &[&frames]);
    assert!(output.status.success());
    assert!(fs::read(&part).unwrap() == part_text);
}

/// A person of a rendered clip. Two who cross still exchange their numbers (docs/video.md).
#[test]
fn a_person_of_a_rendered_clip_keeps_a_number() {
    let Some(kit) = expllm_testing::shared("data/ict_facekit.safetensors") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip");
    let made = program()
        .args([
            "synth",
            "--clip",
            "--people",
            "1",
            "--seconds",
            "9",
            "--fps",
            "12.5",
        ])
        .args(["--size", "240", "--seed", "3", "--facekit"])
        .arg(&kit)
        .arg("--out")
        .arg(&clip)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", errors(&made));
    let truth = rows(&fs::read(clip.join("truth.csv")).unwrap());
    assert_eq!(truth.len(), 113);
    let table = dir.path().join("table.csv");
    let arguments = ["--fps", "12.5", "--out", table.to_str().unwrap(), "--truth"];
    let output = video(
        &[&arguments[..], &[clip.to_str().unwrap()]].concat(),
        &[&clip.join("frames")],
    );
    assert!(output.status.success(), "{}", errors(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("people: 0 switches"), "{said}");
    assert!(said.contains("movements above 0.3: F1"), "{said}");
}
