//! Head pose and camera: from head coordinates to samples of the picture.

use expllm_core::{Degrees, HeadPose, Point};

use super::math::{Draw, Rotation, Vec3};

/// A point deep in the face that stays near the middle of the picture when the head turns.
const ANCHOR: Vec3 = [0.0, -1.0, 5.0];

/// Between the eyes of the average head.
pub(crate) const EYE_DISTANCE_CM: f32 = 6.3;

/// The rotation of a pose: first the nod, then the turn, then the tilt in the picture.
///
/// With this order (yaw, pitch) are the azimuth and elevation of the direction that the face
/// looks into, and turning the picture changes only the roll.
pub(crate) fn rotation(pose: HeadPose) -> Rotation {
    let (sp, cp) = pose.pitch.0.to_radians().sin_cos();
    let (sy, cy) = pose.yaw.0.to_radians().sin_cos();
    // Clockwise in the picture is negative around the axis towards the camera.
    let (sr, cr) = (-pose.roll.0).to_radians().sin_cos();
    // R = Rz(-roll) Ry(yaw) Rx(-pitch), written out; a positive pitch lifts the face's z axis.
    let ry_rx = [
        [cy, -sy * sp, sy * cp],
        [0.0, cp, sp],
        [-sy, -cy * sp, cy * cp],
    ];
    let [a, b, c] = ry_rx;
    Rotation([
        [0, 1, 2].map(|i| cr * a[i] - sr * b[i]),
        [0, 1, 2].map(|i| sr * a[i] + cr * b[i]),
        c,
    ])
}

/// Draws a pose: mostly near frontal, sometimes far turned.
pub(crate) fn sample_pose(draw: &mut Draw) -> HeadPose {
    let yaw = if draw.chance(0.08) {
        draw.uniform(-60.0, 60.0)
    } else {
        draw.normal(17.0).clamp(-45.0, 45.0)
    };
    HeadPose {
        pitch: Degrees(draw.normal(9.0).clamp(-25.0, 25.0)),
        yaw: Degrees(yaw),
        roll: Degrees(draw.normal(8.0).clamp(-25.0, 25.0)),
    }
}

/// A perspective camera that looks along the negative z axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Camera {
    rotation: Rotation,
    /// The neck follows the head only in part.
    neck: Rotation,
    /// From the origin of the head to the camera, in centimetres.
    distance: f32,
    /// Focal length in pixels.
    focal: f32,
    centre: Point,
}

impl Camera {
    /// Draws distance, scale and position for a picture of `size` pixels.
    pub fn sample(pose: HeadPose, size: f32, draw: &mut Draw) -> Self {
        let unit = size / 160.0;
        let eye_distance = if draw.chance(0.6) {
            55.0 + draw.normal(5.0)
        } else {
            draw.uniform(30.0, 56.0)
        } * unit;
        let distance = 45.0 * 6.0f32.powf(draw.uniform(0.0, 1.0));
        let slack = (55.0 * unit - eye_distance).max(0.0) * 0.5 + 3.5 * unit;
        let target = Point::new(
            size / 2.0 + draw.normal(0.6) * slack,
            size / 2.0 + 0.44 * eye_distance + draw.normal(0.6) * slack,
        );
        let mut neck = pose;
        neck.yaw.0 *= 0.35;
        neck.pitch.0 *= 0.2;
        neck.roll.0 *= 0.4;
        let mut camera = Self {
            rotation: rotation(pose),
            neck: rotation(neck),
            distance,
            // The eyes lie about 9 cm in front of the origin.
            focal: eye_distance / EYE_DISTANCE_CM * (distance - 9.0),
            centre: Point::default(),
        };
        let at = camera.project(camera.place(ANCHOR)).0;
        camera.centre = Point::new(target.x - at.x, target.y - at.y);
        camera
    }

    /// Steps back until the whole head is in a picture of `size` pixels, in its middle.
    pub fn show_whole_head(&mut self, size: f32) {
        self.focal = 0.2 * size / EYE_DISTANCE_CM * (self.distance - 9.0);
        self.centre = Point::default();
        let at = self.project(self.place(ANCHOR)).0;
        self.centre = Point::new(size / 2.0 - at.x, size / 2.0 - at.y);
    }

    /// Turns a point of the head; low on the neck the turn weakens.
    pub fn place(&self, p: Vec3) -> Vec3 {
        let head = self.rotation.apply(p);
        if p[1] > -9.0 {
            return head;
        }
        let t = super::math::smoothstep(-9.0, -18.0, p[1]);
        super::math::mix(head, self.neck.apply(p), t)
    }

    /// Turns a direction.
    pub fn turn(&self, direction: Vec3) -> Vec3 {
        self.rotation.apply(direction)
    }

    /// The direction in head coordinates of one in camera coordinates.
    pub fn unturn(&self, direction: Vec3) -> Vec3 {
        let rows = self.rotation.0;
        [0, 1, 2].map(|i| (0..3).map(|row| rows[row][i] * direction[row]).sum())
    }

    /// Pixel of a placed point, and its nearness (larger is nearer).
    pub fn project(&self, p: Vec3) -> (Point, f32) {
        // Extreme shapes never reach the camera; the bound keeps the division safe.
        let depth = (self.distance - p[2]).max(1.0);
        let s = self.focal / depth;
        let point = Point::new(self.centre.x + s * p[0], self.centre.y - s * p[1]);
        (point, 1.0 / depth)
    }

    /// Pixels per centimetre at the depth of the face.
    pub fn scale(&self) -> f32 {
        self.focal / (self.distance - 9.0)
    }

    /// Moves and, where needed, shrinks the picture until the points of the face (not those of
    /// the jaw line) lie at least `margin` pixels inside.
    pub fn fit(&mut self, points: &[Vec3], size: f32, margin: f32) {
        for _ in 0..4 {
            let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
            for &p in points {
                let at = self.project(p).0;
                low = [low[0].min(at.x), low[1].min(at.y)];
                high = [high[0].max(at.x), high[1].max(at.y)];
            }
            let room = size - 2.0 * margin;
            let most = (high[0] - low[0]).max(high[1] - low[1]);
            if most > room {
                let shrink = 0.97 * room / most;
                self.focal *= shrink;
                let half = size / 2.0;
                self.centre.x = half + (self.centre.x - half) * shrink;
                self.centre.y = half + (self.centre.y - half) * shrink;
                continue;
            }
            let shift =
                |low: f32, high: f32| (margin - low).max(0.0) - (high - (size - margin)).max(0.0);
            self.centre.x += shift(low[0], high[0]);
            self.centre.y += shift(low[1], high[1]);
            return;
        }
    }
}
