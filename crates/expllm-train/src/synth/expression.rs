//! Sampling of what a face does: 35 intensities and unlabelled movements.

use expllm_core::{ActionUnit, AuVector};

use super::math::Draw;

/// What a face does in one picture.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub units: AuVector,
    /// Unlabelled movements: kit shape and weight.
    pub nuisance: Vec<(&'static str, f32)>,
}

/// A movement of both sides (or of the middle) in a prototype, with its usual intensity and how
/// often it takes part.
type Share = (ActionUnit, f32, f32);

use ActionUnit::{
    CheekPuff, ChinRaise, JawDrop, JawSlideLeft, JawSlideRight, JawThrust, LeftBrowLower,
    LeftBrowRaise, LeftCheekRaise, LeftDimple, LeftEyeClose, LeftInnerBrowRaise, LeftLidRaise,
    LeftLidTighten, LeftLipCornerDepress, LeftLipCornerPull, LeftLipCornerStretch, LipPress,
    LipPucker, LowerLipDepress, LowerLipSuck, NoseWrinkle, UpperLipRaise, UpperLipSuck,
};

/// Combinations seen together: emotions as FACS describes them (Ekman, Friesen and Hager 2002,
/// EMFACS) and everyday mouth shapes. A left unit stands for the pair.
const PROTOTYPES: [&[Share]; 16] = [
    // Happiness with closed lips, with bared teeth, laughing.
    &[
        (LeftLipCornerPull, 0.5, 1.0),
        (LeftCheekRaise, 0.4, 0.7),
        (LeftEyeClose, 0.15, 0.5),
        (LeftDimple, 0.3, 0.2),
    ],
    &[
        (LeftLipCornerPull, 0.7, 1.0),
        (UpperLipRaise, 0.45, 0.8),
        (JawDrop, 0.15, 0.6),
        (LowerLipDepress, 0.35, 0.6),
        (LeftCheekRaise, 0.6, 0.75),
        (LeftLidTighten, 0.3, 0.4),
        (LeftEyeClose, 0.2, 0.6),
    ],
    &[
        (LeftLipCornerPull, 0.8, 1.0),
        (JawDrop, 0.45, 1.0),
        (UpperLipRaise, 0.5, 0.7),
        (LowerLipDepress, 0.4, 0.5),
        (LeftCheekRaise, 0.7, 0.8),
        (LeftEyeClose, 0.35, 0.6),
        (NoseWrinkle, 0.2, 0.3),
    ],
    // Surprise.
    &[
        (LeftBrowRaise, 0.7, 0.9),
        (LeftLidRaise, 0.7, 0.85),
        (JawDrop, 0.5, 0.85),
    ],
    // Sadness, quiet and crying.
    &[
        (LeftBrowLower, 0.35, 0.7),
        (LeftInnerBrowRaise, 0.5, 0.7),
        (LeftLipCornerDepress, 0.5, 0.8),
        (ChinRaise, 0.4, 0.6),
        (LeftEyeClose, 0.3, 0.6),
    ],
    &[
        (LeftBrowLower, 0.5, 0.8),
        (LeftEyeClose, 0.6, 0.8),
        (LeftInnerBrowRaise, 0.5, 0.4),
        (LeftCheekRaise, 0.4, 0.4),
        (LeftLipCornerDepress, 0.5, 0.5),
        (LeftLipCornerStretch, 0.5, 0.6),
        (ChinRaise, 0.5, 0.6),
        (JawDrop, 0.2, 0.5),
        (LowerLipDepress, 0.4, 0.4),
    ],
    // Anger, pressed and shouting.
    &[
        (LeftBrowLower, 0.75, 1.0),
        (LeftLidRaise, 0.4, 0.4),
        (LeftLidTighten, 0.5, 0.5),
        (LipPress, 0.6, 0.7),
        (UpperLipSuck, 0.35, 0.2),
        (LowerLipSuck, 0.35, 0.2),
        (ChinRaise, 0.4, 0.5),
        (JawThrust, 0.3, 0.3),
    ],
    &[
        (LeftBrowLower, 0.75, 1.0),
        (LeftLidRaise, 0.4, 0.4),
        (JawDrop, 0.4, 0.8),
        (UpperLipRaise, 0.5, 0.7),
        (LowerLipDepress, 0.6, 0.7),
        (NoseWrinkle, 0.4, 0.6),
    ],
    // Disgust.
    &[
        (NoseWrinkle, 0.7, 0.9),
        (UpperLipRaise, 0.6, 0.8),
        (LeftBrowLower, 0.45, 0.8),
        (LeftEyeClose, 0.4, 0.4),
        (LeftLidTighten, 0.5, 0.5),
        (LeftCheekRaise, 0.4, 0.4),
        (LeftLipCornerDepress, 0.4, 0.3),
        (ChinRaise, 0.35, 0.4),
        (LowerLipDepress, 0.3, 0.3),
    ],
    // Fear.
    &[
        (LeftBrowRaise, 0.6, 0.9),
        (LeftBrowLower, 0.35, 0.6),
        (LeftInnerBrowRaise, 0.4, 0.5),
        (LeftLidRaise, 0.7, 0.9),
        (LeftLipCornerStretch, 0.6, 0.8),
        (JawDrop, 0.3, 0.7),
        (LowerLipDepress, 0.4, 0.5),
    ],
    // Doubt and displeasure around the mouth; pressed lips with dimples.
    &[
        (LeftLipCornerDepress, 0.6, 1.0),
        (ChinRaise, 0.5, 0.7),
        (LeftBrowLower, 0.3, 0.3),
    ],
    &[(LipPress, 0.5, 0.8), (LeftDimple, 0.5, 0.7)],
    // Speech-like mouths: open, spread, rounded, lips in.
    &[
        (JawDrop, 0.3, 0.9),
        (LowerLipDepress, 0.4, 0.7),
        (UpperLipRaise, 0.3, 0.5),
    ],
    &[
        (LipPucker, 0.6, 1.0),
        (JawDrop, 0.2, 0.4),
        (CheekPuff, 0.3, 0.1),
    ],
    &[
        (UpperLipSuck, 0.5, 0.7),
        (LowerLipSuck, 0.5, 0.8),
        (ChinRaise, 0.4, 0.3),
    ],
    // Blown cheeks.
    &[(CheekPuff, 0.7, 1.0), (LipPucker, 0.4, 0.4)],
];

/// Units drawn on their own; a left unit of a pair stands for both sides. Those that the
/// prototypes hardly use stand here twice, so that networks see enough of them.
const SINGLES: [ActionUnit; 40] = [
    LeftEyeClose,
    LeftLidRaise,
    LeftBrowLower,
    LeftBrowRaise,
    JawDrop,
    JawSlideLeft,
    JawSlideLeft,
    JawSlideRight,
    JawSlideRight,
    LeftLipCornerPull,
    LeftLipCornerStretch,
    LeftLipCornerStretch,
    UpperLipSuck,
    UpperLipSuck,
    LowerLipSuck,
    LowerLipSuck,
    JawThrust,
    JawThrust,
    JawThrust,
    UpperLipRaise,
    LowerLipDepress,
    ChinRaise,
    ChinRaise,
    LipPucker,
    LipPucker,
    CheekPuff,
    CheekPuff,
    NoseWrinkle,
    NoseWrinkle,
    LeftInnerBrowRaise,
    LeftInnerBrowRaise,
    LeftLidTighten,
    LeftLidTighten,
    LeftCheekRaise,
    LeftDimple,
    LeftDimple,
    LeftLipCornerDepress,
    LeftLipCornerDepress,
    LipPress,
    LipPress,
];

impl Action {
    /// Draws an action: prototypes, single units, sparse combinations and neutral faces.
    pub fn sample(draw: &mut Draw) -> Self {
        let mut values = [0.0f32; ActionUnit::COUNT];
        match draw.uniform(0.0, 1.0) {
            p if p < 0.12 => {}
            p if p < 0.58 => {
                let prototype = PROTOTYPES[draw.index(PROTOTYPES.len())];
                let strength = draw.uniform(0.35, 1.35);
                for &(unit, usual, often) in prototype {
                    if draw.chance(often) {
                        let value = usual * strength * draw.uniform(0.6, 1.4);
                        put(&mut values, unit, value, draw);
                    }
                }
                if draw.chance(0.35) {
                    add_random_units(&mut values, 2, draw);
                }
            }
            p if p < 0.75 => add_random_units(&mut values, 1, draw),
            _ => add_random_units(&mut values, 6, draw),
        }
        exclude_opposites(&mut values, draw);
        let units = AuVector::from_clamped(values);
        let nuisance = sample_nuisance(&units, draw);
        Self { units, nuisance }
    }
}

/// Adds one to `most` units of any kind at any intensity.
fn add_random_units(values: &mut [f32; ActionUnit::COUNT], most: usize, draw: &mut Draw) {
    for _ in 0..=draw.index(most) {
        let unit = draw.pick(&SINGLES);
        // More weak than strong ones, the whole range covered.
        let value = draw.uniform(0.0, 1.0).powf(1.2) * 0.95 + 0.05;
        put(values, unit, value, draw);
    }
}

/// Sets a unit and, for one of a pair, mostly also the other side at a similar intensity.
fn put(values: &mut [f32; ActionUnit::COUNT], unit: ActionUnit, value: f32, draw: &mut Draw) {
    let value = value.clamp(0.0, 1.0);
    let other = unit.mirrored();
    let slides = matches!(unit, JawSlideLeft | JawSlideRight);
    if other == unit || slides {
        values[unit.index()] = value;
        return;
    }
    let (near, far) = if draw.chance(0.5) {
        (unit, other)
    } else {
        (other, unit)
    };
    values[near.index()] = value;
    values[far.index()] = match draw.uniform(0.0, 1.0) {
        p if p < 0.7 => (value * (1.0 + draw.normal(0.08))).clamp(0.0, 1.0),
        p if p < 0.85 => value * draw.uniform(0.2, 0.9),
        _ => 0.0,
    };
}

/// Weakens one of two units that pull the same skin in opposite directions.
fn exclude_opposites(values: &mut [f32; ActionUnit::COUNT], draw: &mut Draw) {
    let mut rival = |a: ActionUnit, b: ActionUnit, rest: f32| {
        let (loser, _) = if draw.chance(0.5) { (a, b) } else { (b, a) };
        if values[a.index()].min(values[b.index()]) > 0.0 {
            values[loser.index()] *= rest;
        }
    };
    for side in [LeftEyeClose, LeftEyeClose.mirrored()] {
        let lid = if side == LeftEyeClose {
            LeftLidRaise
        } else {
            LeftLidRaise.mirrored()
        };
        rival(side, lid, 0.0);
    }
    for (a, b, rest) in [
        (LeftLidTighten, LeftLidRaise, 0.3),
        (LeftLipCornerPull, LeftLipCornerDepress, 0.15),
        (LeftLipCornerPull, LeftDimple, 0.4),
        (LeftBrowRaise, LeftInnerBrowRaise, 0.3),
    ] {
        rival(a, b, rest);
        rival(a.mirrored(), b.mirrored(), rest);
    }
    rival(JawSlideLeft, JawSlideRight, 0.0);
    rival(LipPress, JawDrop, 0.1);
    rival(LipPress, UpperLipRaise, 0.2);
    rival(LipPress, LowerLipDepress, 0.2);
    rival(LipPress, LipPucker, 0.3);
    rival(CheekPuff, JawDrop, 0.15);
    rival(LipPucker, LeftLipCornerStretch, 0.4);
    rival(LipPucker, LeftLipCornerStretch.mirrored(), 0.4);
    rival(LipPucker, LeftLipCornerPull, 0.5);
    rival(LipPucker, LeftLipCornerPull.mirrored(), 0.5);
    rival(UpperLipSuck, UpperLipRaise, 0.3);
    rival(LowerLipSuck, LowerLipDepress, 0.3);
    rival(ChinRaise, JawDrop, 0.3);
    rival(CheekPuff, UpperLipRaise, 0.3);
    rival(CheekPuff, LowerLipDepress, 0.3);
}

/// Movements without a label, and those that come along with labelled ones.
fn sample_nuisance(units: &AuVector, draw: &mut Draw) -> Vec<(&'static str, f32)> {
    let mut out = Vec::with_capacity(24);
    // A smile pushes up the cheeks a little even where they do not tighten by themselves.
    let natural = draw.uniform(0.0, 0.35);
    for (cheek, pull) in [
        ("cheekSquint_L", units[LeftLipCornerPull]),
        ("cheekSquint_R", units[LeftLipCornerPull.mirrored()]),
    ] {
        out.push((cheek, pull.get() * natural));
    }
    if draw.chance(0.1) {
        out.push(("mouthFunnel", draw.uniform(0.0, 0.4)));
    }
    if draw.chance(0.1) {
        let side = draw.pick(&["mouthLeft", "mouthRight"]);
        out.push((side, draw.uniform(0.0, 0.3)));
    }
    sample_gaze(draw, &mut out);
    out
}

/// Both eyes look in one direction, mostly near the camera.
fn sample_gaze(draw: &mut Draw, out: &mut Vec<(&'static str, f32)>) {
    let (x, y) = (draw.normal(0.3), draw.normal(0.2));
    let sides = if x > 0.0 {
        ["eyeLookOut_L", "eyeLookIn_R"]
    } else {
        ["eyeLookIn_L", "eyeLookOut_R"]
    };
    out.extend(sides.map(|name| (name, x.abs().min(0.9))));
    let heights = if y > 0.0 {
        ["eyeLookUp_L", "eyeLookUp_R"]
    } else {
        ["eyeLookDown_L", "eyeLookDown_R"]
    };
    out.extend(heights.map(|name| (name, y.abs().min(0.6))));
}
