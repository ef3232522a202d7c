//! What a face mesh says of units, taught where nobody rated them.
//!
//! MediaPipe's blendshapes lie on a scale of their own, so a curve learnt on rated faces says what a
//! rater would call each value; the value may be off by [`SLACK`] before it counts as wrong. Only
//! movements that the blendshapes show about as well as a network trained without them are taught
//! (`docs/results.md` has both): brow lower and nose wrinkle, which they mistake, are not.

use ActionUnit as U;
use expllm_core::ActionUnit;

use super::calibrate::fit_curve;
use super::gather::{TaughtFace, TaughtFaces};
use super::lesson::Lesson;
use super::mesh::BLENDSHAPES;

/// How far a unit may be from what the mesh says.
const SLACK: f32 = 0.1;

/// Weight of what a mesh says beside 1 for what is exact.
const WEIGHT: f32 = 0.3;

/// A movement by its place in the table of movements, and the units that show it, each with its
/// blendshape.
type Shown = (usize, &'static [(ActionUnit, usize)]);

const SHOWN: [Shown; 6] = [
    (1, &[(U::LeftBrowRaise, 4), (U::RightBrowRaise, 5)]),
    (3, &[(U::LeftLidRaise, 21), (U::RightLidRaise, 22)]),
    (4, &[(U::LeftEyeClose, 9), (U::RightEyeClose, 10)]),
    (10, &[(U::JawDrop, 25)]),
    (12, &[(U::ChinRaise, 42)]),
    (13, &[(U::LipPucker, 38)]),
];

/// Teaches the faces that nobody rated what their blendshapes show.
pub(super) fn teach_by_mesh(faces: &mut TaughtFaces) {
    for (movement, shapes) in SHOWN {
        let mut rated: Vec<(f32, u8)> = (faces.rated.iter())
            .filter_map(|face| {
                let shown = mean(face.lesson.blendshapes.as_ref()?, shapes);
                Some((shown, face.lesson.step(movement)?))
            })
            .collect();
        rated.sort_by(|a, b| b.0.total_cmp(&a.0));
        let Some(curve) = fit_curve(&rated, false) else {
            continue;
        };
        let others = faces.labelled.iter_mut().chain(&mut faces.voted);
        for TaughtFace { lesson, .. } in others {
            lesson.shown(shapes, |value| curve.apply(value));
        }
    }
}

fn mean(blendshapes: &[f32; BLENDSHAPES], shapes: &[(ActionUnit, usize)]) -> f32 {
    let sum: f32 = shapes.iter().map(|&(_, at)| blendshapes[at]).sum();
    sum / shapes.len() as f32
}

impl Lesson {
    /// Bounds the units by what their blendshapes mean.
    fn shown(&mut self, shapes: &[(ActionUnit, usize)], meaning: impl Fn(f32) -> f32) {
        let Some(blendshapes) = &self.blendshapes else {
            return;
        };
        for &(unit, at) in shapes {
            let value = meaning(blendshapes[at]);
            self.units[unit.index()] = [(value - SLACK).max(0.0), (value + SLACK).min(1.0)];
            self.unit_weights[unit.index()] = WEIGHT;
        }
    }
}

#[cfg(test)]
mod tests {
    use expllm_core::Similarity;
    use expllm_face::GreyImage;

    use super::super::panel::{MOVEMENT_COUNT, MOVEMENTS, Rating};
    use super::*;

    fn face(lesson: Lesson) -> TaughtFace {
        TaughtFace {
            image: GreyImage::new(1, 1, vec![0]).unwrap(),
            views: vec![Similarity::IDENTITY],
            lesson,
        }
    }

    fn with_jaw(open: f32) -> Lesson {
        let mut blendshapes = [0.0; BLENDSHAPES];
        blendshapes[25] = open;
        Lesson {
            blendshapes: Some(blendshapes),
            ..Lesson::default()
        }
    }

    /// Jaws open by `step` twentieths, called `step` by their raters.
    fn rated() -> Vec<TaughtFace> {
        let rating = |step| {
            let mut steps = [None; MOVEMENT_COUNT];
            steps[10] = Some(step);
            Rating {
                file: String::new(),
                rater: None,
                steps,
                stronger: Vec::new(),
                expression: None,
            }
        };
        let steps = (0..200).map(|i| [0, 0, 0, 0, 1, 1, 2, 2, 3, 3][i % 10]);
        let lesson = |step| with_jaw(f32::from(step) / 20.0).rated(&rating(step));
        steps.map(|step| face(lesson(step))).collect()
    }

    #[test]
    fn movements_and_their_units_belong_together() {
        for (movement, shapes) in SHOWN {
            let units: Vec<_> = shapes.iter().map(|(unit, _)| *unit).collect();
            assert_eq!(units, MOVEMENTS[movement].units);
        }
    }

    #[test]
    fn what_raters_call_clear_is_taught_as_clear_and_ratings_stay() {
        let mut faces = TaughtFaces {
            rated: rated(),
            labelled: vec![face(with_jaw(0.1)), face(Lesson::default())],
            ..TaughtFaces::default()
        };
        teach_by_mesh(&mut faces);
        let jaw = ActionUnit::JawDrop.index();
        let lesson = &faces.labelled[0].lesson;
        let [low, high] = lesson.units[jaw];
        assert!(
            low < 0.5 && 0.375 < high && high - low < 0.21,
            "{low} {high}"
        );
        assert_eq!(lesson.unit_weights.iter().sum::<f32>(), WEIGHT);
        assert_eq!(faces.labelled[1].lesson.unit_weights[jaw], 0.0);
        assert!(
            faces
                .rated
                .iter()
                .all(|f| f.lesson.unit_weights[jaw] == 0.0)
        );
    }
}
