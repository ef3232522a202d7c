//! The network and the geometry of its crop.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use expllm_core::{LANDMARK_COUNT, Point, Similarity};

use crate::backbone::{Backbone, BackboneConfig};

/// Numbers per face: 68 points as x, y in units of the crop's side, then pitch, yaw and roll in
/// units of [`ANGLE_UNIT`](super::network::ANGLE_UNIT) degrees.
pub const OUTPUTS: usize = 2 * LANDMARK_COUNT + 3;

/// Degrees per unit of the network's angle outputs, so that they have the size of the others.
pub const ANGLE_UNIT: f32 = 90.0;

/// Side of the crop, as a multiple of the longer side of the landmarks' bounding box.
const CROP_MARGIN: f32 = 1.3;

/// Sizes of a [`LandmarkNetwork`].
#[derive(Config, Debug, PartialEq)]
pub struct LandmarkNetworkConfig {
    /// Side of the square input in pixels.
    #[config(default = 64)]
    pub side: usize,
    /// The convolutional part.
    #[config(
        default = "BackboneConfig::new(vec![16, 32], vec![64, 128], vec![2, 1]).with_grid(4)"
    )]
    pub backbone: BackboneConfig,
}

/// From a standardised grey crop to landmarks and head pose.
#[derive(Module, Debug)]
pub struct LandmarkNetwork {
    backbone: Backbone,
    head: Linear,
}

impl LandmarkNetworkConfig {
    /// A network with random weights.
    #[must_use]
    pub fn init(&self, device: &Device) -> LandmarkNetwork {
        LandmarkNetwork {
            backbone: self.backbone.init(device),
            head: LinearConfig::new(self.backbone.features(), OUTPUTS).init(device),
        }
    }
}

impl LandmarkNetwork {
    /// Landmarks and angles of a batch of crops.
    ///
    /// # Shapes
    /// - `crops`: `[batch, 1, side, side]`, standardised grey
    /// - output: `[batch, 139]`: x and y of each landmark minus 0.5, in units of the side, then
    ///   pitch, yaw, roll in units of 90 degrees
    #[must_use]
    pub fn forward(&self, crops: Tensor<4>) -> Tensor<2> {
        self.decode(self.backbone.forward(crops))
    }

    /// The second half of [`forward`](Self::forward): `[batch, 139]` from the features of the
    /// backbone, `[batch, features]`.
    #[must_use]
    pub fn decode(&self, features: Tensor<2>) -> Tensor<2> {
        self.head.forward(features)
    }

    /// The convolutional part.
    #[must_use]
    pub fn backbone(&self) -> &Backbone {
        &self.backbone
    }
}

/// The transform from a crop of `side` pixels to the photo that frames landmarks the way the
/// network likes them: centred on their bounding box, turned so that the eyes are level.
#[must_use]
pub fn face_crop(points: &[Point; LANDMARK_COUNT], side: usize) -> Similarity {
    let (right, left) = (Point::mean(&points[36..42]), Point::mean(&points[42..48]));
    let (dx, dy) = (left.x - right.x, left.y - right.y);
    let length = dx.hypot(dy);
    let (cos, sin) = if length > 0.0 {
        (dx / length, dy / length)
    } else {
        (1.0, 0.0)
    };
    let level = points.map(|p| Point::new(cos * p.x + sin * p.y, cos * p.y - sin * p.x));
    let bounds = |f: fn(&Point) -> f32| {
        level
            .iter()
            .map(f)
            .fold((f32::MAX, f32::MIN), |(lo, hi), v| (lo.min(v), hi.max(v)))
    };
    let ((x0, x1), (y0, y1)) = (bounds(|p| p.x), bounds(|p| p.y));
    let extent = (x1 - x0).max(y1 - y0).max(1.0) * CROP_MARGIN;
    let (cx, cy) = ((x0 + x1) / 2.0, (y0 + y1) / 2.0);
    let center = Point::new(cos * cx - sin * cy, sin * cx + cos * cy);
    square(center, extent, (cos, sin), side)
}

/// The transform from a crop of `side` pixels to a turned square of the photo.
pub(super) fn square(
    center: Point,
    extent: f32,
    (cos, sin): (f32, f32),
    side: usize,
) -> Similarity {
    let scale = extent / side as f32;
    let (a, b) = (scale * cos, scale * sin);
    let half = side as f32 / 2.0;
    Similarity {
        a,
        b,
        tx: center.x - (a * half - b * half),
        ty: center.y - (b * half + a * half),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crop_levels_the_eyes_and_frames_the_points() {
        let turn = Similarity {
            a: 1.6,
            b: 0.9,
            tx: 40.0,
            ty: -7.0,
        };
        let mut points = std::array::from_fn(|i| {
            Point::new(10.0 + (i * 37 % 50) as f32, 30.0 + (i * 23 % 60) as f32)
        });
        for i in 36..42 {
            points[i] = Point::new(20.0, 50.0);
            points[i + 6] = Point::new(45.0, 50.0);
        }
        let crop = face_crop(&points.map(|p| turn.apply(p)), 64);
        let inside = crop.inverse().unwrap().after(&turn);
        let seen = points.map(|p| inside.apply(p));
        assert!((seen[36].y - seen[42].y).abs() < 1e-3);
        assert!(
            seen.iter()
                .all(|p| (5.0..59.0).contains(&p.x) && (5.0..59.0).contains(&p.y))
        );
    }
}
