//! What happens in a clip, with exact times.

use expllm_core::ActionUnit;
use serde::{Deserialize, Serialize};

/// What kind of event a movement belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipEventKind {
    /// A movement of more than half a second.
    Movement,
    /// A movement of 0.2 to 0.5 s.
    Micro,
    /// Both eyes close for 0.15 to 0.35 s.
    Blink,
    /// The mouth opens and rounds three to five times a second for a few seconds.
    Speech,
}

/// One rise and fall of units that move together.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipEvent {
    /// What it belongs to.
    pub kind: ClipEventKind,
    /// The units, all with the same course.
    pub units: Vec<ActionUnit>,
    /// Time in seconds at which the units leave rest.
    pub onset: f64,
    /// Time in seconds of the greatest intensity.
    pub apex: f64,
    /// Time in seconds at which the units are back at rest.
    pub offset: f64,
    /// Intensity at the apex, in [0, 1].
    pub height: f32,
}

impl ClipEvent {
    /// Intensity of its units at a time in seconds: half a wave of a cosine up to the apex and
    /// another one down; speech repeats that between onset and offset.
    #[must_use]
    pub fn intensity(&self, time: f64) -> f32 {
        if time <= self.onset || time >= self.offset {
            return 0.0;
        }
        let share = match self.kind {
            ClipEventKind::Speech => self.syllables(time),
            _ if time <= self.apex => (time - self.onset) / (self.apex - self.onset),
            _ => (self.offset - time) / (self.offset - self.apex),
        };
        let wave = 0.5 * (1.0 - (std::f64::consts::PI * share).cos());
        self.height * wave as f32
    }

    /// Goes up and down between 0 and 1 about four times a second.
    fn syllables(&self, time: f64) -> f64 {
        let length = self.offset - self.onset;
        let count = (4.0 * length).round().max(1.0);
        let place = (time - self.onset) / length * count;
        1.0 - (2.0 * place.fract() - 1.0).abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: ClipEventKind) -> ClipEvent {
        ClipEvent {
            kind,
            units: vec![ActionUnit::JawDrop],
            onset: 1.0,
            apex: 1.5,
            offset: 3.0,
            height: 0.8,
        }
    }

    #[test]
    fn a_movement_rises_to_its_apex_and_falls() {
        let event = event(ClipEventKind::Movement);
        let at = |time| event.intensity(time);
        assert_eq!([at(0.9), at(1.0), at(3.0), at(4.0)], [0.0; 4]);
        assert!((at(1.5) - 0.8).abs() < 1e-6);
        assert!((at(1.25) - 0.4).abs() < 1e-6 && (at(2.25) - 0.4).abs() < 1e-6);
    }

    #[test]
    fn speech_opens_and_closes_again_and_again() {
        let event = event(ClipEventKind::Speech);
        let tops = (0..400).map(|i| event.intensity(1.0 + f64::from(i) / 200.0));
        let tops: Vec<_> = tops.collect();
        let peaks = tops.windows(3).filter(|w| w[1] > w[0] && w[1] >= w[2]);
        assert_eq!(peaks.count(), 8);
        assert!(tops.iter().all(|v| (0.0..=0.8).contains(v)));
    }
}
