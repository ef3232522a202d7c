//! How well landmarks are found in pictures that are turned, small or half hidden.

use expllm_core::{
    Degrees, FaceDetector, HeadPose, LandmarkDetector, Landmarks, Point, Similarity,
};
use expllm_face::{CenterFaceDetector, GreyImage, LandmarkNet};

use crate::TrainError;
use crate::au::AuScores;
use crate::faces::grey_photo;
use crate::landmarks::{LandmarkFace, score_landmarks};

/// Turns in the plane of the picture, in degrees.
const TURNS: [f32; 3] = [15.0, 30.0, 45.0];

/// Tip of the nose among the landmarks.
const NOSE_TIP: usize = 33;

/// What hides the lower half of a face.
const COVER: u8 = 40;

/// Measures the error of landmarks, as a share of the distance between the eyes, on pictures of one
/// face each that were turned by 15, 30 and 45 degrees, made four times as small, and hidden from
/// the nose down. The whole picture is the face's box, without any hint of the turn; once more
/// unchanged, in the box of the detector.
///
/// # Errors
///
/// When the network fails.
pub fn score_changed_landmarks(
    network: &LandmarkNet,
    faces: &[LandmarkFace],
) -> Result<AuScores, TrainError> {
    let mut scores = AuScores::default();
    let mut push = |name: String, change: &dyn Fn(&LandmarkFace) -> Option<LandmarkFace>| {
        let changed: Vec<LandmarkFace> = faces.iter().filter_map(change).collect();
        let score = score_landmarks(network, &changed)?;
        let name = format!("landmarks, {name}: error / eye distance");
        scores.push(name, (score.n > 0).then_some(score.error), "", score.n);
        Ok::<(), TrainError>(())
    };
    for degrees in TURNS {
        push(format!("turned by {degrees} degrees"), &|face| {
            turned(face, degrees)
        })?;
    }
    push("at a quarter of the size".into(), &|face| smaller(face, 4))?;
    push("lower half hidden".into(), &half_hidden)?;
    score_found(network, faces, &mut scores)?;
    Ok(scores)
}

/// Measures the landmarks of the faces that the detector finds.
fn score_found(
    network: &LandmarkNet,
    faces: &[LandmarkFace],
    scores: &mut AuScores,
) -> Result<(), TrainError> {
    let detector = CenterFaceDetector::new()?;
    let (mut sum, mut n) = (0.0, 0);
    for face in faces {
        let photo = grey_photo(&face.image);
        let truth = &face.landmarks;
        let middle = Point::mean(&truth.points);
        let near = detector.detect(&photo)?.into_iter();
        let near = near.min_by(|a, b| {
            let far = |face: &expllm_core::FaceBox| face.center().distance(middle);
            far(a).total_cmp(&far(b))
        });
        let Some(face) = near.filter(|face| face.center().distance(middle) < face.width / 2.0)
        else {
            continue;
        };
        let found = network.landmarks_of(&photo, face)?;
        let pairs = found.points.iter().zip(&truth.points);
        let mean = pairs.map(|(a, b)| a.distance(*b)).sum::<f32>() / truth.points.len() as f32;
        sum += f64::from(mean / truth.eye_distance());
        n += 1;
    }
    let name = "landmarks, of faces that the detector finds: error / eye distance";
    scores.push(name, (n > 0).then(|| sum / n as f64), "", n);
    Ok(())
}

/// The face turned about the middle of its picture, which stays as wide as it is; where nothing is
/// known, the edge goes on.
fn turned(face: &LandmarkFace, degrees: f32) -> Option<LandmarkFace> {
    let side = face.image.width();
    let middle = [face.image.width(), face.image.height()].map(|n| n as f32 / 2.0);
    let (sin, cos) = degrees.to_radians().sin_cos();
    // From the turned picture to the upright one.
    let back = Similarity {
        a: cos,
        b: -sin,
        tx: middle[0] - (cos + sin) * side as f32 / 2.0,
        ty: middle[1] - (cos - sin) * side as f32 / 2.0,
    };
    let pose = |pose: HeadPose| HeadPose {
        roll: Degrees(pose.roll.0 + degrees),
        ..pose
    };
    seen(face, &back, side, pose)
}

fn smaller(face: &LandmarkFace, times: usize) -> Option<LandmarkFace> {
    let back = Similarity {
        a: times as f32,
        ..Similarity::IDENTITY
    };
    seen(face, &back, face.image.width() / times, |pose| pose)
}

/// The face in a picture of another place and size.
fn seen(
    face: &LandmarkFace,
    back: &Similarity,
    side: usize,
    pose: impl Fn(HeadPose) -> HeadPose,
) -> Option<LandmarkFace> {
    let there = back.inverse()?;
    let pixels = face.image.crop(back, side);
    let pixels = pixels.iter().map(|v| v.round().clamp(0.0, 255.0) as u8);
    Some(LandmarkFace {
        image: GreyImage::new(side, side, pixels.collect())?,
        landmarks: Landmarks {
            points: face.landmarks.points.map(|point| there.apply(point)),
            head_pose: face.landmarks.head_pose.map(pose),
        },
    })
}

fn half_hidden(face: &LandmarkFace) -> Option<LandmarkFace> {
    let (width, height) = (face.image.width(), face.image.height());
    let from = face.landmarks.points[NOSE_TIP].y.clamp(0.0, height as f32) as usize;
    let mut pixels = face.image.pixels().to_vec();
    pixels[from * width..].fill(COVER);
    Some(LandmarkFace {
        image: GreyImage::new(width, height, pixels)?,
        landmarks: face.landmarks.clone(),
    })
}

#[cfg(test)]
mod tests {
    use expllm_core::{LANDMARK_COUNT, Point};

    use super::*;

    fn face() -> LandmarkFace {
        let mut pixels = vec![0; 40 * 40];
        pixels[10 * 40 + 30] = 255;
        LandmarkFace {
            image: GreyImage::new(40, 40, pixels).unwrap(),
            landmarks: Landmarks {
                points: [Point::new(30.5, 10.5); LANDMARK_COUNT],
                head_pose: Some(HeadPose::default()),
            },
        }
    }

    /// The brightest pixel lies where the landmarks are.
    fn holds(face: &LandmarkFace) {
        let width = face.image.width();
        let pixels = face.image.pixels().iter().enumerate();
        let (at, _) = pixels.max_by_key(|(_, v)| **v).unwrap();
        let bright = Point::new((at % width) as f32 + 0.5, (at / width) as f32 + 0.5);
        let mark = face.landmarks.points[0];
        assert!(bright.distance(mark) < 1.0, "{bright:?} {mark:?}");
    }

    #[test]
    fn landmarks_move_with_their_pixels() {
        holds(&turned(&face(), 90.0).unwrap());
        holds(&turned(&face(), -45.0).unwrap());
        holds(&smaller(&face(), 2).unwrap());
        let a_quarter = turned(&face(), 90.0).unwrap();
        let mark = a_quarter.landmarks.points[0];
        assert!(mark.distance(Point::new(29.5, 30.5)) < 0.01, "{mark:?}");
        assert_eq!(a_quarter.landmarks.head_pose.unwrap().roll, Degrees(90.0));
    }

    #[test]
    fn what_lies_below_the_nose_is_covered() {
        let hidden = half_hidden(&face()).unwrap();
        assert_eq!(hidden.image.pixels()[9 * 40], 0);
        assert!(hidden.image.pixels()[10 * 40..].iter().all(|&v| v == COVER));
    }
}
