//! What a language model sees of a face that the action unit detector has read: its scores as tokens.
//!
//! There is a token for every movement (a unit, or the same unit on both sides) and one for every
//! expression, always in the same order. A token says which one it is, and then its scores, each as
//! a number and as the levels that it passes, so that a small model need not learn where a movement
//! becomes one, or where slight ends and marked begins.

use expllm_core::{ActionUnit, AuReading, AuVector, Expression};

/// Levels of one side: surely at rest below the first, active from the second, then the strengths.
const LEVELS: [f32; 7] = [0.1, 0.2, 0.25, 0.3, 0.35, 0.6, 0.85];
/// Levels of both sides together, which words of strength go by.
const STRENGTHS: [f32; 5] = [0.25, 0.3, 0.35, 0.6, 0.85];
/// Levels of what one side goes further than the other.
const LEADS: [f32; 2] = [0.1, 0.15];
/// Levels of a probability: worth a word, probable, clear.
const PROBABILITIES: [f32; 3] = [0.08, 0.6, 0.85];
/// How far behind the likeliest expression another one is near.
const NEAR: f32 = 0.1;
/// A level is passed within this much, so that what is read twice looks the same.
const SOFT: f32 = 0.004;
/// Logarithms of probabilities count from here, divided by this.
const LEAST_LOGARITHM: f32 = 8.0;

/// Movements: units in the middle and pairs of units.
const MOVEMENTS: usize = {
    let (mut count, mut at) = (0, 0);
    while at < ActionUnit::COUNT {
        let unit = ActionUnit::ALL[at];
        count += (unit.index() <= unit.mirrored().index()) as usize;
        at += 1;
    }
    count
};
/// Numbers of one side, and of both sides together.
const SIDE: usize = 1 + LEVELS.len() + LEADS.len();
const BOTH: usize = 2 * SIDE + STRENGTHS.len();
/// Numbers of an expression: as they are, levels, near, likeliest, second.
const LABEL: usize = 2 + PROBABILITIES.len() + 3;

/// Tokens of a face.
pub const SCORE_TOKENS: usize = MOVEMENTS + Expression::COUNT;
/// Numbers of a token.
pub const SCORE_WIDTH: usize = SCORE_TOKENS + BOTH + LABEL;

/// The tokens of a reading, `[SCORE_TOKENS, SCORE_WIDTH]`; what was not measured counts as 0.
#[must_use]
pub fn score_tokens(reading: &AuReading) -> Vec<f32> {
    let units = &reading.action_units;
    let pairs = ActionUnit::ALL.map(|unit| (unit, unit.mirrored()));
    let movements = pairs.into_iter().filter(|(a, b)| a.index() <= b.index());
    let movements = movements.map(|(left, right)| movement(units, left, right));
    let labels = Expression::ALL.map(|expression| label(reading, expression));
    let scores = movements.chain(labels).enumerate();
    let mut tokens = vec![0.0; SCORE_TOKENS * SCORE_WIDTH];
    for (token, (place, scores)) in tokens.chunks_exact_mut(SCORE_WIDTH).zip(scores) {
        token[place] = 1.0;
        token[SCORE_TOKENS..].copy_from_slice(&scores);
    }
    tokens
}

/// 0 below a level and 1 above it.
fn passed(value: f32, level: f32) -> f32 {
    ((value - level) / SOFT + 0.5).clamp(0.0, 1.0)
}

/// The scores of a movement; one of the middle has no right side.
fn movement(units: &AuVector, left: ActionUnit, right: ActionUnit) -> [f32; BOTH + LABEL] {
    let mut scores = [0.0; BOTH + LABEL];
    let [a, b] = [left, right].map(|unit| units[unit].get());
    let mean = f32::midpoint(a, b);
    scores[..SIDE].copy_from_slice(&side(a, b));
    if left != right {
        scores[SIDE..2 * SIDE].copy_from_slice(&side(b, a));
    }
    let strengths = STRENGTHS.map(|level| passed(mean, level));
    scores[2 * SIDE..BOTH].copy_from_slice(&strengths);
    scores
}

fn side(own: f32, other: f32) -> [f32; SIDE] {
    let levels = LEVELS.map(|level| passed(own, level)).into_iter();
    let leads = LEADS.map(|level| passed(own - other, level));
    filled([own].into_iter().chain(levels).chain(leads))
}

/// The scores of an expression; all 0 where the detector reads units alone.
fn label(reading: &AuReading, expression: Expression) -> [f32; BOTH + LABEL] {
    let mut scores = [0.0; BOTH + LABEL];
    let Some(all) = &reading.probabilities else {
        return scores;
    };
    let ranked = all.ranked();
    let own = all.get(expression).get();
    let logarithm = 1.0 + own.max(f32::MIN_POSITIVE).ln().max(-LEAST_LOGARITHM) / LEAST_LOGARITHM;
    let levels = PROBABILITIES.map(|level| passed(own, level)).into_iter();
    let near = passed(own, ranked[0].1.get() - NEAR);
    let places = [0, 1].map(|place| f32::from(u8::from(ranked[place].0 == expression)));
    let numbers = [own, logarithm].into_iter().chain(levels).chain([near]);
    let label: [f32; LABEL] = filled(numbers.chain(places));
    scores[BOTH..].copy_from_slice(&label);
    scores
}

fn filled<const N: usize>(numbers: impl Iterator<Item = f32>) -> [f32; N] {
    let mut filled = [0.0; N];
    filled.iter_mut().zip(numbers).for_each(|(to, n)| *to = n);
    filled
}

#[cfg(test)]
mod tests {
    use expllm_core::{ExpressionProbabilities, Intensity};
    use proptest::prelude::*;

    use super::*;

    fn reading(units: [f32; ActionUnit::COUNT], labels: [f32; Expression::COUNT]) -> AuReading {
        AuReading {
            action_units: AuVector::from_clamped(units),
            probabilities: Some(ExpressionProbabilities::from_scores(labels)),
        }
    }

    /// The token of a movement or expression, without the part that says which one it is.
    fn token(tokens: &[f32], place: usize) -> &[f32] {
        let token = &tokens[place * SCORE_WIDTH..][..SCORE_WIDTH];
        assert_eq!(token[place], 1.0);
        assert_eq!(token[..SCORE_TOKENS].iter().sum::<f32>(), 1.0);
        &token[SCORE_TOKENS..]
    }

    #[test]
    fn levels_leads_and_strengths_are_told() {
        let mut units = AuVector::REST;
        // The first movement is the closing of the eyes.
        units.set(ActionUnit::LeftEyeClose, Intensity::clamped(0.5));
        units.set(ActionUnit::RightEyeClose, Intensity::clamped(0.22));
        let tokens = score_tokens(&AuReading {
            action_units: units,
            probabilities: None,
        });
        let eyes = token(&tokens, 0);
        assert_eq!(
            eyes[..SIDE],
            [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
        );
        assert_eq!(
            eyes[SIDE..2 * SIDE],
            [0.22, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        );
        assert_eq!(eyes[2 * SIDE..BOTH], [1.0, 1.0, 1.0, 0.0, 0.0]);
        for place in 1..SCORE_TOKENS {
            assert!(token(&tokens, place).iter().all(|&score| score == 0.0));
        }
    }

    #[test]
    fn the_likeliest_expressions_are_marked() {
        let tokens = score_tokens(&reading(
            [0.0; ActionUnit::COUNT],
            [0.05, 0.7, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0],
        ));
        let label = |expression: Expression| {
            let token = token(&tokens, MOVEMENTS + expression.index());
            token[BOTH + 2..].to_vec()
        };
        assert_eq!(label(Expression::Happiness), [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
        assert_eq!(label(Expression::Surprise), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(label(Expression::Neutral), [0.0; 6]);
    }

    proptest! {
        #[test]
        fn any_reading_gives_numbers_from_0_to_1_and_a_mirrored_one_changes_sides(
            units in proptest::collection::vec(0.0f32..=1.0, ActionUnit::COUNT),
            labels in proptest::collection::vec(0.0f32..=1.0, Expression::COUNT),
        ) {
            let units = std::array::from_fn(|i| units[i]);
            let reading = reading(units, std::array::from_fn(|i| labels[i]));
            let tokens = score_tokens(&reading);
            prop_assert_eq!(tokens.len(), SCORE_TOKENS * SCORE_WIDTH);
            prop_assert!(tokens.iter().all(|number| (0.0..=1.0).contains(number)));
            let other = score_tokens(&AuReading {
                action_units: reading.action_units.mirrored(),
                ..reading
            });
            for place in 0..SCORE_TOKENS {
                let (own, other) = (token(&tokens, place), token(&other, place));
                prop_assert_eq!(&own[BOTH..], &other[BOTH..]);
                let paired = own[SIDE..2 * SIDE] != [0.0; SIDE] || other[SIDE..2 * SIDE] != [0.0; SIDE];
                if paired {
                    prop_assert_eq!(&own[..SIDE], &other[SIDE..2 * SIDE]);
                    prop_assert_eq!(&own[SIDE..2 * SIDE], &other[..SIDE]);
                }
            }
        }
    }
}
