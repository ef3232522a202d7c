//! Tracks in a flat world: people are coloured squares, and stages see them by their colours.

use std::num::NonZeroU32;

use expllm_core::{
    AlignedFace, AuDetector, AuReading, FaceAligner, FaceBox, FaceDetector, FaceReader,
    LANDMARK_COUNT, LandmarkDetector, Landmarks, Photo, Point, Similarity, StageError,
};
use expllm_face::warp;
use proptest::prelude::*;

use super::{TrackOptions, Tracker};

const SIZE: u32 = 200;
const SIDE: f32 = 40.0;
const COLOURS: [[u8; 3]; 3] = [[220, 60, 40], [40, 220, 60], [60, 40, 220]];

/// Where the people of a frame are, the last in front.
type Scene = Vec<(usize, Point)>;

fn draw(scene: &Scene) -> Photo {
    let side = NonZeroU32::new(SIZE).unwrap();
    Photo::from_fn(side, side, |x, y| {
        let inside = |p: &Point| {
            let (dx, dy) = (x as f32 + 0.5 - p.x, y as f32 + 0.5 - p.y);
            dx.abs().max(dy.abs()) < SIDE / 2.0
        };
        let front = scene.iter().rev().find(|(_, place)| inside(place));
        // The right half is darker, so that a look is more than a colour.
        let shade = |c: u8, place: &Point| if x as f32 > place.x { c / 2 } else { c };
        front.map_or([90; 3], |(who, place)| {
            COLOURS[*who].map(|c| shade(c, place))
        })
    })
}

/// Box around what is seen of each colour within a part of the photo, with how many pixels.
fn seen(photo: &Photo, part: &FaceBox) -> Vec<(FaceBox, usize)> {
    let of = |colour: [u8; 3]| {
        let top = (0..3).max_by_key(|&i| colour[i]).unwrap_or(0);
        let (mut low, mut high, mut count) = ((f32::MAX, f32::MAX), (0.0_f32, 0.0_f32), 0);
        for y in 0..photo.height() {
            for x in 0..photo.width() {
                let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
                let pixel = photo.pixel_clamped(i64::from(x), i64::from(y));
                let others = (0..3)
                    .filter(|&i| i != top)
                    .all(|i| pixel[top] > pixel[i] + 30);
                let inside = (part.x..part.x + part.width).contains(&px)
                    && (part.y..part.y + part.height).contains(&py);
                if others && inside {
                    low = (low.0.min(px), low.1.min(py));
                    high = (high.0.max(px), high.1.max(py));
                    count += 1;
                }
            }
        }
        let (width, height) = (high.0 - low.0 + 1.0, high.1 - low.1 + 1.0);
        let face = FaceBox {
            x: low.0 - 0.5,
            y: low.1 - 0.5,
            width,
            height,
            score: 9.0,
            points: None,
        };
        (face, count)
    };
    COLOURS
        .map(of)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
}

struct Flat;

impl FaceDetector for Flat {
    /// Faces of which most is seen.
    fn detect(&self, photo: &Photo) -> Result<Vec<FaceBox>, StageError> {
        let all = seen(photo, &FaceBox::whole(photo.width(), photo.height())).into_iter();
        let whole = |face: &FaceBox| {
            let ratio = face.width / face.height;
            face.width > 10.0 && (0.7..1.4).contains(&ratio)
        };
        Ok(all.map(|(face, _)| face).filter(whole).collect())
    }
}

impl LandmarkDetector for Flat {
    /// On what most is seen of in the box; on the box itself where nobody is.
    fn landmarks(&self, photo: &Photo, boxes: &[FaceBox]) -> Result<Vec<Landmarks>, StageError> {
        let one = |face_box: &FaceBox| {
            let best = seen(photo, face_box)
                .into_iter()
                .max_by_key(|(_, count)| *count);
            let b = best.map_or(*face_box, |(face, _)| face);
            let mut points = [b.center(); LANDMARK_COUNT];
            points[0] = Point::new(b.x, b.y);
            points[1] = Point::new(b.x + b.width, b.y + b.height);
            Landmarks {
                points,
                head_pose: None,
            }
        };
        Ok(boxes.iter().map(one).collect())
    }
}

impl FaceAligner for Flat {
    fn align(
        &self,
        photo: &Photo,
        landmarks: &[Landmarks],
        side: u32,
    ) -> Result<Vec<AlignedFace>, StageError> {
        let one = |marks: &Landmarks| {
            let (low, high) = (marks.points[0], marks.points[1]);
            let scale = (high.x - low.x).max(high.y - low.y) / side as f32;
            let to_photo = Similarity {
                a: scale,
                b: 0.0,
                tx: low.x,
                ty: low.y,
            };
            AlignedFace {
                image: warp(photo, &to_photo, side),
                to_photo,
                landmarks: None,
            }
        };
        Ok(landmarks.iter().map(one).collect())
    }
}

impl AuDetector for Flat {
    fn crop_side(&self) -> u32 {
        24
    }

    fn detect_units(&self, faces: &[AlignedFace]) -> Result<Vec<AuReading>, StageError> {
        Ok(vec![AuReading::default(); faces.len()])
    }
}

/// Numbers and middles of the boxes of everybody, frame by frame, at 25 frames a second.
fn follow(scenes: &[Scene]) -> Vec<Vec<(u32, Point)>> {
    let reader = FaceReader {
        detector: Flat,
        landmarks: Flat,
        aligner: Flat,
        units: Flat,
    };
    let mut tracker = Tracker::new(TrackOptions::default());
    let frame = |(at, scene): (usize, &Scene)| {
        let tracked = tracker
            .frame(&reader, &draw(scene), at as f64 / 25.0)
            .unwrap();
        let one = |t: super::Tracked| (t.person, t.face.unwrap().face_box.center());
        tracked.into_iter().map(one).collect()
    };
    scenes.iter().enumerate().map(frame).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    // Those who cover each other while they cross may exchange them (docs/video.md).
    #[test]
    fn people_who_pass_each_other_keep_their_numbers(speed in 2.0_f32..5.0, apart in 45.0_f32..70.0) {
        let count = (140.0 / speed) as usize;
        let place = |i: usize| speed * i as f32;
        let scenes: Vec<Scene> = (0..count)
            .map(|i| vec![
                (0, Point::new(30.0 + place(i), 80.0)),
                (1, Point::new(170.0 - place(i), 80.0 + apart)),
            ])
            .collect();
        let tracks = follow(&scenes);
        let mut whole = 0;
        let first: Vec<_> = tracks[0].clone();
        prop_assert_eq!(first.len(), 2);
        for (scene, seen) in scenes.iter().zip(&tracks) {
            for (number, center) in seen {
                // Whose colour stands at that number in the first frame.
                let at = first.iter().find(|(n, _)| n == number);
                prop_assert!(at.is_some(), "a new number {number}");
                let who = usize::from(at.unwrap().1.x > 100.0);
                prop_assert!(scene[who].1.distance(*center) < 0.75 * SIDE, "{scene:?} {seen:?}");
            }
            whole += seen.len();
        }
        prop_assert_eq!(tracks[count - 1].len(), 2);
        prop_assert!(whole * 10 >= 2 * count * 6, "{whole} of {}", 2 * count);
    }
}

#[test]
fn a_number_comes_back_after_a_while_behind_something() {
    let scene = |i: usize| match i {
        20..50 => vec![],
        _ => vec![(2, Point::new(60.0 + i as f32, 90.0))],
    };
    let tracks = follow(&(0..80).map(scene).collect::<Vec<_>>());
    assert!(tracks[20..50].iter().all(Vec::is_empty));
    assert!(
        tracks[..20]
            .iter()
            .all(|seen| seen.len() == 1 && seen[0].0 == 0)
    );
    assert!(
        tracks[55..]
            .iter()
            .all(|seen| seen.len() == 1 && seen[0].0 == 0)
    );
}

#[test]
fn somebody_else_gets_another_number() {
    let scene = |i: usize| match i {
        0..20 => vec![(0, Point::new(60.0, 90.0))],
        20..40 => vec![],
        _ => vec![(1, Point::new(70.0, 90.0))],
    };
    let tracks = follow(&(0..60).map(scene).collect::<Vec<_>>());
    assert_eq!(tracks[59].len(), 1);
    assert_eq!(tracks[59][0].0, 1);
}
