//! Head pose from landmarks, by fitting a rigid head.

use expllm_core::{Degrees, HeadPose, LANDMARK_COUNT, Point};

/// Rotation of a rigid set of landmarks under weak perspective.
///
/// `template` holds the landmarks of a neutral head looking into the camera, x to the right of
/// the photo, y down and z away from the camera, in any unit. Returns `None` for degenerate
/// landmarks.
#[must_use]
pub fn fit_head_pose(
    template: &[[f32; 3]; LANDMARK_COUNT],
    points: &[Point; LANDMARK_COUNT],
) -> Option<HeadPose> {
    let mean = (0..3).map(|k| template.iter().map(|t| f64::from(t[k])).sum::<f64>());
    let mean: Vec<f64> = mean.map(|sum| sum / LANDMARK_COUNT as f64).collect();
    let centre = Point::mean(points);
    let mut normal = [[0.0f64; 3]; 3];
    let mut right = [[0.0f64; 3]; 2];
    for (t, p) in template.iter().zip(points) {
        let t = [0, 1, 2].map(|k| f64::from(t[k]) - mean[k]);
        let p = [f64::from(p.x - centre.x), f64::from(p.y - centre.y)];
        for i in 0..3 {
            for j in 0..3 {
                normal[i][j] += t[i] * t[j];
            }
            right[0][i] += t[i] * p[0];
            right[1][i] += t[i] * p[1];
        }
    }
    let rows = [solve(&normal, right[0])?, solve(&normal, right[1])?];
    let r1 = normalised(rows[0])?;
    let along = dot(rows[1], r1);
    let r2 = normalised([0, 1, 2].map(|k| rows[1][k] - along * r1[k]))?;
    let r3 = cross(r1, r2);
    // The face looks along -z, towards the camera.
    let gaze = [-r1[2], -r2[2], -r3[2]];
    let angle = |radians: f64| Degrees(radians.to_degrees() as f32);
    Some(HeadPose {
        pitch: angle((-gaze[1]).clamp(-1.0, 1.0).asin()),
        yaw: angle(gaze[0].atan2(-gaze[2])),
        roll: angle(r2[0].atan2(r1[0])),
    })
}

/// Solves a symmetric 3 x 3 system by Cramer's rule.
fn solve(m: &[[f64; 3]; 3], b: [f64; 3]) -> Option<[f64; 3]> {
    let det = dot(m[0], cross(m[1], m[2]));
    if det.abs() < 1e-12 || !det.is_finite() {
        return None;
    }
    let inverse = [cross(m[1], m[2]), cross(m[2], m[0]), cross(m[0], m[1])];
    Some([0, 1, 2].map(|i| (0..3).map(|j| inverse[j][i] * b[j]).sum::<f64>() / det))
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

fn normalised(a: [f64; 3]) -> Option<[f64; 3]> {
    let length = dot(a, a).sqrt();
    (length > 1e-12).then(|| a.map(|v| v / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> [[f32; 3]; LANDMARK_COUNT] {
        std::array::from_fn(|i| {
            let i = i as f32;
            [
                (i * 1.3).sin() * 7.0,
                (i * 0.7).cos() * 9.0,
                (i * 2.1).sin() * 4.0,
            ]
        })
    }

    /// Turns the head by yaw, then nods by pitch, then tilts by roll, and drops the depth.
    fn project(pitch: f32, yaw: f32, roll: f32) -> [Point; LANDMARK_COUNT] {
        let (p, y, r) = (pitch.to_radians(), yaw.to_radians(), roll.to_radians());
        template().map(|[tx, ty, tz]| {
            // Nod first, about x: looking up moves the front (-z) up (-y).
            let (ty, tz) = (ty * p.cos() + tz * p.sin(), tz * p.cos() - ty * p.sin());
            // Turn about y: positive moves the front (-z) to the right (+x).
            let (tx, tz) = (tx * y.cos() - tz * y.sin(), tz * y.cos() + tx * y.sin());
            let _ = tz;
            Point::new(
                3.0 * (tx * r.cos() - ty * r.sin()) + 50.0,
                3.0 * (tx * r.sin() + ty * r.cos()) + 60.0,
            )
        })
    }

    #[test]
    fn single_rotations_come_back() {
        for (pitch, yaw, roll) in [(20.0, 0.0, 0.0), (0.0, 35.0, 0.0), (0.0, 0.0, -25.0)] {
            let pose = fit_head_pose(&template(), &project(pitch, yaw, roll)).unwrap();
            assert!((pose.pitch.0 - pitch).abs() < 0.1, "{pose:?}");
            assert!((pose.yaw.0 - yaw).abs() < 0.1, "{pose:?}");
            assert!((pose.roll.0 - roll).abs() < 0.1, "{pose:?}");
        }
    }

    #[test]
    fn degenerate_landmarks_have_no_pose() {
        assert!(fit_head_pose(&template(), &[Point::default(); LANDMARK_COUNT]).is_none());
    }
}
