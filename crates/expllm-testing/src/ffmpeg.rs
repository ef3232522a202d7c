//! Videos for tests, made by the programs that also decode them.

use std::path::Path;
use std::process::Command;

/// Whether the programs `ffmpeg` and `ffprobe` are there; says that the running test is skipped
/// where they are not.
#[must_use]
pub fn has_ffmpeg() -> bool {
    let missing = ["ffmpeg", "ffprobe"]
        .into_iter()
        .find(|program| Command::new(program).arg("-version").output().is_err());
    if let Some(program) = missing {
        crate::skipped(program);
    }
    missing.is_none()
}

/// Runs `ffmpeg` with these arguments before the name of its output.
///
/// # Panics
///
/// When it fails.
pub fn ffmpeg<A: AsRef<std::ffi::OsStr>>(arguments: &[A], out: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(arguments).arg(out);
    let made = command.status();
    assert!(
        made.as_ref().is_ok_and(|status| status.success()),
        "{}: {made:?}",
        out.display()
    );
}
