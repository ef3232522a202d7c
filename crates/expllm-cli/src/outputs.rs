//! Whether a file may be written: no output may be an input, and none may take the place of a
//! file that is no earlier output of the same kind.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use expllm_face::is_drawing;

use crate::CliError;

/// What a command writes, by which an earlier output of it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A table whose first column has this name.
    Csv(&'static str),
    /// JSON, as one value or in lines.
    Json,
    /// Columns.
    Parquet,
    /// A page.
    Html,
    /// Text to read.
    Text,
    /// A PNG of ours.
    Drawing,
    /// A video, which carries no sign of ours: only a new file is written.
    Video,
}

impl Kind {
    /// Whether an earlier run may have written the file.
    fn wrote(self, path: &Path) -> bool {
        if self == Self::Drawing {
            return is_drawing(path);
        }
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
        // A sign of several bytes may be cut off at the end.
        let whole = match std::str::from_utf8(&head) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => head.len(),
        };
        let text = String::from_utf8_lossy(&head[..whole]).to_ascii_lowercase();
        let known = match self {
            Self::Csv(column) => text.starts_with(&format!("{column},")),
            Self::Json => text.starts_with(['[', '{']),
            Self::Parquet => text.starts_with("par1"),
            Self::Html => text.starts_with("<!doctype html"),
            Self::Video => false,
            Self::Text | Self::Drawing => !text.contains(['\0', char::REPLACEMENT_CHARACTER]),
        };
        read.is_ok() && (head.is_empty() || known)
    }
}

/// The files that a command reads.
#[derive(Debug, Default)]
pub struct Inputs {
    files: HashMap<FileKey, PathBuf>,
}

impl Inputs {
    /// Notes files; those that are missing cannot be overwritten.
    pub fn new<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let keyed = |path: P| Some((key(path.as_ref())?, path.as_ref().to_path_buf()));
        Self {
            files: paths.into_iter().filter_map(keyed).collect(),
        }
    }

    /// Refuses an output that is one of the inputs, under whatever name, and one that would
    /// replace a file which no command like this wrote. Pipes and devices are let through.
    ///
    /// # Errors
    ///
    /// [`CliError::Usage`], saying which.
    pub fn check_output(&self, path: &Path, kind: Kind) -> Result<(), CliError> {
        let shown = path.display();
        let refuse = |why: String| Err(CliError::Usage(format!("{shown} {why}")));
        match std::fs::metadata(path) {
            Err(_) => return Ok(()),
            Ok(found) if found.is_dir() => return refuse("is a folder; name a file in it".into()),
            Ok(found) if !found.is_file() => return Ok(()),
            Ok(_) => {}
        }
        if let Some(input) = key(path).and_then(|key| self.files.get(&key)) {
            let input = input.display();
            return refuse(format!("is the input {input}; choose another output"));
        }
        match kind.wrote(path) {
            true => Ok(()),
            false => refuse(
                "is there already and was not written by such a run; move it away or choose \
                 another output"
                    .into(),
            ),
        }
    }
}

/// What a file is told by, whichever link leads to it.
#[cfg(unix)]
type FileKey = (u64, u64);
#[cfg(not(unix))]
type FileKey = PathBuf;

#[cfg(unix)]
fn key(path: &Path) -> Option<FileKey> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn key(path: &Path) -> Option<FileKey> {
    std::fs::canonicalize(path).ok()
}

/// The names of outputs, one for each input, that no two share; `stem` is that of the input.
#[derive(Debug, Default)]
pub struct FreeNames {
    taken: HashSet<String>,
}

impl FreeNames {
    /// `stem.ending`, with a number where that is taken. Names that differ in case alone are one
    /// file on some systems.
    pub fn name(&mut self, stem: &str, ending: &str) -> String {
        let numbered = |number: usize| match number {
            1 => format!("{stem}.{ending}"),
            _ => format!("{stem}_{number}.{ending}"),
        };
        let mut names = (1..).map(numbered);
        let free = names.find(|name| self.taken.insert(name.to_lowercase()));
        free.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path, kind: Kind, inputs: &[&Path]) -> String {
        let error = Inputs::new(inputs).check_output(path, kind).err();
        error.map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn inputs_are_no_outputs_under_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("a.csv");
        std::fs::write(&input, "file,x\n").unwrap();
        let around = dir.path().join(".").join("a.csv");
        let linked = dir.path().join("b.csv");
        std::fs::hard_link(&input, &linked).unwrap();
        for path in [&input, &around, &linked] {
            let error = refused(path, Kind::Csv("file"), &[&input]);
            assert!(error.contains("is the input"), "{error}");
        }
        assert_eq!(refused(&input, Kind::Csv("file"), &[]), "");
    }

    #[test]
    fn only_earlier_outputs_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let kinds = [Kind::Csv("file"), Kind::Json, Kind::Html, Kind::Text];
        for (text, may) in [
            (b"file,face\n".as_slice(), [true, false, false, true]),
            (b"[\n{", [false, true, false, true]),
            (b"<!DOCTYPE html>", [false, false, true, true]),
            (b"\x89PNG\r\n\x1a\n\0\0", [false; 4]),
            (b"", [true; 4]),
        ] {
            std::fs::write(&path, text).unwrap();
            for (kind, may) in kinds.into_iter().zip(may) {
                assert_eq!(
                    refused(&path, kind, &[]).is_empty(),
                    may,
                    "{kind:?} {text:?}"
                );
            }
            assert!(!refused(&path, Kind::Drawing, &[]).is_empty());
        }
        let error = refused(dir.path(), Kind::Text, &[]);
        assert!(error.contains("is a folder"), "{error}");
        assert_eq!(refused(&dir.path().join("new"), Kind::Drawing, &[]), "");
    }

    #[test]
    fn no_two_names_are_the_same() {
        let mut names = FreeNames::default();
        let stems = ["a", "a", "a_2", "A", "b"];
        let given = stems.map(|stem| names.name(stem, "png"));
        assert_eq!(given, ["a.png", "a_2.png", "a_2_2.png", "A_3.png", "b.png"]);
    }
}
