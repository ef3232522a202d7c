//! FACS codes as AU data sets write them.

use std::fmt;
use std::str::FromStr;

use expllm_core::FacsGrade;
use serde::{Deserialize, Serialize};

use crate::DataError;

/// The side of a one-sided FACS code, as the photographed person would say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FacsSide {
    /// Both sides, or not said.
    Both,
    /// The subject's left (`L14`).
    Left,
    /// The subject's right (`R14`).
    Right,
}

/// A FACS action unit: its number, 1 to 99, and its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FacsUnit {
    number: u8,
    side: FacsSide,
}

impl FacsUnit {
    /// The unit with a number, on both sides; `None` unless it is 1 to 99.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (1..100).contains(&number).then_some(Self {
            number,
            side: FacsSide::Both,
        })
    }

    /// The FACS number, 1 to 99.
    #[must_use]
    pub fn number(self) -> u8 {
        self.number
    }

    /// The side.
    #[must_use]
    pub fn side(self) -> FacsSide {
        self.side
    }
}

impl fmt::Display for FacsUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            FacsSide::Both => "",
            FacsSide::Left => "L",
            FacsSide::Right => "R",
        };
        f.pad(&format!("{side}{}", self.number))
    }
}

impl FromStr for FacsUnit {
    type Err = DataError;

    /// Reads `12`, `AU12`, `AU012`, `L14` and `R2` in any letter case.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let upper = text.trim().to_ascii_uppercase();
        let rest = upper.strip_prefix("AU").unwrap_or(&upper);
        let (side, digits) = match rest.as_bytes().first() {
            Some(b'L') => (FacsSide::Left, &rest[1..]),
            Some(b'R') => (FacsSide::Right, &rest[1..]),
            _ => (FacsSide::Both, rest),
        };
        let unit = digits.parse().ok().and_then(Self::new);
        unit.map(|unit| Self { side, ..unit })
            .ok_or_else(|| DataError::UnknownFacsUnit(text.to_owned()))
    }
}

/// What a coder says of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FacsLabel {
    /// Coded as not there.
    Absent,
    /// There, without a grade.
    Present,
    /// Graded; [`FacsGrade::Absent`] is grade 0.
    Grade(FacsGrade),
}

impl FacsLabel {
    /// Whether the unit is there when grades count from `least` on (DISFA's custom: B, 2 of 5).
    #[must_use]
    pub fn occurs(self, least: FacsGrade) -> bool {
        match self {
            Self::Absent => false,
            Self::Present => true,
            Self::Grade(grade) => grade >= least && grade > FacsGrade::Absent,
        }
    }

    /// The ordinal grade, 0 to 5; presence without a grade has none.
    #[must_use]
    pub fn ordinal(self) -> Option<u8> {
        match self {
            Self::Absent => Some(0),
            Self::Present => None,
            Self::Grade(grade) => Some(grade.ordinal()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_in_every_spelling() {
        for (text, shown) in [("12", "12"), ("AU06", "6"), ("l14", "L14"), ("AUR2", "R2")] {
            assert_eq!(text.parse::<FacsUnit>().unwrap().to_string(), shown);
        }
        for text in ["", "0", "AU", "100", "12a", "é"] {
            assert!(text.parse::<FacsUnit>().is_err(), "{text}");
        }
    }

    #[test]
    fn occurrence_depends_on_the_least_grade() {
        let trace = FacsLabel::Grade(FacsGrade::A);
        assert!(trace.occurs(FacsGrade::A) && !trace.occurs(FacsGrade::B));
        assert!(FacsLabel::Present.occurs(FacsGrade::E));
        assert!(!FacsLabel::Grade(FacsGrade::Absent).occurs(FacsGrade::Absent));
    }
}
