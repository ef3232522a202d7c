//! What a reader returns.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::PathBuf;

use expllm_core::{Expression, ExpressionSet};

use crate::{Layout, Record, Split, Tree};

/// Choices that hold for every layout.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Only records of this split; all when empty.
    pub split: Option<Split>,
    /// The expressions in play; records with another label are skipped, saying so.
    pub set: ExpressionSet,
    /// Keeps records whose image file is missing; reading that image is then an error.
    pub keep_missing_images: bool,
    /// The split of records of which the data set names none.
    pub unsplit: Option<Split>,
}

/// Why an item of a data set is not among its records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SkipReason {
    /// The image that the annotation names is not there.
    MissingImage,
    /// The annotation that the item needs is not there.
    MissingAnnotation(String),
    /// A label that the data set's layout does not know.
    UnknownLabel(String),
    /// A split that no data set has.
    UnknownSplit(String),
    /// A label that says that there is no expression (none, uncertain, no face, no majority).
    NoExpression(String),
    /// An expression outside the set in play.
    OutsideSet(Expression),
    /// A row or file that cannot be understood.
    Malformed(String),
    /// A second record of the same name, or a second image of one frame.
    Duplicate,
    /// A file or folder that could not be listed.
    Unreadable(String),
}

impl SkipReason {
    /// The kind of reason in a few words, the same for all items of the kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MissingImage => "missing image",
            Self::MissingAnnotation(_) => "missing annotation",
            Self::UnknownLabel(_) => "unknown label",
            Self::UnknownSplit(_) => "unknown split",
            Self::NoExpression(_) => "no expression",
            Self::OutsideSet(_) => "outside the set",
            Self::Malformed(_) => "malformed",
            Self::Duplicate => "duplicate name",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Self::MissingImage | Self::Duplicate => Ok(()),
            Self::OutsideSet(expression) => write!(f, ": {expression}"),
            Self::UnknownLabel(text) | Self::UnknownSplit(text) => write!(f, ": {text:?}"),
            Self::MissingAnnotation(text)
            | Self::NoExpression(text)
            | Self::Malformed(text)
            | Self::Unreadable(text) => write!(f, ": {text}"),
        }
    }
}

/// An item that is not among the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The record, row or file.
    pub item: String,
    /// Its split, where known.
    pub split: Option<Split>,
    /// Why.
    pub reason: SkipReason,
}

/// A data set as read: what is there and what was left out.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The layout it was read in.
    pub layout: Layout,
    /// The folder or archive.
    pub root: PathBuf,
    /// The records, in an order that depends on the files alone.
    pub records: Vec<Record>,
    /// Everything left out, with its reason.
    pub skipped: Vec<Skipped>,
}

impl Dataset {
    /// Records per split and expression label.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(Option<Split>, Option<Expression>), usize> {
        let mut counts = BTreeMap::new();
        for record in &self.records {
            *counts.entry((record.split, record.expression)).or_default() += 1;
        }
        counts
    }

    /// Skipped items per kind of reason.
    #[must_use]
    pub fn skipped_counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for skipped in &self.skipped {
            *counts.entry(skipped.reason.kind()).or_default() += 1;
        }
        counts
    }

    /// Subjects that occur in more than one split, sorted; a sound protocol has none.
    #[must_use]
    pub fn subjects_in_several_splits(&self) -> Vec<String> {
        let mut splits: BTreeMap<&str, HashSet<Option<Split>>> = BTreeMap::new();
        for record in &self.records {
            if let Some(subject) = &record.subject {
                splits.entry(subject).or_default().insert(record.split);
            }
        }
        let several = splits.into_iter().filter(|(_, s)| s.len() > 1);
        several.map(|(subject, _)| subject.to_owned()).collect()
    }
}

/// Gathers records and skipped items while a reader runs.
pub(crate) struct Gather<'a> {
    options: &'a ReadOptions,
    records: Vec<Record>,
    skipped: Vec<Skipped>,
    names: HashSet<String>,
}

impl<'a> Gather<'a> {
    pub(crate) fn new(options: &'a ReadOptions) -> Self {
        Self {
            options,
            records: Vec::new(),
            skipped: Vec::new(),
            names: HashSet::new(),
        }
    }

    /// The place of an image; when it is missing the item is skipped, or kept if so asked.
    pub(crate) fn image(
        &mut self,
        tree: &Tree,
        path: &str,
        split: Option<Split>,
    ) -> Option<crate::ImageSource> {
        if let Some(source) = tree.source(path) {
            return Some(source);
        }
        if self.options.keep_missing_images {
            return Some(crate::ImageSource::file(tree.locate(path)));
        }
        self.skip(path, split, SkipReason::MissingImage);
        None
    }

    /// Adds a record of the wanted split and set; one of another split is passed over silently.
    pub(crate) fn add(&mut self, mut record: Record) {
        record.split = record.split.or(self.options.unsplit);
        if !self.wants(record.split) {
            return;
        }
        match record.expression {
            Some(e) if !self.options.set.contains(e) => {
                self.skip(&record.id, record.split, SkipReason::OutsideSet(e));
            }
            _ if !self.names.insert(record.id.clone()) => {
                self.skip(&record.id, record.split, SkipReason::Duplicate);
            }
            _ => self.records.push(record),
        }
    }

    /// Notes an item that is left out.
    pub(crate) fn skip(&mut self, item: &str, split: Option<Split>, reason: SkipReason) {
        let split = split.or(self.options.unsplit);
        if split.is_none() || self.wants(split) {
            self.skipped.push(Skipped {
                item: item.to_owned(),
                split,
                reason,
            });
        }
    }

    /// Whether a record of this name was added.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.names.contains(id)
    }

    fn wants(&self, split: Option<Split>) -> bool {
        self.options.split.is_none() || self.options.split == split
    }

    pub(crate) fn finish(mut self, layout: Layout, tree: &Tree) -> Dataset {
        for (path, reason) in tree.unreadable() {
            self.skip(path, None, SkipReason::Unreadable(reason.clone()));
        }
        Dataset {
            layout,
            root: tree.root().to_path_buf(),
            records: self.records,
            skipped: self.skipped,
        }
    }
}
