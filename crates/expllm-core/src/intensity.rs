//! Intensities, probabilities and the scales between which they convert.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::CoreError;

/// Intensity above which a unit counts as active in text and checks.
pub const ACTIVE_THRESHOLD: f32 = 0.2;

macro_rules! unit_interval {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f32", into = "f32")]
        pub struct $name(f32);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0.0);
            /// One.
            pub const ONE: Self = Self(1.0);

            /// Checks that the number lies in [0, 1].
            ///
            /// # Errors
            ///
            /// [`CoreError::OutOfUnitRange`] otherwise, also for NaN.
            pub fn new(value: f32) -> Result<Self, CoreError> {
                if (0.0..=1.0).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err(CoreError::OutOfUnitRange { what: $what, value })
                }
            }

            /// The nearest number in [0, 1]; NaN becomes 0.
            #[must_use]
            pub fn clamped(value: f32) -> Self {
                if value.is_nan() { Self(0.0) } else { Self(value.clamp(0.0, 1.0)) }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> f32 {
                self.0
            }
        }

        impl TryFrom<f32> for $name {
            type Error = CoreError;
            fn try_from(value: f32) -> Result<Self, CoreError> {
                Self::new(value)
            }
        }

        impl From<$name> for f32 {
            fn from(value: $name) -> f32 {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

unit_interval! {
    /// How strongly a unit acts: 0 (not at all) to 1 (the most the face can do).
    ///
    /// Readings of the project's own networks are calibrated on faces that people rated: what
    /// they call slight begins at 0.2 ([`ACTIVE_THRESHOLD`]), clear at 0.375 and strong at 0.675,
    /// with 0.25, 0.5 and 0.85 in the middle of each.
    Intensity, "an intensity"
}

unit_interval! {
    /// How likely something is: 0 to 1.
    Probability, "a probability"
}

/// A FACS intensity grade, A (trace) to E (maximum), with its 0-5 number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FacsGrade {
    /// Not present (0).
    Absent,
    /// Trace (1).
    A,
    /// Slight (2).
    B,
    /// Marked or pronounced (3).
    C,
    /// Severe or extreme (4).
    D,
    /// Maximum (5).
    E,
}

impl FacsGrade {
    /// All grades, absent first.
    pub const ALL: [Self; 6] = [Self::Absent, Self::A, Self::B, Self::C, Self::D, Self::E];

    /// The grade of an ordinal value of DISFA and similar sets, 0 to 5.
    #[must_use]
    pub fn from_ordinal(value: u8) -> Option<Self> {
        Self::ALL.get(usize::from(value)).copied()
    }

    /// The ordinal value, 0 to 5.
    #[must_use]
    pub const fn ordinal(self) -> u8 {
        self as u8
    }
}

impl Intensity {
    /// The nearest FACS grade when grade `n` stands at `n / 5`.
    #[must_use]
    pub fn to_facs(self) -> FacsGrade {
        FacsGrade::ALL[(self.0 * 5.0).round() as usize]
    }

    /// The intensity `n / 5` of FACS grade `n`.
    #[must_use]
    pub fn from_facs(grade: FacsGrade) -> Self {
        Self(f32::from(grade.ordinal()) / 5.0)
    }

    /// The word band that the intensity falls into.
    #[must_use]
    pub fn strength(self) -> Strength {
        match self.0 {
            v if v <= ACTIVE_THRESHOLD => Strength::Absent,
            v if v < 0.4 => Strength::Slight,
            v if v < 0.65 => Strength::Moderate,
            _ => Strength::Strong,
        }
    }

    /// Whether the unit counts as active: above [`ACTIVE_THRESHOLD`].
    #[must_use]
    pub fn is_active(self) -> bool {
        self.0 > ACTIVE_THRESHOLD
    }
}

/// Bands of intensity as text names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Up to [`ACTIVE_THRESHOLD`].
    Absent,
    /// Above 0.2, below 0.4.
    Slight,
    /// From 0.4 to below 0.65.
    Moderate,
    /// From 0.65.
    Strong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_is_checked_and_clamped() {
        assert!(Intensity::new(f32::NAN).is_err());
        assert!(Probability::new(1.0001).is_err());
        assert_eq!(Intensity::clamped(f32::NAN), Intensity::ZERO);
        assert_eq!(Intensity::clamped(7.0), Intensity::ONE);
        assert!(serde_json::from_str::<Intensity>("-0.1").is_err());
    }

    #[test]
    fn facs_grades_round_trip() {
        for grade in FacsGrade::ALL {
            assert_eq!(Intensity::from_facs(grade).to_facs(), grade);
            assert_eq!(FacsGrade::from_ordinal(grade.ordinal()), Some(grade));
        }
        assert_eq!(FacsGrade::from_ordinal(6), None);
    }

    #[test]
    fn strength_bands_start_where_activity_starts() {
        assert_eq!(
            Intensity::clamped(ACTIVE_THRESHOLD).strength(),
            Strength::Absent
        );
        assert!(!Intensity::clamped(ACTIVE_THRESHOLD).is_active());
        assert_eq!(Intensity::clamped(0.2001).strength(), Strength::Slight);
        assert!(Intensity::clamped(0.2001).is_active());
    }
}
