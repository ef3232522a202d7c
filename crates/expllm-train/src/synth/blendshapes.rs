//! Action units as combinations of the kit's expression shapes.
//!
//! `_L` in the kit is the subject's left (positive x), as in this project; a test holds the
//! shapes against the geometry.

use expllm_core::{ActionUnit, AuVector};

use super::facekit::FaceKit;

/// The shapes that one unit moves, with the weight of each at intensity 1.
///
/// The main shape is the one that `expllm-core` names as nearest (ARKit name); the others are
/// what the same muscle moves along with it.
#[must_use]
pub fn shapes_of(unit: ActionUnit) -> &'static [(&'static str, f32)] {
    match unit {
        ActionUnit::LeftEyeClose => &[("eyeBlink_L", 1.0)],
        ActionUnit::RightEyeClose => &[("eyeBlink_R", 1.0)],
        ActionUnit::LeftLidRaise => &[("eyeWide_L", 1.5)],
        ActionUnit::RightLidRaise => &[("eyeWide_R", 1.5)],
        ActionUnit::LeftBrowLower => &[("browDown_L", 1.3)],
        ActionUnit::RightBrowLower => &[("browDown_R", 1.3)],
        ActionUnit::LeftBrowRaise => &[("browOuterUp_L", 0.95), ("browInnerUp_L", 0.85)],
        ActionUnit::RightBrowRaise => &[("browOuterUp_R", 0.95), ("browInnerUp_R", 0.85)],
        ActionUnit::JawDrop => &[("jawOpen", 0.95)],
        ActionUnit::JawSlideLeft => &[("jawLeft", 1.35), ("mouthLeft", 0.2)],
        ActionUnit::JawSlideRight => &[("jawRight", 1.35), ("mouthRight", 0.2)],
        ActionUnit::LeftLipCornerPull => &[("mouthSmile_L", 1.15)],
        ActionUnit::RightLipCornerPull => &[("mouthSmile_R", 1.15)],
        ActionUnit::LeftLipCornerStretch => &[("mouthStretch_L", 1.0)],
        ActionUnit::RightLipCornerStretch => &[("mouthStretch_R", 1.0)],
        ActionUnit::UpperLipSuck => &[("mouthRollUpper", 1.0)],
        ActionUnit::LowerLipSuck => &[("mouthRollLower", 1.0)],
        ActionUnit::JawThrust => &[("jawForward", 1.3)],
        ActionUnit::UpperLipRaise => &[("mouthUpperUp_L", 1.0), ("mouthUpperUp_R", 1.0)],
        ActionUnit::LowerLipDepress => &[("mouthLowerDown_L", 1.5), ("mouthLowerDown_R", 1.5)],
        ActionUnit::ChinRaise => &[("mouthShrugLower", 1.0), ("mouthShrugUpper", 0.5)],
        ActionUnit::LipPucker => &[("mouthPucker", 1.0)],
        ActionUnit::CheekPuff => &[("cheekPuff_L", 1.0), ("cheekPuff_R", 1.0)],
        ActionUnit::NoseWrinkle => &[("noseSneer_L", 1.0), ("noseSneer_R", 1.0)],
        ActionUnit::LeftInnerBrowRaise => &[("browInnerUp_L", 1.1)],
        ActionUnit::RightInnerBrowRaise => &[("browInnerUp_R", 1.1)],
        ActionUnit::LeftLidTighten => &[("eyeSquint_L", 1.2)],
        ActionUnit::RightLidTighten => &[("eyeSquint_R", 1.2)],
        ActionUnit::LeftCheekRaise => &[("cheekSquint_L", 1.2), ("cheekRaiser_L", 0.8)],
        ActionUnit::RightCheekRaise => &[("cheekSquint_R", 1.2), ("cheekRaiser_R", 0.8)],
        ActionUnit::LeftDimple => &[("mouthDimple_L", 1.2)],
        ActionUnit::RightDimple => &[("mouthDimple_R", 1.2)],
        ActionUnit::LeftLipCornerDepress => &[("mouthFrown_L", 1.1)],
        ActionUnit::RightLipCornerDepress => &[("mouthFrown_R", 1.1)],
        ActionUnit::LipPress => &[("mouthPress_L", 1.1), ("mouthPress_R", 1.1)],
    }
}

/// Movements that no unit names: seen in every face, labelled by none of the units.
#[must_use]
pub fn is_nuisance(shape: &str) -> bool {
    !ActionUnit::ALL
        .into_iter()
        .any(|unit| shapes_of(unit).iter().any(|(name, _)| *name == shape))
}

/// From intensities to a weight for each expression shape of a kit.
#[derive(Debug, Clone)]
pub(crate) struct BlendshapeMap {
    names: Vec<String>,
    /// For each unit in AU order, the places of its shapes in the kit with their weights.
    units: Vec<Vec<(usize, f32)>>,
}

impl BlendshapeMap {
    /// Finds the shapes of every unit in a kit; the error names the first that is missing.
    pub fn new(kit: &FaceKit) -> Result<Self, String> {
        let place = |name: &str| {
            (kit.expression_names.iter())
                .position(|known| known == name)
                .ok_or_else(|| format!("no expression shape {name:?}"))
        };
        let units = ActionUnit::ALL
            .into_iter()
            .map(|unit| {
                (shapes_of(unit).iter())
                    .map(|&(name, weight)| Ok((place(name)?, weight)))
                    .collect()
            })
            .collect::<Result<_, String>>()?;
        Ok(Self {
            names: kit.expression_names.clone(),
            units,
        })
    }

    /// Weights in the order of the kit's shapes.
    pub fn weights(&self, units: &AuVector, nuisance: &[(&'static str, f32)]) -> Vec<f32> {
        let mut weights = vec![0.0; self.names.len()];
        for (shapes, intensity) in self.units.iter().zip(units.values()) {
            for &(shape, weight) in shapes {
                weights[shape] += weight * intensity;
            }
        }
        for (name, weight) in nuisance {
            if let Some(shape) = self.names.iter().position(|known| known == name) {
                weights[shape] += weight;
            }
        }
        weights
    }
}
