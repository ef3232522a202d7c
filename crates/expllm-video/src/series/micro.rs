//! Micro-expressions: brief movements that stand alone.

use std::collections::HashMap;

use expllm_core::ActionUnit;
use serde::Serialize;

use super::{Movement, SeriesOptions, UnitMovement};

/// A brief movement of one or more units at about the same time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MicroExpression {
    /// Time in seconds of the first onset.
    pub onset: f64,
    /// Time in seconds of the highest apex.
    pub apex: f64,
    /// Time in seconds of the last offset.
    pub offset: f64,
    /// The units, in the order of their onsets.
    pub units: Vec<ActionUnit>,
}

/// Overlap with a blink over the union of both from which a movement around the eyes is part of it.
const WITH_BLINK: f64 = 0.3;

/// Joins brief movements that fit into one brief stretch of time, without those of blinks and
/// without those that come again at once, as the mouth does when it speaks. `movements` are in the
/// order of their onsets.
pub fn micro_expressions(
    movements: &[UnitMovement],
    blinks: &[Movement],
    options: &SeriesOptions,
) -> Vec<MicroExpression> {
    let repeated = repeated(movements, options.again);
    let is_micro = |m: &UnitMovement, repeated: bool| {
        let brief = m.movement.duration() <= options.brief;
        brief && !repeated && !is_of_blink(m, blinks)
    };
    let alone = movements.iter().zip(repeated);
    let alone = alone.filter(|(m, repeated)| is_micro(m, *repeated));
    let mut found: Vec<(MicroExpression, f32)> = Vec::new();
    for (UnitMovement { unit, movement }, _) in alone {
        match found.last_mut() {
            Some((whole, height))
                if movement.offset.max(whole.offset) - whole.onset <= options.brief =>
            {
                whole.offset = whole.offset.max(movement.offset);
                whole.units.push(*unit);
                if movement.height > *height {
                    (whole.apex, *height) = (movement.apex, movement.height);
                }
            }
            _ => found.push((begun(*unit, movement), movement.height)),
        }
    }
    found.into_iter().map(|(whole, _)| whole).collect()
}

fn begun(unit: ActionUnit, movement: &Movement) -> MicroExpression {
    MicroExpression {
        onset: movement.onset,
        apex: movement.apex,
        offset: movement.offset,
        units: vec![unit],
    }
}

/// Whether each movement has another of its unit within so many seconds.
fn repeated(movements: &[UnitMovement], seconds: f64) -> Vec<bool> {
    let mut repeated = vec![false; movements.len()];
    let mut last: HashMap<ActionUnit, usize> = HashMap::new();
    for (at, m) in movements.iter().enumerate() {
        let Some(before) = last.insert(m.unit, at) else {
            continue;
        };
        if m.movement.onset - movements[before].movement.offset < seconds {
            (repeated[before], repeated[at]) = (true, true);
        }
    }
    repeated
}

/// Whether a movement is of the eyelids, or of what lies around the eyes while they blink.
fn is_of_blink(m: &UnitMovement, blinks: &[Movement]) -> bool {
    let with = |blink: &Movement| {
        let (a, b) = (&m.movement, blink);
        let both = (a.offset.min(b.offset) - a.onset.max(b.onset)).max(0.0);
        both >= WITH_BLINK * (a.duration() + b.duration() - both)
    };
    is_of_eyes(m.unit) || (is_around_eyes(m.unit) && blinks.iter().any(with))
}

/// Whether a unit moves with every blink.
const fn is_of_eyes(unit: ActionUnit) -> bool {
    matches!(unit, ActionUnit::LeftEyeClose | ActionUnit::RightEyeClose)
}

/// Whether a blink may be read as a movement of a unit.
const fn is_around_eyes(unit: ActionUnit) -> bool {
    use ActionUnit as A;
    matches!(
        unit,
        A::LeftLidRaise
            | A::RightLidRaise
            | A::LeftLidTighten
            | A::RightLidTighten
            | A::LeftCheekRaise
            | A::RightCheekRaise
            | A::LeftBrowLower
            | A::RightBrowLower
            | A::LeftBrowRaise
            | A::RightBrowRaise
            | A::LeftInnerBrowRaise
            | A::RightInnerBrowRaise
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movement(unit: ActionUnit, onset: f64, length: f64) -> UnitMovement {
        let (apex, offset) = (onset + length / 2.0, onset + length);
        UnitMovement {
            unit,
            movement: Movement {
                onset,
                apex,
                offset,
                height: 0.3,
            },
        }
    }

    fn found(movements: &[UnitMovement], blinks: &[Movement]) -> Vec<f64> {
        let found = micro_expressions(movements, blinks, &SeriesOptions::default());
        found.iter().map(|whole| whole.onset).collect()
    }

    #[test]
    fn what_comes_again_is_speech() {
        let jaw = ActionUnit::JawDrop;
        let syllables: Vec<_> = (0..6)
            .map(|i| movement(jaw, 2.0 + 0.25 * f64::from(i), 0.15))
            .chain([movement(jaw, 5.0, 0.3)])
            .collect();
        assert_eq!(found(&syllables, &[]), [5.0]);
    }

    #[test]
    fn a_blink_takes_what_lies_around_the_eyes_and_nothing_else() {
        let blink = movement(ActionUnit::LeftEyeClose, 1.0, 0.3);
        let cheek = movement(ActionUnit::LeftCheekRaise, 1.05, 0.3);
        let lip = movement(ActionUnit::LeftLipCornerPull, 1.1, 0.3);
        let brow = movement(ActionUnit::LeftBrowRaise, 1.2, 0.45);
        let all = [blink, cheek, lip, brow];
        assert_eq!(found(&all, &[blink.movement]), [1.1, 1.2]);
        assert_eq!(found(&all[1..], &[]), [1.05, 1.2]);
    }
}
