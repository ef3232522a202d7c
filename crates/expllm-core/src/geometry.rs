//! Points, boxes, landmarks and transforms in pixels of a photo.
//!
//! The origin is the top left corner of the top left pixel, x grows to the right and y down;
//! the centre of the first pixel is at (0.5, 0.5).

use serde::{Deserialize, Serialize};

use crate::CoreError;

/// How many landmarks a face has (the Multi-PIE 68-point scheme).
pub const LANDMARK_COUNT: usize = 68;

/// An angle in degrees.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Degrees(pub f32);

/// A position in pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Downwards.
    pub y: f32,
}

impl Point {
    /// A point from its coordinates.
    #[must_use]
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Distance to another point in pixels.
    #[must_use]
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The mean of some points; the origin when there are none.
    #[must_use]
    pub fn mean(points: &[Self]) -> Self {
        let n = points.len().max(1) as f32;
        let (x, y) = points
            .iter()
            .fold((0.0, 0.0), |(x, y), p| (x + p.x, y + p.y));
        Self::new(x / n, y / n)
    }
}

/// A face found in a photo; the box may reach over the photo's edge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FaceBox {
    /// Left edge in pixels.
    pub x: f32,
    /// Top edge in pixels.
    pub y: f32,
    /// Width in pixels.
    pub width: f32,
    /// Height in pixels.
    pub height: f32,
    /// The detector's score; higher is surer, the scale is the detector's own.
    pub score: f32,
    /// The subject's right eye, left eye, tip of the nose, right and left corner of the mouth, in
    /// pixels; from detectors that see them, and rough. They say which way up the face is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<[Point; 5]>,
}

impl FaceBox {
    /// The middle of the box.
    #[must_use]
    pub fn center(&self) -> Point {
        Point::new(self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// Area in square pixels.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// The part of the box that lies in a photo of the given size; the points stay. A box beside
    /// the photo shrinks to its edge.
    #[must_use]
    pub fn clipped(&self, width: u32, height: u32) -> Self {
        let (right, bottom) = (width as f32, height as f32);
        let (x, y) = (self.x.clamp(0.0, right), self.y.clamp(0.0, bottom));
        Self {
            x,
            y,
            width: (self.x + self.width).clamp(x, right) - x,
            height: (self.y + self.height).clamp(y, bottom) - y,
            ..*self
        }
    }

    /// The box that holds a whole photo of one face crop, with score 1.
    #[must_use]
    pub fn whole(width: u32, height: u32) -> Self {
        Self {
            x: 0.0,
            y: 0.0,
            width: width as f32,
            height: height as f32,
            score: 1.0,
            points: None,
        }
    }
}

/// Rotation of the head in degrees; all zero looks straight into the camera.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct HeadPose {
    /// Nod: positive looks up.
    pub pitch: Degrees,
    /// Turn: positive turns to the subject's left (the right of the photo).
    pub yaw: Degrees,
    /// Tilt: positive tilts clockwise in the photo.
    pub roll: Degrees,
}

impl HeadPose {
    /// The pose in a mirrored photo.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self {
            pitch: self.pitch,
            yaw: Degrees(-self.yaw.0),
            roll: Degrees(-self.roll.0),
        }
    }
}

/// For each landmark, the one it becomes in a mirrored photo.
const MIRROR: [u8; LANDMARK_COUNT] = [
    16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, // jaw line
    26, 25, 24, 23, 22, 21, 20, 19, 18, 17, // brows
    27, 28, 29, 30, 35, 34, 33, 32, 31, // nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, // eyes
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, // outer lips
    64, 63, 62, 61, 60, 67, 66, 65, // inner lips
];

/// The 68 landmarks of one face in Multi-PIE order, and its head pose.
///
/// 0-16 jaw line, 17-21 and 22-26 brows, 27-35 nose, 36-41 and 42-47 eyes, 48-59 outer and
/// 60-67 inner lips; every group runs from the left of the photo to the right.
#[derive(Debug, Clone, PartialEq)]
pub struct Landmarks {
    /// Positions in pixels of the photo (or of the crop, on an aligned face).
    pub points: [Point; LANDMARK_COUNT],
    /// Rotation of the head.
    pub head_pose: Option<HeadPose>,
}

impl Landmarks {
    /// Centre of the eye on the left of the photo (the subject's right eye).
    #[must_use]
    pub fn image_left_eye(&self) -> Point {
        Point::mean(&self.points[36..42])
    }

    /// Centre of the eye on the right of the photo (the subject's left eye).
    #[must_use]
    pub fn image_right_eye(&self) -> Point {
        Point::mean(&self.points[42..48])
    }

    /// Distance between the eye centres in pixels.
    #[must_use]
    pub fn eye_distance(&self) -> f32 {
        self.image_left_eye().distance(self.image_right_eye())
    }

    /// The landmarks in other coordinates; the head pose stays.
    #[must_use]
    pub fn transformed(&self, by: &Similarity) -> Self {
        Self {
            points: self.points.map(|p| by.apply(p)),
            head_pose: self.head_pose,
        }
    }

    /// The landmarks of the mirrored photo of the given width in pixels.
    #[must_use]
    pub fn mirrored(&self, width: f32) -> Self {
        let points = MIRROR.map(|from| {
            let p = self.points[usize::from(from)];
            Point::new(width - p.x, p.y)
        });
        Self {
            points,
            head_pose: self.head_pose.map(HeadPose::mirrored),
        }
    }

    /// Landmarks from a slice.
    ///
    /// # Errors
    ///
    /// [`CoreError::WrongLength`] unless there are exactly 68.
    pub fn from_slice(points: &[Point], head_pose: Option<HeadPose>) -> Result<Self, CoreError> {
        let points = points.try_into().map_err(|_| CoreError::WrongLength {
            what: "a landmark list",
            expected: LANDMARK_COUNT,
            found: points.len(),
        })?;
        Ok(Self { points, head_pose })
    }
}

/// A similarity transform: `x' = a x - b y + tx`, `y' = b x + a y + ty`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Similarity {
    /// Scale times cosine of the rotation.
    pub a: f32,
    /// Scale times sine of the rotation.
    pub b: f32,
    /// Shift to the right in pixels.
    pub tx: f32,
    /// Shift downwards in pixels.
    pub ty: f32,
}

impl Similarity {
    /// The transform that changes nothing.
    pub const IDENTITY: Self = Self {
        a: 1.0,
        b: 0.0,
        tx: 0.0,
        ty: 0.0,
    };

    /// The least-squares transform from `from` onto `to` (Umeyama 1991, without reflection).
    ///
    /// Returns `None` when the lists differ in length or `from` has no extent.
    #[must_use]
    pub fn fit(from: &[Point], to: &[Point]) -> Option<Self> {
        if from.len() != to.len() || from.len() < 2 {
            return None;
        }
        let (cf, ct) = (Point::mean(from), Point::mean(to));
        let (mut dot, mut cross, mut norm) = (0.0f64, 0.0f64, 0.0f64);
        for (f, t) in from.iter().zip(to) {
            let (fx, fy) = (f64::from(f.x - cf.x), f64::from(f.y - cf.y));
            let (ox, oy) = (f64::from(t.x - ct.x), f64::from(t.y - ct.y));
            dot += fx * ox + fy * oy;
            cross += fx * oy - fy * ox;
            norm += fx * fx + fy * fy;
        }
        if !norm.is_finite() || norm <= f64::from(f32::MIN_POSITIVE) {
            return None;
        }
        let (a, b) = ((dot / norm) as f32, (cross / norm) as f32);
        let tx = ct.x - (a * cf.x - b * cf.y);
        let ty = ct.y - (b * cf.x + a * cf.y);
        (a.is_finite() && b.is_finite() && a.hypot(b) > 0.0).then_some(Self { a, b, tx, ty })
    }

    /// Where a point goes.
    #[must_use]
    pub fn apply(&self, p: Point) -> Point {
        Point::new(
            self.a * p.x - self.b * p.y + self.tx,
            self.b * p.x + self.a * p.y + self.ty,
        )
    }

    /// Factor by which lengths grow.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// The way back; `None` when the scale is zero or not finite.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let n = self.a * self.a + self.b * self.b;
        if !n.is_normal() {
            return None;
        }
        let (a, b) = (self.a / n, -self.b / n);
        Some(Self {
            a,
            b,
            tx: -(a * self.tx - b * self.ty),
            ty: -(b * self.tx + a * self.ty),
        })
    }

    /// This transform after another one.
    #[must_use]
    pub fn after(&self, first: &Self) -> Self {
        let shift = self.apply(Point::new(first.tx, first.ty));
        Self {
            a: self.a * first.a - self.b * first.b,
            b: self.b * first.a + self.a * first.b,
            tx: shift.x,
            ty: shift.y,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fit_recovers_the_transform_and_inverse_undoes_it(
            angle in -3.0f32..3.0, scale in 0.1f32..5.0, tx in -50.0f32..50.0, ty in -50.0f32..50.0,
        ) {
            let truth = Similarity { a: scale * angle.cos(), b: scale * angle.sin(), tx, ty };
            let from = [Point::new(0.0, 0.0), Point::new(9.0, 2.0), Point::new(3.0, 7.0)];
            let to = from.map(|p| truth.apply(p));
            let found = Similarity::fit(&from, &to).unwrap();
            let both = found.inverse().unwrap().after(&truth);
            for p in from {
                prop_assert!(found.apply(p).distance(truth.apply(p)) < 1e-3);
                prop_assert!(both.apply(p).distance(p) < 1e-3);
            }
        }
    }

    #[test]
    fn mirroring_landmarks_twice_changes_nothing() {
        let points = std::array::from_fn(|i| Point::new(i as f32, (i * i) as f32));
        let head_pose = Some(HeadPose {
            pitch: Degrees(3.0),
            yaw: Degrees(-20.0),
            roll: Degrees(5.0),
        });
        let landmarks = Landmarks { points, head_pose };
        let once = landmarks.mirrored(100.0);
        assert_eq!(once.points[36], Point::new(100.0 - 45.0, 45.0 * 45.0));
        assert_eq!(once.head_pose.unwrap().yaw, Degrees(20.0));
        assert_eq!(once.mirrored(100.0), landmarks);
    }

    #[test]
    fn clipped_boxes_lie_in_the_photo() {
        let at = |x, y, width, height| FaceBox {
            x,
            y,
            width,
            height,
            ..FaceBox::whole(1, 1)
        };
        let clip = |face: FaceBox| face.clipped(100, 50);
        assert_eq!(clip(at(-10.0, 20.0, 30.0, 40.0)), at(0.0, 20.0, 20.0, 30.0));
        assert_eq!(clip(at(-9.0, -9.0, 200.0, 99.0)), at(0.0, 0.0, 100.0, 50.0));
        assert_eq!(clip(at(120.0, 5.0, 30.0, 10.0)), at(100.0, 5.0, 0.0, 10.0));
        assert_eq!(clip(at(3.0, 4.0, 5.0, 6.0)), at(3.0, 4.0, 5.0, 6.0));
    }

    #[test]
    fn degenerate_fits_are_refused() {
        let p = Point::new(1.0, 1.0);
        assert_eq!(Similarity::fit(&[p, p], &[p, p]), None);
        assert_eq!(Similarity::fit(&[p], &[p]), None);
    }
}
