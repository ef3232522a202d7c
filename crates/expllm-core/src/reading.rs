//! What is read from one face.

use std::collections::BTreeMap;
use std::ops::Index;

use serde::{Deserialize, Serialize};

use crate::{ActionUnit, CoreError, ExpressionProbabilities, Intensity};

/// Intensities of action units, as far as they were measured.
///
/// A unit that was not measured is not a unit at rest: [`get`](Self::get) tells the two apart,
/// iteration passes over it, and JSON leaves it out. Indexing reads an unmeasured unit as 0, for
/// callers to whom only movement matters.
///
/// ```
/// use expllm_core::{ActionUnit, AuVector, Intensity};
///
/// let mut units = AuVector::default();
/// units.set(ActionUnit::JawDrop, Intensity::clamped(0.4));
/// assert_eq!(units.get(ActionUnit::JawDrop), Some(Intensity::clamped(0.4)));
/// assert_eq!(units.get(ActionUnit::LipPress), None);
/// assert_eq!(units[ActionUnit::LipPress], Intensity::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AuVector([Option<Intensity>; ActionUnit::COUNT]);

impl AuVector {
    /// A face at rest: every unit measured, none moved.
    pub const REST: Self = Self([Some(Intensity::ZERO); ActionUnit::COUNT]);

    /// All 35 units, measured: numbers in AU order, clamped into [0, 1]; NaN becomes 0.
    #[must_use]
    pub fn from_clamped(values: [f32; ActionUnit::COUNT]) -> Self {
        Self(values.map(|value| Some(Intensity::clamped(value))))
    }

    /// The 24 units of FEAFA, measured, and no other: numbers in AU order, clamped into [0, 1];
    /// NaN becomes 0.
    #[must_use]
    pub fn from_feafa_clamped(values: [f32; ActionUnit::FEAFA_COUNT]) -> Self {
        let mut vector = Self::default();
        for (slot, value) in vector.0.iter_mut().zip(values) {
            *slot = Some(Intensity::clamped(value));
        }
        vector
    }

    /// Reads the 24 numbers of an official annotation; the other units stay unmeasured.
    ///
    /// # Errors
    ///
    /// [`CoreError::WrongLength`] or [`CoreError::OutOfUnitRange`].
    pub fn from_feafa(values: &[f32]) -> Result<Self, CoreError> {
        if values.len() != ActionUnit::FEAFA_COUNT {
            return Err(CoreError::WrongLength {
                what: "an action unit vector",
                expected: ActionUnit::FEAFA_COUNT,
                found: values.len(),
            });
        }
        let mut vector = Self::default();
        for (slot, &value) in vector.0.iter_mut().zip(values) {
            *slot = Some(Intensity::new(value)?);
        }
        Ok(vector)
    }

    /// The numbers of the units of FEAFA, for files in the official form; 0 where unmeasured.
    #[must_use]
    pub fn feafa(&self) -> [f32; ActionUnit::FEAFA_COUNT] {
        ActionUnit::FEAFA.map(|unit| self[unit].get())
    }

    /// The numbers of all units in AU order; 0 where unmeasured.
    #[must_use]
    pub fn values(&self) -> [f32; ActionUnit::COUNT] {
        ActionUnit::ALL.map(|unit| self[unit].get())
    }

    /// The intensity of a unit, `None` where it was not measured.
    #[must_use]
    pub fn get(&self, unit: ActionUnit) -> Option<Intensity> {
        self.0[unit.index()]
    }

    /// Sets one unit, which is measured from now on.
    pub fn set(&mut self, unit: ActionUnit, intensity: Intensity) {
        self.0[unit.index()] = Some(intensity);
    }

    /// Forgets one unit, which is unmeasured from now on.
    pub fn clear(&mut self, unit: ActionUnit) {
        self.0[unit.index()] = None;
    }

    /// Whether the units of FEAFA were measured and no other, as in the official data.
    #[must_use]
    pub fn is_feafa(&self) -> bool {
        let mut units = ActionUnit::ALL.into_iter();
        units.all(|unit| self.get(unit).is_some() == unit.is_feafa())
    }

    /// Each measured unit with its intensity, in AU order.
    pub fn iter(&self) -> impl Iterator<Item = (ActionUnit, Intensity)> + '_ {
        let units = ActionUnit::ALL.into_iter().zip(self.0);
        units.filter_map(|(unit, intensity)| Some((unit, intensity?)))
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
        Self(ActionUnit::ALL.map(|unit| self.get(unit.mirrored())))
    }
}

impl Default for AuVector {
    /// Nothing measured.
    fn default() -> Self {
        Self([None; ActionUnit::COUNT])
    }
}

impl Index<ActionUnit> for AuVector {
    type Output = Intensity;

    /// The intensity of a unit; 0 where it was not measured.
    fn index(&self, unit: ActionUnit) -> &Intensity {
        self.0[unit.index()].as_ref().unwrap_or(&Intensity::ZERO)
    }
}

impl Serialize for AuVector {
    /// Writes a map from snake-case name to intensity of the measured units, in AU order.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(unit, value)| (unit.snake_case(), value)))
    }
}

impl<'de> Deserialize<'de> for AuVector {
    /// Reads a map from unit to intensity; units that are not named are unmeasured.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<ActionUnit, Intensity>::deserialize(deserializer)?;
        let mut vector = Self::default();
        for (unit, intensity) in named {
            vector.set(unit, intensity);
        }
        Ok(vector)
    }
}

/// What an AU detector reads from one face.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuReading {
    /// Intensities of the units that it measures.
    pub action_units: AuVector,
    /// Probability of each expression; `None` of a detector that reads units alone.
    pub probabilities: Option<ExpressionProbabilities>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_check_length_and_range() {
        assert!(AuVector::from_feafa(&[0.0; 23]).is_err());
        assert!(AuVector::from_feafa(&[1.5; 24]).is_err());
        assert!(AuVector::from_feafa(&[0.5; 24]).is_ok());
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
        let vector = AuVector::from_feafa_clamped(values);
        assert!(vector.is_feafa() && !AuVector::REST.is_feafa());
        let json = serde_json::to_string(&vector).unwrap();
        assert!(json.starts_with("{\"left_eye_close\":0.0,\"right_eye_close\":"));
        assert_eq!(serde_json::from_str::<AuVector>(&json).unwrap(), vector);
        assert_eq!(vector.mirrored().mirrored(), vector);
    }
}
