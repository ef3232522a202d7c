//! The layouts by name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::readers;
use crate::{DataError, Dataset, ReadOptions};

macro_rules! layouts {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $reader:path;)*) => {
        /// How a data set lies on disk.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Layout {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Layout {
            /// All layouts.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Name on the command line, such as `folder`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Reads a data set below a folder, or from a `.tar` of it.
            ///
            /// Bad rows, missing images and unknown labels are among [`Dataset::skipped`].
            ///
            /// # Errors
            ///
            /// When the root cannot be read or the layout's own files are not in it.
            pub fn read(self, root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
                match self { $(Self::$variant => $reader(root, options),)* }
            }
        }
    };
}

layouts! {
    /// One folder per class, below one folder per split or none: `[train/]happy/1.jpg`.
    Folder, "folder", readers::folder::read;
    /// CSV files with columns `file,expression`, and `split` and `subject` if wanted, beside
    /// the images; a file called `train.csv` or `valid.csv` names the split of its rows.
    Csv, "csv", readers::csv::read;
    /// FER2013 as one CSV file of pixels.
    Fer2013Csv, "fer2013-csv", readers::fer::read_csv;
    /// FERPlus votes over FER2013.
    FerPlus, "ferplus", readers::fer::read_votes;
    /// RAF-DB, basic expressions.
    RafDb, "rafdb", readers::rafdb::read_basic;
    /// RAF-DB, compound expressions.
    RafDbCompound, "rafdb-compound", readers::rafdb::read_compound;
    /// AffectNet as distributed, or as lists of file and id.
    AffectNet, "affectnet", readers::affectnet::read;
    /// The AffectNet sample of Kaggle.
    AffectNetKaggle, "affectnet-kaggle", readers::affectnet::read_kaggle;
    /// CK+ and sets in its folders: the peak frame of each sequence.
    CkPlus, "ckplus", readers::ckplus::read;
    /// DISFA: graded units per frame.
    Disfa, "disfa", readers::frames::read_disfa;
    /// DISFA+: graded units per frame and trial.
    DisfaPlus, "disfa-plus", readers::frames::read_disfa_plus;
    /// BP4D: occurrence of units per frame.
    Bp4d, "bp4d", readers::frames::read_bp4d;
    /// FEAFA and FEAFA+: 24 intensities per frame.
    Feafa, "feafa", readers::frames::read_feafa;
    /// CASME II: the apex of each micro-expression.
    Casme2, "casme2", readers::micro::read_casme2;
    /// SAMM: the apex of each micro-expression.
    Samm, "samm", readers::micro::read_samm;
    /// LLaVA, ShareGPT and EmoLA conversations.
    Llava, "llava", readers::llava::read;
    /// The official ExpLLM annotation JSON, beside its images.
    ExpllmJson, "expllm-json", readers::expllm::read_json;
    /// The official ExpLLM list files: lines `json_path,image_root[,repeat]`.
    ExpllmList, "expllm-list", readers::expllm::read_list;
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Layout {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let known = || Self::ALL.iter().map(|l| l.name()).collect::<Vec<_>>();
        Self::ALL
            .iter()
            .copied()
            .find(|layout| layout.name() == text)
            .ok_or_else(|| DataError::UnknownLayout {
                found: text.to_owned(),
                known: known().join(", "),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_are_unique() {
        for layout in Layout::ALL {
            assert_eq!(layout.name().parse::<Layout>().unwrap(), *layout);
        }
        let error = "fer-2013".parse::<Layout>().unwrap_err().to_string();
        assert!(error.contains("folder, csv"), "{error}");
    }

    #[test]
    fn every_layout_refuses_an_empty_root() {
        let empty = tempfile::tempdir().unwrap();
        for layout in Layout::ALL {
            let error = layout.read(empty.path(), &ReadOptions::default());
            assert!(
                matches!(error, Err(DataError::NotThisLayout { .. })),
                "{layout}: {error:?}"
            );
            assert!(
                layout
                    .read(&empty.path().join("no"), &ReadOptions::default())
                    .is_err()
            );
        }
    }
}
