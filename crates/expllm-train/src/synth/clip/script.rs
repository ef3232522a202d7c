//! Who does what, where and when: drawn from a seed.

use expllm_core::{ActionUnit, AuVector, Degrees, HeadPose, Intensity, Point};

use super::{ClipConfig, ClipEvent, ClipEventKind};
use crate::synth::math::Draw;

use ActionUnit::{
    CheekPuff, ChinRaise, JawDrop, LeftBrowLower, LeftBrowRaise, LeftCheekRaise, LeftEyeClose,
    LeftInnerBrowRaise, LeftLidRaise, LeftLipCornerDepress, LeftLipCornerPull,
    LeftLipCornerStretch, LipPress, LipPucker, LowerLipDepress, NoseWrinkle, UpperLipRaise,
};

/// Units that movements are made of; a left one stands for the pair.
const MOVED: [ActionUnit; 16] = [
    LeftBrowRaise,
    LeftBrowLower,
    LeftInnerBrowRaise,
    LeftLidRaise,
    LeftCheekRaise,
    NoseWrinkle,
    LeftLipCornerPull,
    LeftLipCornerStretch,
    LeftLipCornerDepress,
    UpperLipRaise,
    LowerLipDepress,
    ChinRaise,
    LipPucker,
    LipPress,
    JawDrop,
    CheekPuff,
];

/// Units that speak.
const SPEAKING: [ActionUnit; 2] = [JawDrop, LowerLipDepress];

/// Seconds of rest at the beginning of a clip.
const REST: f64 = 1.5;

/// One person of a clip.
#[derive(Debug, Clone)]
pub struct ClipActor {
    /// Seed of the person.
    pub identity: u64,
    /// Seed of light and camera.
    pub situation: u64,
    /// What the person does, in the order of onsets; blinks lie among the rest.
    pub events: Vec<ClipEvent>,
    sway: [Wave; 3],
    path: [Wave; 2],
}

/// A slow swing around a middle.
#[derive(Debug, Clone, Copy)]
struct Wave {
    middle: f32,
    size: f32,
    /// Seconds.
    period: f64,
    /// Share of a period.
    phase: f64,
}

impl Wave {
    fn at(&self, time: f64) -> f32 {
        let turn = std::f64::consts::TAU * (time / self.period + self.phase);
        self.middle + self.size * turn.sin() as f32
    }

    /// A swing of random size, length and phase.
    fn sample(size: f32, draw: &mut Draw) -> Self {
        Self {
            middle: 0.0,
            size: size * draw.uniform(0.3, 1.0),
            period: f64::from(draw.uniform(4.0, 9.0)),
            phase: f64::from(draw.uniform(0.0, 1.0)),
        }
    }
}

impl ClipActor {
    /// The `index`th person of a clip.
    ///
    /// People of one clip swing from side to side in turn, so that every two of them meet and
    /// pass each other; somebody alone stays in the middle.
    pub(super) fn sample(config: &ClipConfig, index: u32, draw: &mut Draw) -> Self {
        let (identity, situation) = (draw.seed(), draw.seed());
        let mut events = movements(config.seconds, draw);
        events.extend(blinks(config.seconds, draw));
        events.sort_by(|a, b| a.onset.total_cmp(&b.onset));
        let alone = config.people < 2;
        let across = Wave {
            middle: 0.5,
            size: if alone { 0.04 } else { 0.28 },
            period: if alone { 7.0 } else { 24.0 },
            phase: f64::from(index) / f64::from(config.people.max(1)) + 0.25,
        };
        let down = Wave {
            middle: 0.5,
            ..Wave::sample(0.02, draw)
        };
        Self {
            identity,
            situation,
            events,
            sway: [6.0, 11.0, 5.0].map(|size| Wave::sample(size, draw)),
            path: [across, down],
        }
    }

    /// Intensities at a time in seconds; the greatest where events meet in a unit.
    #[must_use]
    pub fn units(&self, time: f64) -> AuVector {
        let mut values = [0.0_f32; ActionUnit::COUNT];
        for event in &self.events {
            let intensity = event.intensity(time);
            for unit in &event.units {
                let value = &mut values[unit.index()];
                *value = value.max(intensity);
            }
        }
        let mut units = AuVector::REST;
        for unit in ActionUnit::ALL {
            units.set(unit, Intensity::clamped(values[unit.index()]));
        }
        units
    }

    /// Where the head turns at a time in seconds.
    #[must_use]
    pub fn head_pose(&self, time: f64) -> HeadPose {
        let [pitch, yaw, roll] = self.sway.map(|wave| Degrees(wave.at(time)));
        HeadPose { pitch, yaw, roll }
    }

    /// Middle of the person at a time in seconds, in shares of the width and the height of the
    /// picture.
    #[must_use]
    pub fn place(&self, time: f64) -> Point {
        let [x, y] = self.path.map(|wave| wave.at(time));
        Point::new(x, y)
    }
}

/// Movements, micro-expressions and speech one after another, with rest between them.
fn movements(seconds: f64, draw: &mut Draw) -> Vec<ClipEvent> {
    let mut events = Vec::new();
    let mut time = REST;
    loop {
        let event = match draw.uniform(0.0, 1.0) {
            p if p < 0.5 => movement(time, draw),
            p if p < 0.85 => micro(time, draw),
            _ => speech(time, draw),
        };
        time = event.offset + f64::from(draw.uniform(0.6, 1.5));
        if event.offset > seconds - 0.5 {
            return events;
        }
        events.push(event);
    }
}

fn movement(onset: f64, draw: &mut Draw) -> ClipEvent {
    let length = f64::from(draw.uniform(0.8, 2.4));
    ClipEvent {
        kind: ClipEventKind::Movement,
        units: pair(draw.pick(&MOVED)),
        onset,
        apex: onset + length * f64::from(draw.uniform(0.3, 0.6)),
        offset: onset + length,
        height: draw.uniform(0.35, 1.0),
    }
}

fn micro(onset: f64, draw: &mut Draw) -> ClipEvent {
    let length = f64::from(draw.uniform(0.2, 0.5));
    ClipEvent {
        kind: ClipEventKind::Micro,
        units: pair(draw.pick(&MOVED)),
        onset,
        apex: onset + 0.5 * length,
        offset: onset + length,
        height: draw.uniform(0.31, 0.6),
    }
}

fn speech(onset: f64, draw: &mut Draw) -> ClipEvent {
    let length = f64::from(draw.uniform(1.5, 3.0));
    ClipEvent {
        kind: ClipEventKind::Speech,
        units: SPEAKING.to_vec(),
        onset,
        apex: onset + 0.5 * length,
        offset: onset + length,
        height: draw.uniform(0.2, 0.45),
    }
}

fn blinks(seconds: f64, draw: &mut Draw) -> Vec<ClipEvent> {
    let mut blinks = Vec::new();
    let mut onset = f64::from(draw.uniform(0.5, 3.0));
    loop {
        let length = f64::from(draw.uniform(0.15, 0.35));
        if onset + length > seconds {
            return blinks;
        }
        blinks.push(ClipEvent {
            kind: ClipEventKind::Blink,
            units: pair(LeftEyeClose),
            onset,
            apex: onset + 0.4 * length,
            offset: onset + length,
            height: draw.uniform(0.85, 1.0),
        });
        onset += length + f64::from(draw.uniform(2.0, 5.0));
    }
}

/// The unit and, where there is one, that of the other side.
fn pair(unit: ActionUnit) -> Vec<ActionUnit> {
    let mut pair = vec![unit, unit.mirrored()];
    pair.dedup();
    pair
}
