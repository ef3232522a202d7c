//! How far the reading of a face can be trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Degrees, FaceBox, HeadPose, Landmarks, Point};

/// Confidence below which a reading should not be used for a decision.
pub const DOUBTFUL: f32 = 0.5;

/// Why a reading may be wrong, though a face was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// Few pixels show the face.
    Small,
    /// The head is turned away or bent, so that half of the face is hardly seen.
    TurnedAway,
    /// Part of the face lies beyond the edge of the photo.
    CutOff,
}

impl Doubt {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Small, Self::TurnedAway, Self::CutOff];
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Small => "small",
            Self::TurnedAway => "turned away",
            Self::CutOff => "cut off",
        })
    }
}

/// How far the reading of a face can be trusted, by how the face lies in the photo.
///
/// It says nothing of what is in the face: a hand before the mouth is not noticed. `docs/results.md`
/// ("Confidence") has how much readings change where it is low.
///
/// ```
/// use expllm_core::{Confidence, Doubt, FaceBox};
///
/// let tiny = FaceBox { width: 14.0, height: 18.0, ..FaceBox::whole(640, 480) };
/// let confidence = Confidence::of(&tiny, None, (640, 480));
/// assert!(confidence.is_doubtful());
/// assert_eq!(confidence.doubts().collect::<Vec<_>>(), [Doubt::Small]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    small: f32,
    turned_away: f32,
    cut_off: f32,
}

/// Confidence falls from 1 to 0 between two values.
#[derive(Debug, Clone, Copy)]
struct Ramp {
    sure: f32,
    lost: f32,
}

/// Distance between the middles of the eyes, in pixels.
const EYES: Ramp = Ramp {
    sure: 20.0,
    lost: 4.0,
};

/// Eye distance of a face seen from the front, as a share of the width of its box.
const EYES_OF_WIDTH: f32 = 0.45;

/// Turn of the head to a side, in degrees.
const YAW: Ramp = Ramp {
    sure: 25.0,
    lost: 65.0,
};

/// Nod of the head, in degrees.
const PITCH: Ramp = Ramp {
    sure: 20.0,
    lost: 55.0,
};

/// Share of the landmarks, or of the box, within the photo.
const WITHIN: Ramp = Ramp {
    sure: 1.0,
    lost: 0.6,
};

impl Ramp {
    fn at(self, value: f32) -> f32 {
        let share = (value - self.lost) / (self.sure - self.lost);
        if share.is_nan() {
            return 0.0;
        }
        share.clamp(0.0, 1.0)
    }
}

impl Confidence {
    /// Nothing is known that would lower it.
    pub const FULL: Self = Self {
        small: 1.0,
        turned_away: 1.0,
        cut_off: 1.0,
    };

    /// A face in a photo of a width and a height, in pixels.
    ///
    /// Without landmarks only the box counts; without a pose the turn does not.
    #[must_use]
    pub fn of(face: &FaceBox, landmarks: Option<&Landmarks>, photo: (u32, u32)) -> Self {
        let eyes = landmarks.map_or(EYES_OF_WIDTH * face.width, eye_distance);
        let within = match landmarks {
            Some(marks) => share_within(&marks.points, photo),
            None => face.clipped(photo.0, photo.1).area() / face.area(),
        };
        let pose = landmarks.and_then(|marks| marks.head_pose);
        Self {
            small: EYES.at(eyes),
            turned_away: pose.map_or(1.0, frontal),
            cut_off: WITHIN.at(within),
        }
    }

    /// From 0, not to be trusted, to 1: how little stands in the way of a reading.
    #[must_use]
    pub fn get(&self) -> f32 {
        self.small * self.turned_away * self.cut_off
    }

    /// Whether the reading should not be used for a decision.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.get() < DOUBTFUL
    }

    /// What lowers the confidence markedly.
    pub fn doubts(&self) -> impl Iterator<Item = Doubt> + use<> {
        let parts = [self.small, self.turned_away, self.cut_off];
        let pairs = Doubt::ALL.into_iter().zip(parts);
        pairs
            .filter(|(_, part)| *part < 0.75)
            .map(|(doubt, _)| doubt)
    }
}

impl Default for Confidence {
    /// Nothing is known that would lower it.
    fn default() -> Self {
        Self::FULL
    }
}

/// Pixels between the middles of the eyes; in profile they seem close together, so that the distance
/// from brows to chin counts where it is larger.
fn eye_distance(marks: &Landmarks) -> f32 {
    let middle = |range: std::ops::Range<usize>| Point::mean(&marks.points[range]);
    let eyes = middle(36..42).distance(middle(42..48));
    let (brows, chin) = (middle(17..27), marks.points[8]);
    eyes.max(EYES_OF_HEIGHT * brows.distance(chin))
}

/// Eye distance as a share of the distance from brows to chin.
const EYES_OF_HEIGHT: f32 = 0.5;

fn frontal(pose: HeadPose) -> f32 {
    let Degrees(yaw) = pose.yaw;
    let Degrees(pitch) = pose.pitch;
    YAW.at(yaw.abs()) * PITCH.at(pitch.abs())
}

fn share_within(points: &[Point], (width, height): (u32, u32)) -> f32 {
    let inside =
        |p: &&Point| (0.0..=width as f32).contains(&p.x) && (0.0..=height as f32).contains(&p.y);
    points.iter().filter(inside).count() as f32 / points.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LANDMARK_COUNT;

    fn marks(yaw: f32) -> Landmarks {
        let mut points = [Point::new(50.0, 50.0); LANDMARK_COUNT];
        points[36..42].fill(Point::new(30.0, 40.0));
        points[42..48].fill(Point::new(70.0, 40.0));
        Landmarks {
            points,
            head_pose: Some(HeadPose {
                yaw: Degrees(yaw),
                ..HeadPose::default()
            }),
        }
    }

    fn of(yaw: f32, photo: (u32, u32)) -> Confidence {
        Confidence::of(&FaceBox::whole(100, 100), Some(&marks(yaw)), photo)
    }

    #[test]
    fn a_plain_face_leaves_no_doubt_and_each_trouble_its_own() {
        assert_eq!(of(0.0, (100, 100)).get(), 1.0);
        assert_eq!(of(0.0, (100, 100)).doubts().count(), 0);
        assert_eq!(Confidence::default().get(), 1.0);
        let turned: Vec<Doubt> = of(-50.0, (100, 100)).doubts().collect();
        assert_eq!(turned, [Doubt::TurnedAway]);
        let cut: Vec<Doubt> = of(0.0, (45, 100)).doubts().collect();
        assert_eq!(cut, [Doubt::CutOff]);
    }

    #[test]
    fn confidence_falls_with_every_trouble_and_bears_bad_numbers() {
        let mut before = 1.0;
        for yaw in [0.0, 30.0, 45.0, 60.0, 90.0] {
            let now = of(yaw, (100, 100)).get();
            assert!(now <= before);
            before = now;
        }
        assert_eq!(before, 0.0);
        let face = FaceBox {
            width: f32::NAN,
            ..FaceBox::whole(10, 10)
        };
        assert!(Confidence::of(&face, None, (0, 0)).is_doubtful());
        assert_eq!(of(f32::NAN, (100, 100)).get(), 0.0);
    }
}
