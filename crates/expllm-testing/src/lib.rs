//! What the tests of all crates share.

#![allow(clippy::print_stdout)] // A test that is skipped says so.

use std::path::{Path, PathBuf};

/// A file or folder of the shared data, which is no part of the project: in the folder that the
/// environment variable `EXPLLM_SHARED` names, else in `shared` beside the project's own folder.
///
/// `None` when it is absent; the test then ends, and this says that it was skipped.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("EXPLLM_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join(path);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
    }
    path.exists().then_some(path)
}
