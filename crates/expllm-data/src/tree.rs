//! The files below a root, be it a folder or a `.tar`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

use crate::source::read_range;
use crate::tar::read_index;
use crate::{DataError, ImageSource};

/// Extensions of files that are taken for images, in lower case.
const IMAGE_EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"];

/// An index of the files below a root, by path relative to it with `/` between folders.
///
/// Paths that annotation files name are looked up here, so that none of them can lead out of the
/// root.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
    archive: Option<Arc<Path>>,
    files: BTreeMap<String, (u64, u64)>,
    unreadable: Vec<(String, String)>,
}

impl Tree {
    /// Lists a folder (links are followed), or the members of a `.tar` file. When everything in
    /// an archive lies in one folder, that folder is the root.
    ///
    /// # Errors
    ///
    /// [`DataError::File`] or [`DataError::Archive`] when the root itself cannot be read.
    pub fn open(root: &Path) -> Result<Self, DataError> {
        let meta = std::fs::metadata(root).map_err(|e| DataError::file(root, e))?;
        if meta.is_dir() {
            Ok(Self::walk(root))
        } else {
            Self::archive(root)
        }
    }

    fn walk(root: &Path) -> Self {
        let mut tree = Self {
            root: root.to_path_buf(),
            archive: None,
            files: BTreeMap::new(),
            unreadable: Vec::new(),
        };
        for entry in WalkDir::new(root).follow_links(true) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
                    tree.files.insert(with_slashes(below), (0, 0));
                }
                Ok(_) => {}
                Err(e) => {
                    let path = e.path().map(with_slashes).unwrap_or_default();
                    tree.unreadable.push((path, e.to_string()));
                }
            }
        }
        tree
    }

    fn archive(root: &Path) -> Result<Self, DataError> {
        let mut files: BTreeMap<_, _> = read_index(root)?
            .into_iter()
            .map(|m| (normalized(&m.name), (m.offset, m.size)))
            .collect();
        if let Some(prefix) = common_folder(files.keys()) {
            files = files
                .into_iter()
                .map(|(name, span)| (name[prefix.len()..].to_owned(), span))
                .collect();
        }
        Ok(Self {
            root: root.to_path_buf(),
            archive: Some(root.into()),
            files,
            unreadable: Vec::new(),
        })
    }

    /// Opens a root and lists its files of one extension. A root that is such a file itself
    /// stands for its folder and that one file.
    pub(crate) fn open_files(
        root: &Path,
        extension: &str,
    ) -> Result<(Self, Vec<String>), DataError> {
        let ends = |path: &Path| {
            path.extension()
                .is_some_and(|e| e.eq_ignore_ascii_case(extension))
        };
        if !ends(root) {
            let tree = Self::open(root)?;
            let files = tree
                .files()
                .filter(|f| ends(Path::new(f)))
                .map(str::to_owned)
                .collect();
            return Ok((tree, files));
        }
        let folder = match root.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let tree = Self::open(folder)?;
        let name = root
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let files = name
            .into_iter()
            .filter(|name| tree.contains(name))
            .collect();
        Ok((tree, files))
    }

    /// The root that was opened.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Entries that could not be listed, each with its reason.
    #[must_use]
    pub fn unreadable(&self) -> &[(String, String)] {
        &self.unreadable
    }

    /// All files, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Files with the extension of an image, sorted by path.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.files().filter(|path| {
            path.rsplit_once('.').is_some_and(|(_, extension)| {
                IMAGE_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
            })
        })
    }

    /// Whether the file is there; the path may use `\` or start with `./`.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.files.contains_key(&normalized(path))
    }

    /// The place of a file, when it is there.
    #[must_use]
    pub fn source(&self, path: &str) -> Option<ImageSource> {
        let path = normalized(path);
        let &(offset, size) = self.files.get(&path)?;
        Some(match &self.archive {
            Some(archive) => ImageSource::member(archive.clone(), path, offset, size),
            None => ImageSource::file(self.root.join(path)),
        })
    }

    /// The text of an annotation file, without a byte order mark; bytes that are not UTF-8 are
    /// replaced.
    ///
    /// # Errors
    ///
    /// [`DataError::File`] or [`DataError::TooLarge`] (256 MiB).
    pub fn read_text(&self, path: &str) -> Result<String, DataError> {
        let bytes = match self.source(path) {
            Some(source) => source.read()?,
            None => read_range(&self.root.join(path), 0, 0)?,
        };
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        Ok(match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        })
    }

    /// Where a file is for messages.
    pub(crate) fn locate(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

fn with_slashes(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

fn normalized(path: &str) -> String {
    let path = path.trim().replace('\\', "/");
    path.trim_start_matches("./").to_owned()
}

/// The folder, with its slash, in which all names lie.
fn common_folder<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<String> {
    let (folder, _) = names.next()?.split_once('/')?;
    let prefix = format!("{folder}/");
    // A folder that already says something (a split, a class) is kept.
    let telling = crate::Split::from_name(folder).is_some()
        || folder.parse::<expllm_core::Expression>().is_ok();
    (!telling && names.all(|name| name.starts_with(&prefix))).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::tests::archive;

    #[test]
    fn folder_and_archive_list_the_same_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("set/b")).unwrap();
        std::fs::write(dir.path().join("set/b/x.PNG"), b"1").unwrap();
        std::fs::write(dir.path().join("set/a.txt"), b"\xef\xbb\xbfhello").unwrap();
        let tar = dir.path().join("set.tar");
        let bytes = archive(&[("set/b/x.PNG", b"1"), ("set/a.txt", b"\xef\xbb\xbfhello")]);
        std::fs::write(&tar, bytes).unwrap();
        for root in [dir.path().join("set"), tar] {
            let tree = Tree::open(&root).unwrap();
            assert_eq!(tree.files().collect::<Vec<_>>(), ["a.txt", "b/x.PNG"]);
            assert_eq!(tree.images().collect::<Vec<_>>(), ["b/x.PNG"]);
            assert_eq!(tree.read_text("a.txt").unwrap(), "hello");
            assert_eq!(tree.source(".\\b\\x.PNG").unwrap().read().unwrap(), b"1");
            assert!(
                tree.source("../set.tar").is_none(),
                "no way out of the root"
            );
            assert!(tree.read_text("absent.txt").is_err());
        }
    }

    #[test]
    fn a_split_is_no_wrapper_folder() {
        let name = String::from;
        assert_eq!(
            common_folder([name("train/a"), name("train/b")].iter()),
            None
        );
        assert_eq!(
            common_folder([name("x/a"), name("x/b")].iter()).as_deref(),
            Some("x/")
        );
        assert_eq!(common_folder([name("x/a"), name("y/b")].iter()), None);
    }
}
