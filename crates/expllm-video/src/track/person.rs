//! One person while in sight and for a while after.

use expllm_core::{FaceBox, Landmarks, PlacedFace, Point};
use serde::{Deserialize, Serialize};

use super::Appearance;
use super::appearance::Looks;

/// How fast a new speed replaces the old one, per frame.
const SPEED_SHARE: f32 = 0.4;
/// How far ahead the speed is trusted, in seconds.
const SPEED_TRUST: f32 = 0.2;

/// What was seen of a face in one frame.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The square around the landmarks.
    pub bounds: Square,
    /// How the face looks.
    pub appearance: Appearance,
    /// Right eye, left eye, nose and corners of the mouth, as in [`FaceBox::points`].
    points: [Point; 5],
}

impl Sighting {
    /// What is seen of a face that was placed; `None` without landmarks or with landmarks that
    /// are not finite.
    pub fn of(face: &PlacedFace) -> Option<Self> {
        let marks = face.landmarks.as_ref()?;
        let [nose, right, left] = [30, 48, 54].map(|at: usize| marks.points[at]);
        Some(Self {
            bounds: Square::around(marks)?,
            points: [
                marks.image_left_eye(),
                marks.image_right_eye(),
                nose,
                right,
                left,
            ],
            appearance: Appearance::of(&face.aligned.image),
        })
    }
}

/// A square by its middle and side in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Square {
    /// The middle.
    pub center: Point,
    /// The side, above 0.
    pub side: f32,
}

impl Square {
    /// The square around landmarks, if they are finite and not all in one point.
    fn around(marks: &Landmarks) -> Option<Self> {
        let (mut low, mut high) = (marks.points[0], marks.points[0]);
        for p in &marks.points {
            low = Point::new(low.x.min(p.x), low.y.min(p.y));
            high = Point::new(high.x.max(p.x), high.y.max(p.y));
        }
        let side = (high.x - low.x).max(high.y - low.y);
        let finite = marks
            .points
            .iter()
            .all(|p| p.x.is_finite() && p.y.is_finite());
        (finite && side > 1.0).then_some(Self {
            center: Point::mean(&[low, high]),
            side,
        })
    }

    /// The square around a box.
    pub fn of(face_box: &FaceBox) -> Self {
        Self {
            center: face_box.center(),
            side: face_box.width.max(face_box.height).max(1.0),
        }
    }

    /// Whether another square is so close that its face may cover a part of this one.
    pub fn is_close(&self, other: &Self) -> bool {
        self.center.distance(other.center) < 0.8 * (self.side + other.side)
    }

    /// Area of the overlap over the area of both together, from 0 to 1.
    pub fn overlap(&self, other: &Self) -> f32 {
        let along = |a: f32, b: f32| {
            let (half, other_half) = (self.side / 2.0, other.side / 2.0);
            ((a + half).min(b + other_half) - (a - half).max(b - other_half)).max(0.0)
        };
        let (a, b) = (self.center, other.center);
        let both = along(a.x, b.x) * along(a.y, b.y);
        both / (self.side * self.side + other.side * other.side - both)
    }
}

/// A person who was seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// The number, from 0 in the order of first appearance.
    pub number: u32,
    /// Where the landmarks were last.
    pub bounds: Square,
    /// How the face looks from several sides.
    pub looks: Looks,
    /// Whether the person is followed at present.
    pub in_sight: bool,
    /// Time of the last sighting in seconds.
    pub seen: f64,
    /// Whether somebody else was so close when the person was lost that they may have covered the
    /// face.
    pub covered: bool,
    /// Searches in a row that did not find the face where it was followed.
    pub missed: u32,
    /// The detector's box, in sides of the square of landmarks around its middle.
    relation: Square,
    score: f32,
    points: [Point; 5],
    /// Pixels per second.
    speed: Point,
}

impl Person {
    /// Somebody new, found by the detector.
    pub fn new(number: u32, found: &FaceBox, sighting: Sighting, time: f64) -> Self {
        let bounds = sighting.bounds;
        let mut person = Self {
            number,
            bounds,
            looks: Looks::new(sighting.appearance),
            in_sight: true,
            seen: time,
            covered: false,
            missed: 0,
            relation: Square::of(found),
            score: found.score,
            points: sighting.points,
            speed: Point::default(),
        };
        person.found_at(found, bounds);
        person
    }

    /// Learns how the detector's box lies to the landmarks.
    fn found_at(&mut self, found: &FaceBox, bounds: Square) {
        let (square, side) = (Square::of(found), bounds.side);
        let from = |a: f32, b: f32| (a - b) / side;
        self.relation = Square {
            center: Point::new(
                from(square.center.x, bounds.center.x).clamp(-0.5, 0.5),
                from(square.center.y, bounds.center.y).clamp(-0.5, 0.5),
            ),
            side: (square.side / side).clamp(0.5, 2.0),
        };
        self.score = found.score;
    }

    /// Where the face should be at a time.
    pub fn expected(&self, time: f64) -> Square {
        let ahead = ((time - self.seen) as f32).clamp(0.0, SPEED_TRUST);
        let Point { x, y } = self.bounds.center;
        let center = Point::new(x + self.speed.x * ahead, y + self.speed.y * ahead);
        Square {
            center,
            ..self.bounds
        }
    }

    /// The box as the detector would give it, where the landmarks are.
    pub fn face_box(&self, bounds: &Square) -> FaceBox {
        let side = bounds.side * self.relation.side;
        let x = bounds.center.x + self.relation.center.x * bounds.side;
        let y = bounds.center.y + self.relation.center.y * bounds.side;
        let (from, to) = (self.bounds.center, bounds.center);
        let moved = |p: Point| Point::new(p.x + to.x - from.x, p.y + to.y - from.y);
        FaceBox {
            x: x - side / 2.0,
            y: y - side / 2.0,
            width: side,
            height: side,
            score: self.score,
            points: Some(self.points.map(moved)),
        }
    }

    /// Follows the face to its next place; learns its look unless somebody is close, who may cover
    /// a part of it.
    pub fn follow(&mut self, sighting: &Sighting, time: f64, alone: bool) {
        let passed = (time - self.seen) as f32;
        if passed > 0.0 {
            let now =
                |old: f32, from: f32, to: f32| old + SPEED_SHARE * ((to - from) / passed - old);
            let (from, to) = (self.bounds.center, sighting.bounds.center);
            self.speed = Point::new(
                now(self.speed.x, from.x, to.x),
                now(self.speed.y, from.y, to.y),
            );
        }
        self.bounds = sighting.bounds;
        self.points = sighting.points;
        if alone {
            self.looks.learn(&sighting.appearance);
        }
        self.seen = time;
    }

    /// Is back after a while out of sight.
    pub fn returns(&mut self, found: &FaceBox, sighting: &Sighting, time: f64) {
        self.bounds = sighting.bounds;
        self.points = sighting.points;
        self.found_at(found, sighting.bounds);
        self.speed = Point::default();
        (self.in_sight, self.seen, self.missed) = (true, time, 0);
    }
}
