//! Folds that the movements of a face press into its skin.

use expllm_core::{ActionUnit, AuVector};

use super::appearance::Appearance;
use super::atlas::Place;
use super::raster::Texture;
use super::skin::stroke;

/// A fold on the subject's left side; the other side is its mirror image.
struct Fold {
    line: &'static [Place],
    /// Half width in centimetres.
    width: f32,
    /// Depth in an old face at rest.
    rest: f32,
    /// Depth in a young face at intensity 1, for each unit of the left side or the middle.
    by: &'static [(ActionUnit, f32)],
}

use ActionUnit::{
    ChinRaise, LeftBrowLower, LeftBrowRaise, LeftEyeClose, LeftLipCornerPull, LeftLipCornerStretch,
    LipPucker, NoseWrinkle, UpperLipRaise,
};

/// Places follow the average head: pupils at (3.3, 3.5), mouth corner at (2.6, -3.5).
const FOLDS: [Fold; 18] = [
    // Lines across the forehead.
    Fold {
        line: &[(0.0, 7.5), (2.0, 7.7), (4.2, 7.4), (5.6, 6.9)],
        width: 0.14,
        rest: 0.25,
        by: &[(LeftBrowRaise, 0.5)],
    },
    Fold {
        line: &[(0.0, 8.4), (2.2, 8.6), (4.6, 8.2)],
        width: 0.14,
        rest: 0.28,
        by: &[(LeftBrowRaise, 0.5)],
    },
    Fold {
        line: &[(0.0, 9.4), (2.0, 9.5), (4.0, 9.2)],
        width: 0.13,
        rest: 0.2,
        by: &[(LeftBrowRaise, 0.35)],
    },
    // Between the brows.
    Fold {
        line: &[(0.75, 4.7), (0.65, 5.6), (0.8, 6.8)],
        width: 0.16,
        rest: 0.25,
        by: &[(LeftBrowLower, 0.75), (NoseWrinkle, 0.2)],
    },
    Fold {
        line: &[(0.1, 5.0), (0.1, 5.8), (0.15, 6.6)],
        width: 0.16,
        rest: 0.05,
        by: &[(LeftBrowLower, 0.3)],
    },
    // A shadow under the lowered brow.
    Fold {
        line: &[(1.3, 4.9), (2.6, 5.0), (4.2, 4.8)],
        width: 0.35,
        rest: 0.1,
        by: &[(LeftBrowLower, 0.35)],
    },
    // Across the bridge and down the sides of the nose.
    Fold {
        line: &[(0.0, 4.1), (0.5, 4.0), (1.0, 3.8)],
        width: 0.12,
        rest: 0.08,
        by: &[(NoseWrinkle, 0.5), (LeftBrowLower, 0.25)],
    },
    Fold {
        line: &[(0.0, 3.5), (0.5, 3.4), (0.95, 3.2)],
        width: 0.12,
        rest: 0.0,
        by: &[(NoseWrinkle, 0.5)],
    },
    Fold {
        line: &[(0.6, 3.4), (1.0, 2.4), (1.5, 1.6)],
        width: 0.14,
        rest: 0.0,
        by: &[(NoseWrinkle, 0.5)],
    },
    // From the wing of the nose past the corner of the mouth.
    Fold {
        line: &[
            (1.5, 0.1),
            (2.3, -1.0),
            (3.1, -2.3),
            (3.5, -3.6),
            (3.3, -4.5),
        ],
        width: 0.2,
        rest: 0.4,
        by: &[
            (LeftLipCornerPull, 0.65),
            (UpperLipRaise, 0.5),
            (NoseWrinkle, 0.45),
            (LeftLipCornerStretch, 0.25),
        ],
    },
    // A second fold in the cheek.
    Fold {
        line: &[(4.2, -1.6), (4.6, -2.8), (4.4, -4.2)],
        width: 0.25,
        rest: 0.1,
        by: &[(LeftLipCornerPull, 0.35)],
    },
    // Beyond the corner of the mouth.
    Fold {
        line: &[(2.9, -2.9), (3.1, -3.5), (2.95, -4.1)],
        width: 0.15,
        rest: 0.1,
        by: &[(LeftLipCornerPull, 0.4), (LeftLipCornerStretch, 0.4)],
    },
    // Down from the corner of the mouth.
    Fold {
        line: &[(2.7, -4.0), (2.9, -4.8), (2.8, -5.8)],
        width: 0.18,
        rest: 0.3,
        by: &[(ChinRaise, 0.25)],
    },
    // Crow's feet.
    Fold {
        line: &[(5.2, 3.5), (5.9, 3.8), (6.8, 4.2)],
        width: 0.11,
        rest: 0.25,
        by: &[(LeftLipCornerPull, 0.3), (LeftEyeClose, 0.25)],
    },
    Fold {
        line: &[(5.2, 3.2), (6.0, 3.1), (6.9, 3.0)],
        width: 0.11,
        rest: 0.25,
        by: &[(LeftLipCornerPull, 0.35), (LeftEyeClose, 0.25)],
    },
    // Under the eye.
    Fold {
        line: &[(1.9, 2.6), (3.0, 2.1), (4.3, 2.2), (5.2, 2.6)],
        width: 0.2,
        rest: 0.35,
        by: &[
            (LeftLipCornerPull, 0.3),
            (NoseWrinkle, 0.25),
            (LeftEyeClose, 0.1),
        ],
    },
    // Between lower lip and chin.
    Fold {
        line: &[(0.0, -5.2), (0.9, -5.2), (1.8, -5.0)],
        width: 0.25,
        rest: 0.15,
        by: &[(ChinRaise, 0.6)],
    },
    // Fine lines of pursed lips.
    Fold {
        line: &[(1.2, -1.9), (1.1, -2.5), (1.0, -3.0)],
        width: 0.1,
        rest: 0.1,
        by: &[(LipPucker, 0.4)],
    },
];

/// Presses the folds of both sides into the skin.
pub(crate) fn press(texture: &mut Texture, person: &Appearance, units: &AuVector) {
    for fold in &FOLDS {
        for left in [true, false] {
            let moved: f32 = (fold.by.iter())
                .map(|&(unit, depth)| {
                    let unit = if left { unit } else { unit.mirrored() };
                    depth * units[unit].get().powf(1.3)
                })
                .sum();
            // Skin that is never moved stays smooth in youth; in age the folds remain.
            let depth = fold.rest * person.age * person.folds
                + moved * (0.35 + 0.65 * person.folds) * (0.6 + 0.4 * person.age);
            if depth > 0.03 {
                press_one(texture, fold, left, depth.min(0.8));
            }
        }
    }
}

fn press_one(texture: &mut Texture, fold: &Fold, left: bool, depth: f32) {
    let mirror = |&(s, y): &Place| (if left { s } else { -s }, y);
    let line: Vec<Place> = fold.line.iter().map(mirror).collect();
    stroke(texture, &line, fold.width, depth);
    // The skin bulges beside the fold and catches more light.
    let beside: Vec<Place> = line.iter().map(|p| (p.0, p.1 + 2.2 * fold.width)).collect();
    stroke(texture, &beside, fold.width, -0.25 * depth);
}
