//! The 35 action units and their names in other systems.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CoreError;

/// The side of the face that a unit moves, as the photographed person would say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The subject's left, which is on the right of an unmirrored photo.
    Left,
    /// The subject's right.
    Right,
    /// Both sides or the middle line.
    Both,
}

/// What is known of one unit in other systems: one row of the crosswalk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionUnitInfo {
    /// The unit.
    pub unit: ActionUnit,
    /// English name; of the first 24 as in the FEAFA annotation scheme, such as `Left Lip Corner Pull`.
    pub name: &'static str,
    /// Name in columns and JSON, such as `left_lip_corner_pull`.
    pub snake_case: &'static str,
    /// The movement without its side, such as `lip corner pull`.
    pub movement: &'static str,
    /// The side that moves.
    pub side: Side,
    /// FACS codes, nearest first: AU numbers without prefix, or `AD` action descriptors.
    pub facs: &'static [&'static str],
    /// ARKit (and MediaPipe) blendshape names, the main one first.
    pub blendshapes: &'static [&'static str],
}

macro_rules! action_units {
    ($($variant:ident, $name:literal, $snake:literal, $movement:literal, $side:ident, $facs:expr, $shapes:expr, $mirror:ident;)*) => {
        /// An action unit.
        ///
        /// The first 24 are the redefined units of FEAFA in the order of the official ExpLLM
        /// data (left eye close first, nose wrinkle last); eleven of FACS follow that FEAFA
        /// lacks and that explanations need.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ActionUnit {
            $(#[doc = concat!($name, ".")] $variant,)*
        }

        impl ActionUnit {
            /// All units in AU order.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant,)*];

            /// The row of the crosswalk.
            #[must_use]
            pub const fn info(self) -> &'static ActionUnitInfo {
                const TABLE: [ActionUnitInfo; ActionUnit::COUNT] = [$(ActionUnitInfo {
                    unit: ActionUnit::$variant,
                    name: $name,
                    snake_case: $snake,
                    movement: $movement,
                    side: Side::$side,
                    facs: &$facs,
                    blendshapes: &$shapes,
                },)*];
                &TABLE[self as usize]
            }

            /// The unit that this one becomes in a mirrored photo.
            #[must_use]
            pub const fn mirrored(self) -> Self {
                match self { $(Self::$variant => Self::$mirror,)* }
            }
        }
    };
}

action_units! {
    LeftEyeClose, "Left Eye Close", "left_eye_close", "eye close", Left, ["43", "45"], ["eyeBlinkLeft"], RightEyeClose;
    RightEyeClose, "Right Eye Close", "right_eye_close", "eye close", Right, ["43", "45"], ["eyeBlinkRight"], LeftEyeClose;
    LeftLidRaise, "Left Lid Raise", "left_lid_raise", "lid raise", Left, ["5"], ["eyeWideLeft"], RightLidRaise;
    RightLidRaise, "Right Lid Raise", "right_lid_raise", "lid raise", Right, ["5"], ["eyeWideRight"], LeftLidRaise;
    LeftBrowLower, "Left Brow Lower", "left_brow_lower", "brow lower", Left, ["4"], ["browDownLeft"], RightBrowLower;
    RightBrowLower, "Right Brow Lower", "right_brow_lower", "brow lower", Right, ["4"], ["browDownRight"], LeftBrowLower;
    LeftBrowRaise, "Left Brow Raise", "left_brow_raise", "brow raise", Left, ["1", "2"], ["browOuterUpLeft", "browInnerUp"], RightBrowRaise;
    RightBrowRaise, "Right Brow Raise", "right_brow_raise", "brow raise", Right, ["1", "2"], ["browOuterUpRight", "browInnerUp"], LeftBrowRaise;
    JawDrop, "Jaw Drop", "jaw_drop", "jaw drop", Both, ["26", "27"], ["jawOpen"], JawDrop;
    JawSlideLeft, "Jaw Slide Left", "jaw_slide_left", "jaw slide", Left, ["AD30"], ["jawLeft"], JawSlideRight;
    JawSlideRight, "Jaw Slide Right", "jaw_slide_right", "jaw slide", Right, ["AD30"], ["jawRight"], JawSlideLeft;
    LeftLipCornerPull, "Left Lip Corner Pull", "left_lip_corner_pull", "lip corner pull", Left, ["12"], ["mouthSmileLeft"], RightLipCornerPull;
    RightLipCornerPull, "Right Lip Corner Pull", "right_lip_corner_pull", "lip corner pull", Right, ["12"], ["mouthSmileRight"], LeftLipCornerPull;
    LeftLipCornerStretch, "Left Lip Corner Stretch", "left_lip_corner_stretch", "lip corner stretch", Left, ["20"], ["mouthStretchLeft"], RightLipCornerStretch;
    RightLipCornerStretch, "Right Lip Corner Stretch", "right_lip_corner_stretch", "lip corner stretch", Right, ["20"], ["mouthStretchRight"], LeftLipCornerStretch;
    UpperLipSuck, "Upper Lip Suck", "upper_lip_suck", "upper lip suck", Both, ["28"], ["mouthRollUpper"], UpperLipSuck;
    LowerLipSuck, "Lower Lip Suck", "lower_lip_suck", "lower lip suck", Both, ["28"], ["mouthRollLower"], LowerLipSuck;
    JawThrust, "Jaw Thrust", "jaw_thrust", "jaw thrust", Both, ["AD29"], ["jawForward"], JawThrust;
    UpperLipRaise, "Upper Lip Raise", "upper_lip_raise", "upper lip raise", Both, ["10"], ["mouthUpperUpLeft", "mouthUpperUpRight"], UpperLipRaise;
    LowerLipDepress, "Lower Lip Depress", "lower_lip_depress", "lower lip depress", Both, ["16"], ["mouthLowerDownLeft", "mouthLowerDownRight"], LowerLipDepress;
    ChinRaise, "Chin Raise", "chin_raise", "chin raise", Both, ["17"], ["mouthShrugLower"], ChinRaise;
    LipPucker, "Lip Pucker", "lip_pucker", "lip pucker", Both, ["18"], ["mouthPucker"], LipPucker;
    CheekPuff, "Cheek Puff", "cheek_puff", "cheek puff", Both, ["AD34"], ["cheekPuff"], CheekPuff;
    NoseWrinkle, "Nose Wrinkle", "nose_wrinkle", "nose wrinkle", Both, ["9"], ["noseSneerLeft", "noseSneerRight"], NoseWrinkle;
    LeftInnerBrowRaise, "Left Inner Brow Raise", "left_inner_brow_raise", "inner brow raise", Left, ["1"], ["browInnerUp"], RightInnerBrowRaise;
    RightInnerBrowRaise, "Right Inner Brow Raise", "right_inner_brow_raise", "inner brow raise", Right, ["1"], ["browInnerUp"], LeftInnerBrowRaise;
    LeftLidTighten, "Left Lid Tighten", "left_lid_tighten", "lid tighten", Left, ["7"], ["eyeSquintLeft"], RightLidTighten;
    RightLidTighten, "Right Lid Tighten", "right_lid_tighten", "lid tighten", Right, ["7"], ["eyeSquintRight"], LeftLidTighten;
    LeftCheekRaise, "Left Cheek Raise", "left_cheek_raise", "cheek raise", Left, ["6"], ["cheekSquintLeft"], RightCheekRaise;
    RightCheekRaise, "Right Cheek Raise", "right_cheek_raise", "cheek raise", Right, ["6"], ["cheekSquintRight"], LeftCheekRaise;
    LeftDimple, "Left Dimple", "left_dimple", "dimple", Left, ["14"], ["mouthDimpleLeft"], RightDimple;
    RightDimple, "Right Dimple", "right_dimple", "dimple", Right, ["14"], ["mouthDimpleRight"], LeftDimple;
    LeftLipCornerDepress, "Left Lip Corner Depress", "left_lip_corner_depress", "lip corner depress", Left, ["15"], ["mouthFrownLeft"], RightLipCornerDepress;
    RightLipCornerDepress, "Right Lip Corner Depress", "right_lip_corner_depress", "lip corner depress", Right, ["15"], ["mouthFrownRight"], LeftLipCornerDepress;
    LipPress, "Lip Press", "lip_press", "lip press", Both, ["24", "23"], ["mouthPressLeft", "mouthPressRight"], LipPress;
}

impl ActionUnit {
    /// How many units there are.
    pub const COUNT: usize = 35;

    /// How many of them are units of FEAFA, the first of [`ALL`](Self::ALL).
    pub const FEAFA_COUNT: usize = 24;

    /// The units of FEAFA in the order of the official data.
    pub const FEAFA: [Self; Self::FEAFA_COUNT] = {
        let mut units = [Self::LeftEyeClose; Self::FEAFA_COUNT];
        let mut at = 0;
        while at < units.len() {
            units[at] = Self::ALL[at];
            at += 1;
        }
        units
    };

    /// Whether this is a unit of FEAFA, of which the official data holds values.
    #[must_use]
    pub const fn is_feafa(self) -> bool {
        self.index() < Self::FEAFA_COUNT
    }

    /// Place in AU order, 0 to 34; for reading and writing files and tensors.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The unit at a place in AU order.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// English name, such as `Left Lip Corner Pull`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// Name in columns and JSON, such as `left_lip_corner_pull`.
    #[must_use]
    pub const fn snake_case(self) -> &'static str {
        self.info().snake_case
    }

    /// The side that the unit moves.
    #[must_use]
    pub const fn side(self) -> Side {
        self.info().side
    }
}

impl fmt::Display for ActionUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ActionUnit {
    type Err = CoreError;

    /// Reads an English or snake-case name in any letter case.
    fn from_str(text: &str) -> Result<Self, CoreError> {
        let wanted = text.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        Self::ALL
            .into_iter()
            .find(|unit| unit.snake_case() == wanted)
            .ok_or_else(|| CoreError::UnknownActionUnit(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_indices_and_serde_agree() {
        for (index, unit) in ActionUnit::ALL.into_iter().enumerate() {
            assert_eq!(unit.index(), index);
            assert_eq!(ActionUnit::from_index(index), Some(unit));
            assert_eq!(unit.info().unit, unit);
            assert_eq!(unit.snake_case().parse::<ActionUnit>(), Ok(unit));
            assert_eq!(unit.name().parse::<ActionUnit>(), Ok(unit));
            assert_eq!(
                serde_json::to_string(&unit).unwrap(),
                format!("{:?}", unit.snake_case())
            );
            assert_eq!(
                unit.name().to_lowercase().replace(' ', "_"),
                unit.snake_case()
            );
        }
        assert_eq!(ActionUnit::from_index(35), None);
    }

    #[test]
    fn mirroring_swaps_sides_and_is_its_own_inverse() {
        for unit in ActionUnit::ALL {
            assert_eq!(unit.mirrored().mirrored(), unit);
            assert_eq!(unit.mirrored() == unit, unit.side() == Side::Both);
            assert_eq!(unit.mirrored().info().movement, unit.info().movement);
        }
    }

    #[test]
    fn the_units_of_feafa_come_first() {
        assert_eq!(ActionUnit::FEAFA[..], ActionUnit::ALL[..24]);
        assert!(ActionUnit::NoseWrinkle.is_feafa());
        assert!(!ActionUnit::LeftInnerBrowRaise.is_feafa());
    }

    #[test]
    fn unknown_names_are_errors() {
        assert!("smile".parse::<ActionUnit>().is_err());
    }
}
