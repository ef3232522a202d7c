//! The 17 movements behind the 24 units and what each says for an expression.

use expllm_core::{ACTIVE_THRESHOLD, ActionUnit, AuVector, Expression, Intensity, Strength};

/// A part of the face, as the interpretation names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    Brow,
    Eye,
    Nose,
    Mouth,
    Jaw,
    Chin,
    Cheek,
}

impl Region {
    /// As in "the signs around the mouth".
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Brow => "brows",
            Self::Eye => "eyes",
            Self::Nose => "nose",
            Self::Mouth => "mouth",
            Self::Jaw => "jaw",
            Self::Chin => "chin",
            Self::Cheek => "cheeks",
        }
    }
}

/// One kind of movement, with one unit in the middle or one on each side.
#[derive(Debug, PartialEq)]
pub(super) struct Movement {
    /// Prefix of the movement's rules in the grammar.
    pub key: &'static str,
    pub units: Units,
    pub region: Region,
    /// How typical the movement is of each expression, in expression order, 0 to 1.
    ///
    /// Our reading of the prototypes of EMFACS (Ekman and Friesen 1983; Matsumoto et al. 2008).
    pub weights: [f32; Expression::COUNT],
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Units {
    Single(ActionUnit),
    Pair { left: ActionUnit, right: ActionUnit },
}

const fn pair(left: ActionUnit) -> Units {
    Units::Pair {
        left,
        right: left.mirrored(),
    }
}

macro_rules! movements {
    ($($key:literal, $units:expr, $region:ident, $weights:expr;)*) => {
        [$(Movement { key: $key, units: $units, region: Region::$region, weights: $weights },)*]
    };
}

use ActionUnit as Au;
use Units::Single;

/// All movements, in the order of their first units.
#[rustfmt::skip]
pub(super) static MOVEMENTS: [Movement; 17] = movements! {
    //                                                        Neut Happ Sad  Surp Fear Disg Ange Cont
    "eye_close", pair(Au::LeftEyeClose), Eye,                 [0.0, 0.3, 0.4, 0.0, 0.0, 0.4, 0.3, 0.1];
    "lid_raise", pair(Au::LeftLidRaise), Eye,                 [0.0, 0.0, 0.0, 0.9, 0.9, 0.0, 0.3, 0.0];
    "brow_lower", pair(Au::LeftBrowLower), Brow,              [0.0, 0.0, 0.5, 0.0, 0.3, 0.5, 1.0, 0.1];
    "brow_raise", pair(Au::LeftBrowRaise), Brow,              [0.0, 0.0, 0.3, 1.0, 0.6, 0.0, 0.0, 0.1];
    "jaw_drop", Single(Au::JawDrop), Jaw,                     [0.0, 0.2, 0.0, 0.9, 0.5, 0.1, 0.1, 0.0];
    "jaw_slide", pair(Au::JawSlideLeft), Jaw,                 [0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3];
    "lip_corner_pull", pair(Au::LeftLipCornerPull), Mouth,    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3];
    "lip_corner_stretch", pair(Au::LeftLipCornerStretch), Mouth, [0.0, 0.0, 0.3, 0.0, 0.9, 0.2, 0.1, 0.0];
    "upper_lip_suck", Single(Au::UpperLipSuck), Mouth,        [0.0, 0.0, 0.2, 0.0, 0.1, 0.0, 0.3, 0.1];
    "lower_lip_suck", Single(Au::LowerLipSuck), Mouth,        [0.0, 0.0, 0.3, 0.0, 0.1, 0.0, 0.2, 0.1];
    "jaw_thrust", Single(Au::JawThrust), Jaw,                 [0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.5, 0.1];
    "upper_lip_raise", Single(Au::UpperLipRaise), Mouth,      [0.0, 0.4, 0.0, 0.0, 0.1, 0.8, 0.3, 0.2];
    "lower_lip_depress", Single(Au::LowerLipDepress), Mouth,  [0.0, 0.2, 0.3, 0.1, 0.4, 0.3, 0.3, 0.0];
    "chin_raise", Single(Au::ChinRaise), Chin,                [0.0, 0.0, 0.7, 0.0, 0.0, 0.4, 0.4, 0.3];
    "lip_pucker", Single(Au::LipPucker), Mouth,               [0.0, 0.0, 0.3, 0.0, 0.0, 0.1, 0.3, 0.1];
    "cheek_puff", Single(Au::CheekPuff), Cheek,               [0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.0];
    "nose_wrinkle", Single(Au::NoseWrinkle), Nose,            [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.4, 0.1];
};

/// Sides that differ by this much are called uneven even within one word of strength.
const UNEVEN: f32 = 0.1;

/// Which sides act, and how strongly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Extent {
    Single(Strength),
    OneSide(Side, Strength),
    Even(Strength),
    /// The same word of strength, but one side clearly leads.
    Led(Side, Strength),
    Uneven {
        left: Strength,
        right: Strength,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// A movement that is active in one face.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mention {
    pub movement: &'static Movement,
    pub extent: Extent,
    /// Intensity of the stronger side, above [`ACTIVE_THRESHOLD`].
    pub intensity: f32,
}

impl Mention {
    fn of(movement: &'static Movement, units: &AuVector) -> Option<Self> {
        let (intensity, extent) = match movement.units {
            Single(unit) => {
                let value = units[unit];
                (value.get(), Extent::Single(value.strength()))
            }
            Units::Pair { left, right } => {
                let (left, right) = (units[left], units[right]);
                (left.get().max(right.get()), pair_extent(left, right))
            }
        };
        (intensity > ACTIVE_THRESHOLD).then_some(Self {
            movement,
            extent,
            intensity,
        })
    }

    /// How far this movement speaks for an expression.
    pub(super) fn weight(&self, expression: Expression) -> f32 {
        self.movement.weights[expression.index()]
    }
}

fn pair_extent(left: Intensity, right: Intensity) -> Extent {
    let leader = if left > right {
        Side::Left
    } else {
        Side::Right
    };
    match (left.is_active(), right.is_active()) {
        (true, false) => Extent::OneSide(Side::Left, left.strength()),
        (false, true) => Extent::OneSide(Side::Right, right.strength()),
        _ if left.strength() != right.strength() => Extent::Uneven {
            left: left.strength(),
            right: right.strength(),
        },
        _ if (left.get() - right.get()).abs() >= UNEVEN => Extent::Led(leader, left.strength()),
        _ => Extent::Even(left.strength()),
    }
}

/// The active movements, the strongest first.
pub(super) fn mentions(units: &AuVector) -> Vec<Mention> {
    let mut found: Vec<_> = MOVEMENTS
        .iter()
        .filter_map(|movement| Mention::of(movement, units))
        .collect();
    found.sort_by(|a, b| b.intensity.total_cmp(&a.intensity));
    found
}

/// Sum over the movements of weight times intensity.
pub(super) fn score(mentions: &[Mention], expression: Expression) -> f32 {
    mentions
        .iter()
        .map(|m| m.weight(expression) * m.intensity)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_belongs_to_one_movement() {
        let mut seen = [0; ActionUnit::FEAFA_COUNT];
        for movement in &MOVEMENTS {
            match movement.units {
                Single(unit) => seen[unit.index()] += 1,
                Units::Pair { left, right } => {
                    assert_eq!(left.mirrored(), right);
                    seen[left.index()] += 1;
                    seen[right.index()] += 1;
                }
            }
        }
        assert_eq!(seen, [1; ActionUnit::FEAFA_COUNT]);
    }

    #[test]
    fn sides_are_compared() {
        let mut units = AuVector::default();
        units.set(Au::LeftBrowRaise, Intensity::clamped(0.7));
        units.set(Au::RightBrowRaise, Intensity::clamped(0.3));
        units.set(Au::RightLidRaise, Intensity::clamped(0.25));
        units.set(Au::JawDrop, Intensity::clamped(0.2));
        let found = mentions(&units);
        assert_eq!(found.len(), 2);
        let (left, right) = (Strength::Strong, Strength::Slight);
        assert_eq!(found[0].extent, Extent::Uneven { left, right });
        let side = Extent::OneSide(Side::Right, Strength::Slight);
        assert_eq!(found[1].extent, side);
    }
}
