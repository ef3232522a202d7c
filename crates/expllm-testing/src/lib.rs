//! What the tests of all crates share.

#![allow(clippy::print_stdout)] // A test that is skipped says so.

mod ffmpeg;

pub use ffmpeg::{ffmpeg, has_ffmpeg};

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file or folder of the shared data, which is no part of the project: in the folder that the
/// environment variable `EXPLLM_SHARED` names, else in `shared` beside the project's own folder.
///
/// `None` when it is absent; the test then does without it, and this says that something was
/// skipped: on the standard output, and in the file that `EXPLLM_SKIPPED` names, one line for each
/// time, so that a run of all tests can count them.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("EXPLLM_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join(path);
    if !path.exists() {
        skipped(&path.display().to_string());
    }
    path.exists().then_some(path)
}

/// Says that the running test does without something that is absent, and has it counted.
pub fn skipped(absent: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    println!("skipped: {test}: {absent} is absent");
    if let Some(list) = std::env::var_os("EXPLLM_SKIPPED") {
        note(Path::new(&list), &format!("{test}: {absent}\n"));
    }
}

/// Adds a line to a list that many tests write at a time.
fn note(list: &Path, line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(list);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(written.is_ok(), "{}: {written:?}", list.display());
}
