//! What a person would call a reading, learnt from rated faces.

use std::collections::HashMap;

use expllm_au::{Calibration, Curve, LEVELS};

use super::panel::{INNER_BROW, MOVEMENTS, Rating};
use super::panel_score::FaceFindings;

/// Fewer faces of a step than this say nothing about where it begins.
const LEAST_FACES: usize = 12;

/// Learns a curve for every rated movement, for both of its sides; units that nobody rated keep
/// their readings.
///
/// A step (slight, clear, strong) begins at the reading above which lie as many faces as raters
/// put at that step or above it: the readings of all faces are then spread as the ratings are. The
/// first step, from which a unit counts as active, is moved within a narrow range to where F1 is
/// best. A curve rises, so that the order of readings, and what is exact among renders, is kept.
#[must_use]
pub fn fit_calibration(
    ratings: &[Rating],
    findings: &HashMap<String, FaceFindings>,
) -> Calibration {
    let mut calibration = Calibration::identity();
    for (i, movement) in MOVEMENTS.iter().enumerate() {
        let mut rated: Vec<(f32, u8)> = (ratings.iter())
            .filter_map(|rating| {
                let found = findings.get(&rating.file)?;
                Some((movement.intensity(&found.units)?, rating.steps[i]?))
            })
            .collect();
        rated.sort_by(|a, b| b.0.total_cmp(&a.0));
        let Some(curve) = fit_curve(&rated, movement.name == INNER_BROW) else {
            continue;
        };
        for &unit in movement.units {
            calibration.set(unit, curve);
        }
    }
    calibration
}

/// The curve of readings from the highest to the lowest with their steps; `None` where too few
/// faces move. Where a movement was only said to be there, there is one step.
pub(super) fn fit_curve(rated: &[(f32, u8)], one_step: bool) -> Option<Curve> {
    let begin = |step: u8| {
        let faces = rated.iter().filter(|(_, s)| *s >= step).count();
        let enough = faces >= LEAST_FACES && faces < rated.len();
        enough.then(|| between(rated, faces))
    };
    begin(1)?;
    let slight = best_threshold(rated);
    let above = |from: f32, level: f32, below: f32| {
        // In proportion to what is left of the range.
        from + (1.0 - from) * (level - below) / (1.0 - below)
    };
    let clear = begin(2).filter(|_| !one_step);
    let clear = clear
        .unwrap_or_else(|| above(slight, LEVELS[1], LEVELS[0]))
        .max(slight);
    let strong = begin(3).filter(|_| !one_step);
    let strong = strong
        .unwrap_or_else(|| above(clear, LEVELS[2], LEVELS[1]))
        .max(clear);
    Some(Curve::new([slight, clear, strong]))
}

/// The reading that has `faces` of the readings above it.
fn between(rated: &[(f32, u8)], faces: usize) -> f32 {
    (rated[faces - 1].0 + rated[faces].0) / 2.0
}

/// The reading above which faces count as active, where F1 is best; from half as many faces to
/// twice as many as raters call active.
fn best_threshold(rated: &[(f32, u8)]) -> f32 {
    let active = rated.iter().filter(|(_, step)| *step >= 1).count();
    let most = (2 * active).min(rated.len() - 1);
    let (mut hits, mut best) = (0, (0.0, between(rated, active)));
    for (i, (_, step)) in rated.iter().enumerate().take(most) {
        hits += usize::from(*step >= 1);
        let named = i + 1;
        let f1 = 2.0 * hits as f32 / (named + active) as f32;
        if 2 * named >= active && f1 > best.0 {
            best = (f1, between(rated, named));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use expllm_core::{ActionUnit, AuVector, Intensity};

    use super::*;

    /// Faces whose brows are lowered by `step`, read as a sixteenth of what is meant.
    fn faces() -> (Vec<Rating>, HashMap<String, FaceFindings>) {
        let (mut ratings, mut findings) = (Vec::new(), HashMap::new());
        for i in 0..200u32 {
            let step = [0, 0, 0, 0, 0, 1, 1, 1, 2, 3][i as usize % 10];
            let mut steps = [None; MOVEMENTS.len()];
            steps[0] = Some(step);
            let mut units = AuVector::default();
            let reading = f32::from(step) / 40.0 + (i % 7) as f32 / 1000.0;
            for &unit in MOVEMENTS[0].units {
                units.set(unit, Intensity::clamped(reading));
            }
            let file = format!("{i}");
            findings.insert(
                file.clone(),
                FaceFindings {
                    units,
                    expression: None,
                },
            );
            ratings.push(Rating {
                file,
                rater: None,
                steps,
                stronger: Vec::new(),
                expression: None,
            });
        }
        (ratings, findings)
    }

    #[test]
    fn weak_readings_come_to_mean_what_raters_say() {
        let (ratings, findings) = faces();
        let calibration = fit_calibration(&ratings, &findings);
        let curve = calibration.curve(ActionUnit::RightBrowLower);
        for (rating, step) in ratings.iter().map(|r| (r, r.steps[0].unwrap())) {
            let meant = curve.apply(findings[&rating.file].units[ActionUnit::LeftBrowLower].get());
            let bounds =
                [[0.0, 0.2], [0.2, 0.375], [0.375, 0.675], [0.675, 1.0]][usize::from(step)];
            assert!(
                (bounds[0]..bounds[1]).contains(&meant),
                "{step} is read as {meant}"
            );
        }
    }

    #[test]
    fn what_nobody_rated_keeps_its_readings() {
        let (ratings, findings) = faces();
        let calibration = fit_calibration(&ratings, &findings);
        for unit in [
            ActionUnit::JawThrust,
            ActionUnit::CheekPuff,
            ActionUnit::LeftDimple,
        ] {
            assert_eq!(calibration.curve(unit), Curve::IDENTITY);
        }
        assert_eq!(fit_calibration(&[], &findings), Calibration::identity());
    }
}
