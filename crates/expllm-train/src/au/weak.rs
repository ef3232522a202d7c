//! The weak link between expressions and action units that FACS gives.
//!
//! For a face whose expression is known but whose units are not, the mean of each group of
//! units is only asked to stay within bounds: an angry face lowers its brows, a neutral one does
//! nothing much. The prototypes are those of the FACS Investigator's Guide (happiness 6+12,
//! sadness 1+4+15, surprise 1+2+5+26, fear 1+2+4+5+20+26, disgust 9+10+17, anger 4+5+7+23),
//! with wide bounds, since posed prototypes are rare in daily life.

use burn::tensor::{Device, Tensor, TensorData};
use expllm_core::{ActionUnit, Expression};

/// How many groups of units have bounds.
pub const GROUPS: usize = 7;

/// The groups: lip corner pull, brow lower, brow raise, lid raise, jaw drop, nose wrinkle and
/// upper lip raise.
const MEMBERS: [&[ActionUnit]; GROUPS] = [
    &[
        ActionUnit::LeftLipCornerPull,
        ActionUnit::RightLipCornerPull,
    ],
    &[ActionUnit::LeftBrowLower, ActionUnit::RightBrowLower],
    &[ActionUnit::LeftBrowRaise, ActionUnit::RightBrowRaise],
    &[ActionUnit::LeftLidRaise, ActionUnit::RightLidRaise],
    &[ActionUnit::JawDrop],
    &[ActionUnit::NoseWrinkle],
    &[ActionUnit::UpperLipRaise],
];

/// Lowest and highest mean of each group.
pub type Bounds = ([f32; GROUPS], [f32; GROUPS]);

/// Bounds that allow everything.
pub const FREE: Bounds = ([0.0; GROUPS], [1.0; GROUPS]);

/// What an expression allows each group.
#[must_use]
pub const fn bounds(expression: Expression) -> Bounds {
    match expression {
        Expression::Neutral => ([0.0; GROUPS], [0.1, 0.1, 0.15, 0.15, 0.15, 0.05, 0.1]),
        Expression::Happiness => (
            [0.45, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [1.0, 0.15, 0.5, 0.5, 1.0, 0.2, 1.0],
        ),
        Expression::Sadness => (
            [0.0, 0.15, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.1, 1.0, 0.6, 0.2, 0.6, 0.3, 0.6],
        ),
        Expression::Surprise => (
            [0.0, 0.0, 0.4, 0.35, 0.35, 0.0, 0.0],
            [0.25, 0.1, 1.0, 1.0, 1.0, 0.1, 0.5],
        ),
        Expression::Fear => (
            [0.0, 0.0, 0.3, 0.35, 0.1, 0.0, 0.0],
            [0.2, 0.6, 1.0, 1.0, 1.0, 0.3, 0.7],
        ),
        Expression::Disgust => (
            [0.0, 0.2, 0.0, 0.0, 0.0, 0.35, 0.4],
            [0.25, 1.0, 0.3, 0.15, 0.8, 1.0, 1.0],
        ),
        Expression::Anger => (
            [0.0, 0.45, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.15, 1.0, 0.15, 0.6, 1.0, 0.6, 0.8],
        ),
        Expression::Contempt => FREE,
    }
}

/// `[24, GROUPS]`: multiplied by intensities it gives the mean of each group.
pub(super) fn group_means(device: &Device) -> Tensor<2> {
    let mut values = vec![0.0f32; ActionUnit::FEAFA_COUNT * GROUPS];
    for (group, members) in MEMBERS.iter().enumerate() {
        for unit in *members {
            values[unit.index() * GROUPS + group] = 1.0 / members.len() as f32;
        }
    }
    Tensor::from_data(
        TensorData::new(values, [ActionUnit::FEAFA_COUNT, GROUPS]),
        device,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_leave_room_and_lie_in_range() {
        for expression in Expression::ALL {
            let (lower, upper) = bounds(expression);
            for (low, high) in lower.into_iter().zip(upper) {
                assert!((0.0..1.0).contains(&low) && low < high && high <= 1.0);
            }
        }
    }

    #[test]
    fn groups_do_not_take_sides() {
        for members in MEMBERS {
            for unit in members {
                assert!(members.contains(&unit.mirrored()));
            }
        }
    }
}
