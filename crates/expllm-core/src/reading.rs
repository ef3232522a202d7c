//! What is read from one face.

use std::collections::BTreeMap;
use std::ops::Index;

use serde::{Deserialize, Serialize};

use crate::{ActionUnit, CoreError, ExpressionProbabilities, HeadPose, Intensity};

/// The intensity of each action unit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AuVector([Intensity; ActionUnit::COUNT]);

impl AuVector {
    /// Clamps 24 numbers in AU order into [0, 1]; NaN becomes 0.
    #[must_use]
    pub fn from_clamped(values: [f32; ActionUnit::COUNT]) -> Self {
        Self(values.map(Intensity::clamped))
    }

    /// Reads 24 numbers in AU order, as in the official annotation files.
    ///
    /// # Errors
    ///
    /// [`CoreError::WrongLength`] or [`CoreError::OutOfUnitRange`].
    pub fn from_slice(values: &[f32]) -> Result<Self, CoreError> {
        if values.len() != ActionUnit::COUNT {
            return Err(CoreError::WrongLength {
                what: "an action unit vector",
                expected: ActionUnit::COUNT,
                found: values.len(),
            });
        }
        let mut vector = Self::default();
        for (slot, &value) in vector.0.iter_mut().zip(values) {
            *slot = Intensity::new(value)?;
        }
        Ok(vector)
    }

    /// The numbers in AU order.
    #[must_use]
    pub fn values(&self) -> [f32; ActionUnit::COUNT] {
        self.0.map(Intensity::get)
    }

    /// Sets one unit.
    pub fn set(&mut self, unit: ActionUnit, intensity: Intensity) {
        self.0[unit.index()] = intensity;
    }

    /// Each unit with its intensity, in AU order.
    pub fn iter(&self) -> impl Iterator<Item = (ActionUnit, Intensity)> + '_ {
        ActionUnit::ALL.into_iter().zip(self.0)
    }

    /// The active units from the strongest to the weakest; ties keep AU order.
    #[must_use]
    pub fn active(&self) -> Vec<(ActionUnit, Intensity)> {
        let mut active: Vec<_> = self.iter().filter(|(_, i)| i.is_active()).collect();
        active.sort_by(|a, b| b.1.get().total_cmp(&a.1.get()));
        active
    }

    /// The units of the mirrored photo.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self(ActionUnit::ALL.map(|unit| self[unit.mirrored()]))
    }
}

impl Index<ActionUnit> for AuVector {
    type Output = Intensity;

    fn index(&self, unit: ActionUnit) -> &Intensity {
        &self.0[unit.index()]
    }
}

impl Serialize for AuVector {
    /// Writes a map from snake-case name to intensity, in AU order.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(unit, value)| (unit.snake_case(), value)))
    }
}

impl<'de> Deserialize<'de> for AuVector {
    /// Reads a map from unit to intensity; units that are not named are zero.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<ActionUnit, Intensity>::deserialize(deserializer)?;
        let mut vector = Self::default();
        for (unit, intensity) in named {
            vector.set(unit, intensity);
        }
        Ok(vector)
    }
}

/// Everything that an AU detector reads from one face.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuReading {
    /// Intensity of each action unit.
    pub action_units: AuVector,
    /// Probability of each expression.
    pub probabilities: ExpressionProbabilities,
    /// Rotation of the head in the photo.
    pub head_pose: HeadPose,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_check_length_and_range() {
        assert!(AuVector::from_slice(&[0.0; 23]).is_err());
        assert!(AuVector::from_slice(&[1.5; 24]).is_err());
        assert!(AuVector::from_slice(&[0.5; 24]).is_ok());
    }

    #[test]
    fn active_units_come_strongest_first() {
        let mut vector = AuVector::default();
        vector.set(ActionUnit::JawDrop, Intensity::clamped(0.4));
        vector.set(ActionUnit::NoseWrinkle, Intensity::clamped(0.9));
        vector.set(ActionUnit::ChinRaise, Intensity::clamped(0.1));
        let names: Vec<_> = vector.active().into_iter().map(|(unit, _)| unit).collect();
        assert_eq!(names, [ActionUnit::NoseWrinkle, ActionUnit::JawDrop]);
    }

    #[test]
    fn json_round_trips_in_au_order() {
        let values = std::array::from_fn(|i| i as f32 / 23.0);
        let vector = AuVector::from_clamped(values);
        let json = serde_json::to_string(&vector).unwrap();
        assert!(json.starts_with("{\"left_eye_close\":0.0,\"right_eye_close\":"));
        assert_eq!(serde_json::from_str::<AuVector>(&json).unwrap(), vector);
        assert_eq!(vector.mirrored().mirrored(), vector);
    }
}
