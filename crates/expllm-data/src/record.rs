//! The record: one face with everything that its data set says of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use expllm_core::{AuVector, Expression, FaceBox, Point};
use serde::{Deserialize, Serialize};

use crate::{DataError, FacsLabel, FacsUnit, ImageSource};

/// The part of a data set that a record belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For training.
    Train,
    /// For choosing between models.
    Valid,
    /// For the final figures.
    Test,
}

impl Split {
    /// The split of a folder or column value: `train`, `val_class`, `PublicTest`, ...
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        match name.strip_suffix("_class").unwrap_or(&name) {
            "train" | "training" | "train_set" | "trainnew" | "fer2013train" => Some(Self::Train),
            "valid" | "val" | "validation" | "val_set" | "dev" | "publictest" | "validnew"
            | "fer2013valid" => Some(Self::Valid),
            "test" | "testing" | "test_set" | "privatetest" | "fer2013test" => Some(Self::Test),
            _ => None,
        }
    }

    /// `train`, `valid` or `test`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Split {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::from_name(text).ok_or_else(|| DataError::UnknownSplit(text.to_owned()))
    }
}

/// A compound expression of RAF-DB, such as happily surprised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Compound {
    /// How (happily).
    pub manner: Expression,
    /// What (surprised).
    pub main: Expression,
}

/// How many of ten people chose each answer (FERPlus).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Votes {
    /// Votes per expression, in expression order.
    pub expressions: [u8; Expression::COUNT],
    /// Votes for "unknown".
    pub unknown: u8,
    /// Votes for "not a face".
    pub not_a_face: u8,
}

impl Votes {
    /// The expression with the most votes, when it beats every other answer; ties give nothing.
    #[must_use]
    pub fn majority(&self) -> Option<Expression> {
        let most = *self.expressions.iter().max()?;
        let mut best = Expression::ALL
            .into_iter()
            .filter(|e| self.expressions[e.index()] == most);
        let first = best.next()?;
        let clear = best.next().is_none() && most > self.unknown && most > self.not_a_face;
        clear.then_some(first)
    }
}

/// One face with its labels; what a data set does not say is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Name that is unique in the data set: usually the path of the image below the root.
    pub id: String,
    /// Where the image is.
    pub image: ImageSource,
    /// Part of the data set.
    pub split: Option<Split>,
    /// The person shown.
    pub subject: Option<String>,
    /// Expression label.
    pub expression: Option<Expression>,
    /// Compound expression (RAF-DB compound).
    pub compound: Option<Compound>,
    /// Votes (FERPlus).
    pub votes: Option<Votes>,
    /// The label as the data set writes it, also when it is no basic expression.
    pub label_text: Option<String>,
    /// The 24 intensities of FEAFA and of the official data.
    pub action_units: Option<AuVector>,
    /// FACS codes; a unit that nobody coded is absent from the map.
    pub facs: BTreeMap<FacsUnit, FacsLabel>,
    /// The face in pixels of the image.
    pub face_box: Option<FaceBox>,
    /// Landmarks in pixels of the image, in the data set's own scheme (5 or 68 points).
    pub landmarks: Vec<Point>,
    /// Explanation in words.
    pub description: Option<String>,
    /// Frame number in its video.
    pub frame: Option<u32>,
}

impl Record {
    /// A record of an image about which nothing else is known.
    #[must_use]
    pub fn new(id: impl Into<String>, image: ImageSource) -> Self {
        Self {
            id: id.into(),
            image,
            split: None,
            subject: None,
            expression: None,
            compound: None,
            votes: None,
            label_text: None,
            action_units: None,
            facs: BTreeMap::new(),
            face_box: None,
            landmarks: Vec::new(),
            description: None,
            frame: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_names_are_read() {
        for split in [Split::Train, Split::Valid, Split::Test] {
            assert_eq!(Split::from_name(split.name()), Some(split));
        }
        assert_eq!("PublicTest".parse::<Split>().unwrap(), Split::Valid);
        assert_eq!(Split::from_name("val_class"), Some(Split::Valid));
        assert!("happy".parse::<Split>().is_err());
    }

    #[test]
    fn only_clear_majorities_count() {
        let mut votes = Votes {
            expressions: [4, 3, 0, 0, 0, 0, 0, 0],
            unknown: 3,
            not_a_face: 0,
        };
        assert_eq!(votes.majority(), Some(Expression::Neutral));
        votes.expressions[1] = 4;
        assert_eq!(votes.majority(), None);
        votes.expressions[1] = 0;
        votes.unknown = 5;
        assert_eq!(votes.majority(), None);
    }
}
