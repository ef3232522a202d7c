//! How far a clip is read.

use std::io::Write as _;
use std::path::Path;

use expllm_video::ClipInfo;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar on the error output where that is a terminal: frames, frames a second, time left.
pub fn bar(path: &Path, info: &ClipInfo) -> ProgressBar {
    let (bar, template) = match info.expected_frames {
        Some(frames) => (
            ProgressBar::new(frames),
            "{msg} {bar:30} {pos}/{len} frames, {per_sec}, {eta} left",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{msg} {spinner} {pos} frames, {per_sec}",
        ),
    };
    let style = ProgressStyle::with_template(template);
    // The template is fixed; the plain bar would do as well.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    bar.with_message(name.unwrap_or_default())
}

/// What was read of a clip, and how fast.
pub fn summary(file: &str, (frames, people): (u64, usize), bar: &ProgressBar) -> String {
    let seconds = bar.elapsed().as_secs_f64();
    let rate = frames as f64 / seconds.max(1e-3);
    let people = match people {
        0 => "nobody in sight".to_owned(),
        1 => "1 person".to_owned(),
        n => format!("{n} people"),
    };
    format!("{file}: {frames} frames in {seconds:.1} s ({rate:.0} a second), {people}")
}

/// Writes a line to the error output.
pub fn note(line: &str) {
    // Nothing is left to tell when the error output is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
