//! The files below a root, be it a folder or a `.tar`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

use crate::kind::{first_bytes, has_image_ending, head_of, is_image, not_an_archive};
use crate::source::read_range;
use crate::tar::read_index;
use crate::{DataError, ImageSource, text};

/// An index of the files below a root, by path relative to it with `/` between folders.
///
/// Paths that annotation files name are looked up here, so that none of them can lead out of the
/// root. Bytes of a name that are not UTF-8 stand as U+FFFD, here and in annotation files.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
    archive: Option<Arc<Path>>,
    files: BTreeMap<String, Place>,
    unreadable: Vec<(String, String)>,
}

/// Where a file of a tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A file at its path below the root.
    Path,
    /// A file whose path is no text.
    Bytes(PathBuf),
    /// Offset and size in an archive.
    Span(u64, u64),
}

impl Tree {
    /// Lists a folder (links are followed), or the members of a `.tar` file. When everything in
    /// an archive lies in one folder, that folder is the root.
    ///
    /// # Errors
    ///
    /// [`DataError::File`], [`DataError::NotADataSet`] or [`DataError::Archive`] when the root
    /// itself cannot be read.
    pub fn open(root: &Path) -> Result<Self, DataError> {
        let meta = std::fs::metadata(root).map_err(|e| DataError::file(root, e))?;
        if meta.is_dir() {
            Ok(Self::walk(root))
        } else {
            Self::archive(root)
        }
    }

    fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            archive: None,
            files: BTreeMap::new(),
            unreadable: Vec::new(),
        }
    }

    fn walk(root: &Path) -> Self {
        let mut tree = Self::new(root);
        for entry in WalkDir::new(root).follow_links(true) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
                    let place = match below.to_str() {
                        Some(_) => Place::Path,
                        None => Place::Bytes(below.to_path_buf()),
                    };
                    tree.add(with_slashes(below), place);
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
        let head = head_of(root).map_err(|e| DataError::file(root, e))?;
        if let Some(what) = not_an_archive(&head) {
            let path = root.to_path_buf();
            return Err(DataError::NotADataSet { path, what });
        }
        let index = read_index(root)?;
        let members = index.members.iter().map(|m| below_root(&m.name));
        let prefix = common_folder(members).unwrap_or_default();
        let inside = |name: &str| {
            let name = below_root(name);
            name.strip_prefix(&prefix).unwrap_or(name).to_owned()
        };
        let mut tree = Self::new(root);
        tree.archive = Some(root.into());
        for member in &index.members {
            // A member that is there twice was packed again: the last one counts.
            let place = Place::Span(member.offset, member.size);
            tree.files.insert(inside(&member.name), place);
        }
        let left_out = index.left_out.into_iter();
        tree.unreadable = left_out.map(|(name, why)| (inside(&name), why)).collect();
        Ok(tree)
    }

    fn add(&mut self, name: String, place: Place) {
        match self.files.entry(name) {
            Entry::Vacant(slot) => {
                slot.insert(place);
            }
            Entry::Occupied(slot) => {
                let reason = "has the name of another file once bytes that are not UTF-8 are \
                              replaced";
                self.unreadable
                    .push((slot.key().clone(), reason.to_owned()));
            }
        }
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
        // A file that is missing is not a folder of another layout.
        let meta = std::fs::metadata(root).map_err(|e| DataError::file(root, e))?;
        if meta.is_dir() || !ends(root) {
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

    /// Images, sorted by path: files with the ending of an image, and those without one whose
    /// first bytes are an image's. Images of formats that cannot be read are among them.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        let archive = self.archive.as_ref().and_then(|path| File::open(path).ok());
        let files = self.files.iter().filter(move |(name, place)| {
            has_image_ending(name) || is_image(&self.head(name, place, archive.as_ref()))
        });
        files.map(|(name, _)| name.as_str())
    }

    /// The first bytes of a file; none where it cannot be read.
    fn head(&self, name: &str, place: &Place, archive: Option<&File>) -> Vec<u8> {
        let head = match (place, archive) {
            (Place::Path, _) => head_of(&self.root.join(name)),
            (Place::Bytes(below), _) => head_of(&self.root.join(below)),
            (Place::Span(offset, size), Some(mut file)) => file
                .seek(SeekFrom::Start(*offset))
                .and_then(|_| first_bytes(file.take(*size))),
            (Place::Span(..), None) => return Vec::new(),
        };
        head.unwrap_or_default()
    }

    /// Whether the file is there; the path may use `\` or start with `./`.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// A file by its name as it is, else by the name with `/` and without `./` and blanks around.
    fn find(&self, path: &str) -> Option<(&String, &Place)> {
        let exact = self.files.get_key_value(path);
        exact.or_else(|| self.files.get_key_value(&normalized(path)))
    }

    /// The place of a file, when it is there.
    #[must_use]
    pub fn source(&self, path: &str) -> Option<ImageSource> {
        let (name, place) = self.find(path)?;
        Some(match (place, &self.archive) {
            (Place::Span(offset, size), Some(archive)) => {
                ImageSource::member(archive.clone(), name, *offset, *size)
            }
            (Place::Bytes(below), _) => ImageSource::file(self.root.join(below)),
            _ => ImageSource::file(self.root.join(name)),
        })
    }

    /// The text of an annotation file, in UTF-8 or UTF-16, without a byte order mark; bytes that
    /// are neither are replaced.
    ///
    /// # Errors
    ///
    /// [`DataError::File`] or [`DataError::TooLarge`] (256 MiB).
    pub fn read_text(&self, path: &str) -> Result<String, DataError> {
        let bytes = match self.source(path) {
            Some(source) => source.read()?,
            None => read_range(&self.root.join(path), 0, 0)?,
        };
        Ok(text::decode(bytes))
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
    below_root(&path.trim().replace('\\', "/")).to_owned()
}

/// The path without `./` before it.
fn below_root(path: &str) -> &str {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    path
}

/// The folder, with its slash, in which all names lie.
fn common_folder<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
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
        let common = |names: [&'static str; 2]| common_folder(names.into_iter());
        assert_eq!(common(["train/a", "train/b"]), None);
        assert_eq!(common(["x/a", "x/b"]).as_deref(), Some("x/"));
        assert_eq!(common(["x/a", "y/b"]), None);
    }

    #[test]
    fn images_are_known_by_ending_or_content() {
        let dir = tempfile::tempdir().unwrap();
        let jpeg = b"\xff\xd8\xff\xe0 and so on".as_slice();
        let files = [
            ("photo", jpeg),
            ("photo.jpg_large", jpeg),
            ("broken.heic", b""),
            ("x.gif", b"GIF89a"),
            ("notes.txt", b"BMI, not a bitmap"),
        ];
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let tar = dir.path().join("set.tar");
        std::fs::write(&tar, archive(&files)).unwrap();
        let wanted = ["broken.heic", "photo", "photo.jpg_large", "x.gif"];
        for root in [dir.path(), &tar] {
            let tree = Tree::open(root).unwrap();
            assert_eq!(tree.images().collect::<Vec<_>>(), wanted);
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_or_hold_a_backslash_are_read() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            (b"caf\xe9.jpg".as_slice(), b"1"),
            (b"back\\slash.jpg", b"2"),
        ] {
            std::fs::write(dir.path().join(OsStr::from_bytes(name)), bytes).unwrap();
        }
        let tree = Tree::open(dir.path()).unwrap();
        let read = |name: &str| tree.source(name).unwrap().read().unwrap();
        assert_eq!(read("caf\u{fffd}.jpg"), b"1");
        assert_eq!(read("back\\slash.jpg"), b"2");
        // A second name that reads the same is listed instead of taking the place of the first.
        std::fs::write(dir.path().join(OsStr::from_bytes(b"caf\xe8.jpg")), b"3").unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        assert_eq!((tree.files().count(), tree.unreadable().len()), (2, 1));
    }

    #[test]
    fn what_is_no_archive_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (bytes, what) in [
            (b"\x1f\x8b\x08\0".as_slice(), "compressed"),
            (b"PK\x03\x04", "ZIP"),
            (b"\xff\xd8\xff\xe0", "image"),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                "git lfs pull",
            ),
        ] {
            let path = dir.path().join("set.tar");
            std::fs::write(&path, bytes).unwrap();
            let error = Tree::open(&path).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
