//! Small generated trees for the tests of the readers.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::{Dataset, Layout, ReadOptions, SkipReason};

/// A folder with files of given content, which goes away with it.
pub(crate) struct Fixture {
    dir: TempDir,
}

impl Fixture {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Reads the folder, and a `.tar` of it, and checks that both give the same records.
    pub(crate) fn read(&self, layout: Layout) -> Dataset {
        let dataset = layout
            .read(self.dir.path(), &ReadOptions::default())
            .unwrap();
        let mut files = Vec::new();
        let tree = crate::Tree::open(self.dir.path()).unwrap();
        for name in tree.files() {
            let bytes = tree.source(name).unwrap().read().unwrap();
            files.push((format!("set/{name}"), bytes));
        }
        let files: Vec<_> = files
            .iter()
            .map(|(n, b)| (n.as_str(), b.as_slice()))
            .collect();
        let tar = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(tar.path(), crate::tar::tests::archive(&files)).unwrap();
        let archived = layout.read(tar.path(), &ReadOptions::default()).unwrap();
        assert_eq!(ids(&archived), ids(&dataset));
        assert_eq!(archived.skipped, dataset.skipped);
        dataset
    }
}

pub(crate) fn ids(dataset: &Dataset) -> Vec<&str> {
    dataset.records.iter().map(|r| r.id.as_str()).collect()
}

pub(crate) fn skipped(dataset: &Dataset) -> Vec<(&str, &SkipReason)> {
    dataset
        .skipped
        .iter()
        .map(|s| (s.item.as_str(), &s.reason))
        .collect()
}
