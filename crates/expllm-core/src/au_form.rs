//! The form of action units in data sets: the official list where it can say everything.
//!
//! Official records hold a list of the 24 numbers of FEAFA. A reading of just these units is
//! written so; any other by name, which leaves out what was not measured. For `#[serde(with)]` on a
//! field of type `Option<AuVector>`, which wants `#[serde(default)]` beside it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AuVector, CoreError};

/// Units as a record holds them, not checked yet.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum AuForm {
    /// Numbers in AU order; the 24 of FEAFA.
    List(Vec<f32>),
    /// Intensities by name.
    Named(Box<AuVector>),
}

impl AuForm {
    /// The units.
    ///
    /// # Errors
    ///
    /// A list that has not 24 numbers in [0, 1].
    pub fn units(self) -> Result<AuVector, CoreError> {
        match self {
            Self::List(values) => AuVector::from_feafa(&values),
            Self::Named(units) => Ok(*units),
        }
    }
}

/// Writes a list of 24 numbers, a map by name, or nothing.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(
    units: &Option<AuVector>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match units {
        None => serializer.serialize_none(),
        Some(units) if units.is_feafa() => units.feafa().serialize(serializer),
        Some(units) => units.serialize(serializer),
    }
}

/// Reads a list of 24 numbers or a map by name.
///
/// # Errors
///
/// A list of another length, a name that is no unit, or a number outside of [0, 1].
pub fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<AuVector>, D::Error> {
    let form = Option::<AuForm>::deserialize(deserializer)?;
    let units = form.map(AuForm::units).transpose();
    units.map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{ActionUnit, Intensity};

    #[derive(Serialize, Deserialize)]
    struct Holder(#[serde(with = "super")] Option<AuVector>);

    fn there_and_back(units: AuVector) -> serde_json::Value {
        let json = serde_json::to_value(Holder(Some(units))).unwrap();
        let back: Holder = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(back.0, Some(units));
        json
    }

    #[test]
    fn official_units_are_a_list_and_others_are_named() {
        let feafa = AuVector::from_feafa_clamped([0.5; 24]);
        assert_eq!(there_and_back(feafa), json!(vec![0.5; 24]));
        let mut one = AuVector::default();
        one.set(ActionUnit::LipPress, Intensity::clamped(0.25));
        assert_eq!(there_and_back(one), json!({"lip_press": 0.25}));
        assert_eq!(
            there_and_back(AuVector::REST).as_object().unwrap().len(),
            35
        );
    }
}
