//! Readings that are drawn around those of faces.

use expllm_core::{ActionUnit, AuReading, AuVector, ExpressionProbabilities, Intensity};
use rand::{Rng, RngExt};

/// Share of the faces whose movements come from two faces, so that labels do not give them away.
const MIXED: f64 = 0.3;

/// Share of the faces that make one more movement, of any strength, so that rare ones are told too.
const MORE: f64 = 0.5;

/// By how much a movement strays on both sides, and each side from the other.
const STRAYS: [f32; 2] = [0.05, 0.03];

/// Share of the added movements that are made on one side alone.
const ONE_SIDED: f64 = 0.2;

/// By how much the scores of expressions stray.
const LABELS_STRAY: f32 = 0.5;

/// A reading like one of a face, with movements of another one.
pub(super) fn imagined(own: &AuReading, other: &AuReading, rng: &mut impl Rng) -> AuReading {
    let mixed = rng.random_bool(MIXED);
    let gain = rng.random_range(0.7f32..1.4);
    let mut units = AuVector::REST;
    for (unit, mirrored) in movements() {
        let from = match mixed && rng.random_bool(0.5) {
            true => &other.action_units,
            false => &own.action_units,
        };
        let shift = STRAYS[0] * normal(rng);
        for unit in [unit, mirrored] {
            let value = from[unit].get() * gain + shift + STRAYS[1] * normal(rng);
            units.set(unit, Intensity::clamped(value));
        }
    }
    if rng.random_bool(MORE) {
        move_more(&mut units, rng);
    }
    AuReading {
        action_units: units,
        probabilities: own.probabilities.map(|labels| stray(&labels, rng)),
    }
}

/// Units in the middle with themselves, and left units with right ones.
fn movements() -> impl Iterator<Item = (ActionUnit, ActionUnit)> {
    let pairs = ActionUnit::ALL.map(|unit| (unit, unit.mirrored()));
    pairs.into_iter().filter(|(a, b)| a.index() <= b.index())
}

fn move_more(units: &mut AuVector, rng: &mut impl Rng) {
    let unit = ActionUnit::ALL[rng.random_range(0..ActionUnit::COUNT)];
    let strength = rng.random_range(0.05f32..1.0);
    units.set(unit, Intensity::clamped(strength));
    if !rng.random_bool(ONE_SIDED) {
        let other = strength + 2.0 * STRAYS[1] * normal(rng);
        units.set(unit.mirrored(), Intensity::clamped(other));
    }
}

fn stray(labels: &ExpressionProbabilities, rng: &mut impl Rng) -> ExpressionProbabilities {
    let gain = rng.random_range(0.6f32..1.4);
    let scores = labels
        .values()
        .map(|p| gain * p.max(1e-4).ln() + LABELS_STRAY * normal(rng));
    ExpressionProbabilities::from_scores(scores.map(f32::exp))
}

/// About normally distributed, with a deviation of 1.
pub(super) fn normal(rng: &mut impl Rng) -> f32 {
    let sum: f32 = (0..4).map(|_| rng.random_range(-1.0f32..1.0)).sum();
    sum * 0.866
}

#[cfg(test)]
mod tests {
    use expllm_core::Expression;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn what_is_imagined_lies_around_what_was_read_and_all_movements_come_up() {
        let mut own = AuReading {
            action_units: AuVector::REST,
            probabilities: Some(ExpressionProbabilities::from_scores([
                0.1, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            ])),
        };
        own.action_units
            .set(ActionUnit::JawDrop, Intensity::clamped(0.6));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut active, mut likeliest) = ([0; ActionUnit::COUNT], 0);
        for _ in 0..2000 {
            let found = imagined(&own, &own, &mut rng);
            found
                .action_units
                .active()
                .iter()
                .for_each(|(unit, _)| active[unit.index()] += 1);
            likeliest += usize::from(found.probabilities.unwrap().top() == Expression::Happiness);
        }
        assert!(active[ActionUnit::JawDrop.index()] > 1800, "{active:?}");
        assert!(active.iter().all(|&times| times > 10), "{active:?}");
        let others = active.iter().filter(|&&times| times < 200).count();
        assert!(others >= ActionUnit::COUNT - 1, "{active:?}");
        assert!((1500..2000).contains(&likeliest), "{likeliest}");
    }
}
