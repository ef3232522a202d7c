//! What scores of the detector mean: faces of people pasted into scenes without any, and the share
//! of true faces by score. `cargo test --release -p expllm-face --test calibration -- --nocapture`
//! prints it and the logistic curve that would make scores right.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A failure ends the test.

use std::num::NonZeroU32;

use expllm_core::{FaceBox, FaceDetector, Photo};
use expllm_data::Tree;
use expllm_face::{CenterFaceDetector, DetectorOptions, PhotoReader};
use expllm_testing::shared;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

mod common;

/// Scenes that are made.
const SCENES: u64 = 240;

/// A face pasted into a scene: the crop's left and top edge and side.
struct Pasted {
    x: f32,
    y: f32,
    side: f32,
}

impl Pasted {
    /// Whether a box is about the face in the middle of the crop.
    fn is(&self, face: &FaceBox) -> bool {
        let center = face.center();
        let (dx, dy) = (
            center.x - self.x - self.side / 2.0,
            center.y - self.y - self.side / 2.0,
        );
        let size = face.area().sqrt() / self.side;
        dx.hypot(dy) < 0.3 * self.side && (0.3..1.3).contains(&size)
    }
}

/// A scene of 480 x 360 pixels with up to three faces, from tiny to large, some of them turned,
/// dark, pale or noisy.
fn scene(random: &mut StdRng, background: &Photo, faces: &[Photo]) -> (Photo, Vec<Pasted>) {
    let (width, height) = (480_u32, 360_u32);
    let mut pasted: Vec<Pasted> = Vec::new();
    for _ in 0..random.random_range(0..4) {
        let side = 14.0 * (0.5_f32 + random.random::<f32>() * 3.2).exp2();
        let x = random.random::<f32>() * (width as f32 - side).max(1.0);
        let y = random.random::<f32>() * (height as f32 - side).max(1.0);
        let clear = |other: &Pasted| {
            let reach = (side + other.side) / 2.0;
            let (dx, dy) = (
                x + side / 2.0 - other.x - other.side / 2.0,
                y + side / 2.0 - other.y - other.side / 2.0,
            );
            dx.abs() > reach || dy.abs() > reach
        };
        if pasted.iter().all(clear) {
            pasted.push(Pasted { x, y, side });
        }
    }
    let looks: Vec<_> = pasted
        .iter()
        .map(|_| (&faces[random.random_range(0..faces.len())], look(random)))
        .collect();
    let (left, top) = (
        random.random_range(0..1000_i64),
        random.random_range(0..600_i64),
    );
    let side = |n| NonZeroU32::new(n).unwrap();
    let photo = Photo::from_fn(side(width), side(height), |x, y| {
        let (fx, fy) = (x as f32 + 0.5, y as f32 + 0.5);
        for (at, (face, look)) in pasted.iter().zip(&looks) {
            let (u, v) = ((fx - at.x) / at.side, (fy - at.y) / at.side);
            if (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
                let noise = look.noise * (random.random::<f32>() - 0.5);
                return look.colour(face, u, v).map(|c| (c + noise) as u8);
            }
        }
        background.pixel_clamped(left + i64::from(x), top + i64::from(y))
    });
    (photo, pasted)
}

/// How a face is changed.
struct Look {
    angle: f32,
    light: f32,
    contrast: f32,
    noise: f32,
}

fn look(random: &mut StdRng) -> Look {
    let turned = random.random::<f32>() < 0.3;
    Look {
        angle: if turned {
            random.random_range(-3.1..3.1)
        } else {
            0.0
        },
        light: if random.random::<f32>() < 0.3 {
            random.random_range(0.1..1.0)
        } else {
            1.0
        },
        contrast: if random.random::<f32>() < 0.3 {
            random.random_range(0.15..1.0)
        } else {
            1.0
        },
        noise: if random.random::<f32>() < 0.3 {
            random.random_range(0.0..80.0)
        } else {
            0.0
        },
    }
}

impl Look {
    /// The colour at a place of the face's crop, 0 to 1 along both sides.
    fn colour(&self, face: &Photo, u: f32, v: f32) -> [f32; 3] {
        let (sin, cos) = self.angle.sin_cos();
        let (u, v) = (u - 0.5, v - 0.5);
        let side = face.width() as f32;
        let at = |t: f32| ((t + 0.5) * side) as i64;
        // A mean of a few pixels, so that small faces do not alias.
        let (x, y) = (at(cos * u + sin * v), at(cos * v - sin * u));
        let mut sum = [0.0; 3];
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let colour = face.pixel_clamped(x + 2 * dx, y + 2 * dy);
            for (sum, c) in sum.iter_mut().zip(colour) {
                *sum += f32::from(c) / 4.0;
            }
        }
        sum.map(|c| (128.0 + (c - 128.0) * self.contrast) * self.light)
    }
}

/// Slope and shift of the logistic curve over log odds that fits the outcomes best (Newton).
fn fitted(outcomes: &[(f32, bool)]) -> (f64, f64) {
    let (mut slope, mut shift) = (1.0, 0.0);
    for _ in 0..30 {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-6, 0.0, 1e-6);
        for &(score, truth) in outcomes {
            let score = f64::from(score).clamp(1e-4, 1.0 - 1e-4);
            let x = (score / (1.0 - score)).ln();
            let p = 1.0 / (1.0 + (-(slope * x + shift)).exp());
            let (miss, weight) = (f64::from(u8::from(truth)) - p, p * (1.0 - p));
            (ga, gb) = (ga + miss * x, gb + miss);
            (haa, hab, hbb) = (haa + weight * x * x, hab + weight * x, hbb + weight);
        }
        let determinant = haa * hbb - hab * hab;
        slope += (hbb * ga - hab * gb) / determinant;
        shift += (haa * gb - hab * ga) / determinant;
    }
    (slope, shift)
}

#[test]
fn boxes_with_a_score_of_a_half_are_faces() {
    let (Some(wild), Some(empty)) = (shared("data/wild.tar"), shared("photos/no_face.jpg")) else {
        return;
    };
    let reader = PhotoReader::default();
    let tree = Tree::open(&wild).unwrap();
    let photos = tree.images().filter(|name| name.contains("valid"));
    let photos = photos.filter_map(|name| tree.source(name)?.read().ok());
    let faces: Vec<_> = photos
        .take(300)
        .map(|bytes| reader.decode(&bytes).unwrap())
        .collect();
    assert_eq!(faces.len(), 300);
    let empty = reader.read(empty).unwrap();
    let options = DetectorOptions {
        threshold: 0.1,
        ..DetectorOptions::default()
    };
    let detector = CenterFaceDetector::with_options(options).unwrap();
    let mut random = StdRng::seed_from_u64(20);
    let (mut outcomes, mut all, mut found) = (Vec::new(), 0, 0);
    for index in 0..SCENES {
        let texture = common::texture(index as u32);
        let background = if index % 2 == 0 { &empty } else { &texture };
        let (photo, pasted) = scene(&mut random, background, &faces);
        let boxes = detector.detect(&photo).unwrap();
        let truth = |face: &FaceBox| pasted.iter().any(|at| at.is(face));
        outcomes.extend(boxes.iter().map(|face| (face.score, truth(face))));
        all += pasted.len();
        let sure = |at: &&Pasted| boxes.iter().any(|face| face.score >= 0.5 && at.is(face));
        found += pasted.iter().filter(sure).count();
    }
    println!("{found} of {all} pasted faces have a score of 0.5 or more");
    for (low, high) in [(0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)] {
        let bin: Vec<_> = outcomes
            .iter()
            .filter(|(s, _)| (low..high).contains(s))
            .collect();
        let n = bin.len().max(1) as f32;
        let (score, share) = (
            bin.iter().map(|(s, _)| s).sum::<f32>() / n,
            bin.iter().filter(|(_, t)| *t).count() as f32 / n,
        );
        println!(
            "{} boxes with a score of {score:.2} on average: {share:.2} are faces",
            bin.len()
        );
    }
    let (slope, shift) = fitted(&outcomes);
    println!("log odds times {slope:.2} plus {shift:.2} would fit best");
    let sure: Vec<_> = outcomes.iter().filter(|(score, _)| *score >= 0.5).collect();
    let right = sure.iter().filter(|(_, truth)| *truth).count();
    assert!(
        right as f64 >= 0.95 * sure.len() as f64,
        "{right} of {}",
        sure.len()
    );
}
