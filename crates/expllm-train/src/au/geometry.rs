//! Intensities of eyes and jaw from a 478-point face mesh.

use expllm_core::{ActionUnit, Point};

/// Points of an eye in the mesh: outer and inner corner, two upper and two lower lid points.
struct EyePoints {
    corners: [usize; 2],
    upper: [usize; 2],
    lower: [usize; 2],
}

/// The subject's left eye (right of the photo), MediaPipe indices.
const LEFT_EYE: EyePoints = EyePoints {
    corners: [263, 362],
    upper: [387, 385],
    lower: [373, 380],
};

/// The subject's right eye.
const RIGHT_EYE: EyePoints = EyePoints {
    corners: [33, 133],
    upper: [160, 158],
    lower: [144, 153],
};

/// Middle of the inner upper and lower lip.
const LIPS: [usize; 2] = [13, 14];

/// What the mesh says of eyes and jaw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EyesAndJaw {
    /// Aspect ratio of the left eye: opening over width (Soukupová and Čech 2016).
    pub left_eye: f32,
    /// Aspect ratio of the right eye.
    pub right_eye: f32,
    /// Gap between the inner lips over the distance between the eye centres.
    pub lip_gap: f32,
}

impl EyesAndJaw {
    /// Measures a mesh; `None` unless it has 478 points and eyes of some width.
    #[must_use]
    pub fn measure(mesh: &[Point]) -> Option<Self> {
        if mesh.len() != 478 {
            return None;
        }
        let centre = |eye: &EyePoints| Point::mean(&eye.corners.map(|i| mesh[i]));
        let eye_distance = centre(&LEFT_EYE).distance(centre(&RIGHT_EYE));
        let measured = Self {
            left_eye: aspect(mesh, &LEFT_EYE),
            right_eye: aspect(mesh, &RIGHT_EYE),
            lip_gap: mesh[LIPS[0]].distance(mesh[LIPS[1]]) / eye_distance,
        };
        let numbers = [measured.left_eye, measured.right_eye, measured.lip_gap];
        numbers.iter().all(|v| v.is_finite()).then_some(measured)
    }

    /// Intensities that the measures stand for; the bends were set by eye on the training
    /// split: lids at rest leave a ratio of 0.25 to 0.35, a jaw dropped all the way a gap of
    /// about 0.7.
    #[must_use]
    pub fn intensities(&self) -> [(ActionUnit, f32); 5] {
        let close = |ratio: f32| ((0.27 - ratio) / 0.22).clamp(0.0, 1.0);
        let raise = |ratio: f32| ((ratio - 0.34) / 0.2).clamp(0.0, 1.0);
        [
            (ActionUnit::LeftEyeClose, close(self.left_eye)),
            (ActionUnit::RightEyeClose, close(self.right_eye)),
            (ActionUnit::LeftLidRaise, raise(self.left_eye)),
            (ActionUnit::RightLidRaise, raise(self.right_eye)),
            (ActionUnit::JawDrop, (self.lip_gap / 0.7).clamp(0.0, 1.0)),
        ]
    }
}

fn aspect(mesh: &[Point], eye: &EyePoints) -> f32 {
    let height: f32 = eye
        .upper
        .iter()
        .zip(&eye.lower)
        .map(|(&u, &l)| mesh[u].distance(mesh[l]))
        .sum();
    height / 2.0 / mesh[eye.corners[0]].distance(mesh[eye.corners[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_left_eye_raises_the_left_lid_alone() {
        let mut mesh = vec![Point::default(); 478];
        for (eye, x) in [(&LEFT_EYE, 60.0), (&RIGHT_EYE, 20.0)] {
            let half = if x > 40.0 { 2.6 } else { 1.5 };
            for k in 0..2 {
                mesh[eye.corners[k]] = Point::new(x + 10.0 * k as f32 - 5.0, 50.0);
                mesh[eye.upper[k]] = Point::new(x, 50.0 - half);
                mesh[eye.lower[k]] = Point::new(x, 50.0 + half);
            }
        }
        let measured = EyesAndJaw::measure(&mesh).unwrap();
        let found = measured.intensities();
        assert!(found[2].1 > 0.8 && found[3].1 == 0.0, "{found:?}");
        assert_eq!(found[4].1, 0.0);
        assert!(EyesAndJaw::measure(&mesh[..400]).is_none());
    }
}
