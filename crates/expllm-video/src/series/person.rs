//! The series of one person and what happens in it.

use expllm_core::{
    ActionUnit, AuVector, ExpressionProbabilities, ExpressionSet, FaceReading, Landmarks,
};
use serde::{Deserialize, Serialize};

use super::micro::micro_expressions;
use super::{
    ExpressionSegment, MicroExpression, Movement, MovementOptions, movements, quantile, segments,
    smoothed,
};

/// How events are found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesOptions {
    /// Standard deviation in seconds of the Gaussian over intensities; 0.04 by default.
    pub sigma: f64,
    /// Share of a person's frames that lies below their rest; 0.2 by default.
    pub rest: f32,
    /// What counts as a movement of a unit.
    pub movement: MovementOptions,
    /// What counts as a blink, of the mean of both eyes without smoothing; height and flank are 0.1
    /// by default.
    pub blink: MovementOptions,
    /// Seconds that blinks and micro-expressions last at most; 0.5 by default.
    pub brief: f64,
    /// Seconds within which a movement of the same unit makes a brief one part of speech or
    /// chewing, not a micro-expression; 0.25 by default.
    pub again: f64,
}

impl Default for SeriesOptions {
    fn default() -> Self {
        let movement = MovementOptions::default();
        Self {
            sigma: 0.04,
            rest: 0.2,
            movement,
            blink: MovementOptions {
                flank: 0.1,
                ..movement
            },
            brief: 0.5,
            again: 0.25,
        }
    }
}

/// What was read of one person, frame after frame.
#[derive(Debug, Clone, Default)]
pub struct PersonSeries {
    /// Time of each frame in which the face was read, in seconds.
    pub times: Vec<f64>,
    /// Units of each.
    pub units: Vec<AuVector>,
    /// Expression of each.
    pub probabilities: Vec<ExpressionProbabilities>,
    /// How far the eyes are open in each: height over width, where landmarks are known.
    pub openness: Vec<Option<f32>>,
}

/// A movement of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UnitMovement {
    /// The unit.
    pub unit: ActionUnit,
    /// When and how much.
    #[serde(flatten)]
    pub movement: Movement,
}

/// What happens in a series.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PersonEvents {
    /// Blinks.
    pub blinks: Vec<Movement>,
    /// Movements of units in the order of time.
    pub movements: Vec<UnitMovement>,
    /// Movements of at most half a second that belong to no blink and do not come again at once.
    pub micro_expressions: Vec<MicroExpression>,
    /// Stretches of one expression.
    pub expressions: Vec<ExpressionSegment>,
}

impl PersonSeries {
    /// Adds a frame; times must rise.
    pub fn push(&mut self, time: f64, reading: &FaceReading) {
        self.times.push(time);
        self.units.push(reading.action_units);
        self.openness.push(reading.landmarks.as_ref().map(openness));
        // Without probabilities all expressions are equally likely.
        let unknown = || ExpressionProbabilities::from_scores([1.0; 8]);
        self.probabilities
            .push(reading.probabilities.unwrap_or_else(unknown));
    }

    /// Intensities of a unit as they were read; `None` when it was never measured.
    #[must_use]
    pub fn unit(&self, unit: ActionUnit) -> Option<Vec<f32>> {
        let measured = self.units.iter().any(|units| units.get(unit).is_some());
        measured.then(|| self.units.iter().map(|units| units[unit].get()).collect())
    }

    /// A unit smoothed, less its rest in this person: the quantile of the smoothed intensities.
    #[must_use]
    pub fn above_rest(&self, unit: ActionUnit, options: &SeriesOptions) -> Option<Vec<f32>> {
        let smooth = smoothed(&self.times, &self.unit(unit)?, options.sigma);
        Some(less_rest(smooth, options.rest))
    }

    /// What happens in the series.
    #[must_use]
    pub fn events(&self, options: &SeriesOptions, set: ExpressionSet) -> PersonEvents {
        let blinks = self.blinks(options);
        let movements = self.movements(options);
        PersonEvents {
            micro_expressions: micro_expressions(&movements, &blinks, options),
            expressions: segments(&self.times, &self.probabilities, set),
            blinks,
            movements,
        }
    }

    fn blinks(&self, options: &SeriesOptions) -> Vec<Movement> {
        let closed = less_rest(self.closed(), 0.5);
        let mut blinks = movements(&self.times, &closed, &options.blink);
        blinks.retain(|blink| blink.duration() <= options.brief);
        blinks
    }

    /// How far the eyes are closed, from 0 (as they mostly are) to 1: by the units where they were
    /// measured, else by the landmarks of all frames.
    fn closed(&self) -> Vec<f32> {
        let eyes = [ActionUnit::LeftEyeClose, ActionUnit::RightEyeClose];
        if let [Some(left), Some(right)] = eyes.map(|eye| self.unit(eye)) {
            return left
                .iter()
                .zip(&right)
                .map(|(l, r)| (l + r) / 2.0)
                .collect();
        }
        let open: Option<Vec<f32>> = self.openness.iter().copied().collect();
        let open = open.filter(|open| open.len() == self.times.len());
        let open = open.unwrap_or_else(|| vec![1.0; self.times.len()]);
        let usual = quantile(&open, OPEN).max(1e-3);
        open.iter().map(|open| 1.0 - open / usual).collect()
    }

    fn movements(&self, options: &SeriesOptions) -> Vec<UnitMovement> {
        let of = |unit: ActionUnit| {
            let heights = self.above_rest(unit, options).unwrap_or_default();
            let found = movements(&self.times, &heights, &options.movement);
            found
                .into_iter()
                .map(move |movement| UnitMovement { unit, movement })
        };
        let mut all: Vec<_> = ActionUnit::ALL.into_iter().flat_map(of).collect();
        all.sort_by(|a, b| a.movement.onset.total_cmp(&b.movement.onset));
        all
    }
}

/// Share of the frames in which the eyes are less open than usual.
const OPEN: f32 = 0.7;

/// Height of the eyes over their width, the mean of both: the eye aspect ratio of Soukupova and
/// Cech (2016, equation 1).
fn openness(marks: &Landmarks) -> f32 {
    let eye = |first: usize| {
        let between =
            |a: usize, b: usize| marks.points[first + a].distance(marks.points[first + b]);
        (between(1, 5) + between(2, 4)) / (2.0 * between(0, 3)).max(1e-3)
    };
    (eye(36) + eye(42)) / 2.0
}

fn less_rest(mut values: Vec<f32>, share: f32) -> Vec<f32> {
    let rest = quantile(&values, share);
    values.iter_mut().for_each(|value| *value -= rest);
    values
}

#[cfg(test)]
mod tests {
    use expllm_core::Intensity;

    use super::*;

    /// Eight seconds at 50 frames a second: a blink at 1 s, a brief raise of the lip corner at
    /// 3 s, and a long jaw drop from 5 to 7 s.
    fn series() -> PersonSeries {
        let bump = |time: f64, apex: f64, half: f64| (1.0 - (time - apex).abs() / half).max(0.0);
        let mut series = PersonSeries::default();
        for frame in 0..400 {
            let time = f64::from(frame) / 50.0;
            let mut units = AuVector::REST;
            let mut set = |unit, value: f64| units.set(unit, Intensity::clamped(value as f32));
            let blink = bump(time, 1.0, 0.15);
            set(ActionUnit::LeftEyeClose, blink);
            set(ActionUnit::RightEyeClose, blink);
            set(
                ActionUnit::LeftLipCornerPull,
                0.05 + 0.3 * bump(time, 3.0, 0.2),
            );
            set(ActionUnit::JawDrop, 0.6 * bump(time, 6.0, 1.0));
            series.times.push(time);
            series.units.push(units);
            series
                .probabilities
                .push(ExpressionProbabilities::from_scores([1.0; 8]));
        }
        series
    }

    #[test]
    fn eyes_that_close_by_their_landmarks_blink() {
        let mut series = series();
        for units in &mut series.units {
            units.clear(ActionUnit::LeftEyeClose);
        }
        let open = |time: &f64| 0.3 - 0.25 * (1.0 - (time - 6.0).abs() / 0.1).max(0.0);
        let heights = series.times.iter().map(open);
        series.openness = heights.map(|open| Some(open as f32)).collect();
        let blinks = series.blinks(&SeriesOptions::default());
        assert_eq!(blinks.len(), 1);
        assert!((blinks[0].apex - 6.0).abs() < 1e-6 && blinks[0].duration() < 0.2);
        // Height over width of an eye of 40 by 10 pixels.
        let mut marks = Landmarks {
            points: [expllm_core::Point::default(); expllm_core::LANDMARK_COUNT],
            head_pose: None,
        };
        for eye in [36, 42] {
            for (at, (x, y)) in [(0, 5), (10, 0), (30, 0), (40, 5), (30, 10), (10, 10)]
                .into_iter()
                .enumerate()
            {
                marks.points[eye + at] = expllm_core::Point::new(x as f32, y as f32);
            }
        }
        assert!((openness(&marks) - 0.25).abs() < 1e-6);
    }

    #[test]
    fn blinks_micro_expressions_and_long_movements_are_told_apart() {
        let events = series().events(&SeriesOptions::default(), ExpressionSet::Seven);
        assert_eq!(events.blinks.len(), 1);
        assert!((events.blinks[0].apex - 1.0).abs() < 1e-6);
        let micro = &events.micro_expressions;
        assert_eq!(micro.len(), 1, "{micro:?}");
        assert_eq!(micro[0].units, [ActionUnit::LeftLipCornerPull]);
        assert!((micro[0].apex - 3.0).abs() < 0.021);
        let jaw = events
            .movements
            .iter()
            .find(|m| m.unit == ActionUnit::JawDrop)
            .unwrap();
        assert!((jaw.movement.apex - 6.0).abs() < 0.021 && jaw.movement.duration() > 1.0);
        assert_eq!(events.expressions.len(), 1);
    }
}
