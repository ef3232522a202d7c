//! How many faces are still found when a photo is turned, small, dark or half hidden:
//! `cargo test --release -p expllm-face --test detection -- --nocapture` prints the table.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A failure ends the test.

use std::num::NonZeroU32;

use expllm_core::{FaceBox, FaceDetector, Photo, Point, Similarity};
use expllm_face::{CenterFaceDetector, PhotoReader};
use expllm_testing::shared;

mod common;

/// Photos and the faces that a person counts in them.
const PHOTOS: [(&str, usize); 4] = [
    ("astronaut.png", 1),
    ("disfa.png", 1),
    ("multi_face.jpg", 5),
    ("single_face.jpg", 1),
];

/// A photo and where its faces are.
struct Scene {
    photo: Photo,
    faces: Vec<FaceBox>,
}

fn read(path: impl AsRef<std::path::Path>) -> Photo {
    PhotoReader::default().read(path).unwrap()
}

fn detect(photo: &Photo) -> Vec<FaceBox> {
    thread_local! {
        static DETECTOR: CenterFaceDetector = CenterFaceDetector::new().unwrap();
    }
    DETECTOR.with(|detector| detector.detect(photo).unwrap())
}

/// Every photo with its faces, as found upright; their number is checked.
fn scenes() -> Option<Vec<Scene>> {
    let folder = shared("photos")?;
    let scene = |(name, count): (&str, usize)| {
        let photo = read(folder.join(name));
        let faces = detect(&photo);
        assert_eq!(faces.len(), count, "{name}: {faces:?}");
        Scene { photo, faces }
    };
    Some(PHOTOS.into_iter().map(scene).collect())
}

/// The photo through a transform to another size; black where it does not reach.
fn moved(photo: &Photo, to: &Similarity, (width, height): (f32, f32)) -> Photo {
    let back = to.inverse().unwrap();
    let side = |length: f32| NonZeroU32::new(length.round().max(1.0) as u32).unwrap();
    Photo::from_fn(side(width), side(height), |x, y| {
        let p = back.apply(Point::new(x as f32 + 0.5, y as f32 + 0.5));
        let (x, y) = (p.x - 0.5, p.y - 0.5);
        if x < -0.5 || y < -0.5 || x > photo.width() as f32 || y > photo.height() as f32 {
            return [0; 3];
        }
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let at = |dx, dy| photo.pixel_clamped(x.floor() as i64 + dx, y.floor() as i64 + dy);
        let corners = [at(0, 0), at(1, 0), at(0, 1), at(1, 1)];
        std::array::from_fn(|c| {
            let [a, b, d, e] = corners.map(|colour| f32::from(colour[c]));
            let (top, bottom) = (a + fx * (b - a), d + fx * (e - d));
            (top + fy * (bottom - top)).round() as u8
        })
    })
}

/// A scene turned clockwise about its middle, nothing cut off.
fn turned(scene: &Scene, degrees: f32) -> Scene {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (w, h) = (scene.photo.width() as f32, scene.photo.height() as f32);
    let size = (w * cos.abs() + h * sin.abs(), w * sin.abs() + h * cos.abs());
    let to = Similarity {
        a: cos,
        b: sin,
        tx: size.0 / 2.0 - (cos * w - sin * h) / 2.0,
        ty: size.1 / 2.0 - (sin * w + cos * h) / 2.0,
    };
    through(scene, &to, size)
}

fn through(scene: &Scene, to: &Similarity, size: (f32, f32)) -> Scene {
    let place = |face: &FaceBox| {
        let center = to.apply(face.center());
        let (width, height) = (face.width * to.scale(), face.height * to.scale());
        FaceBox {
            x: center.x - width / 2.0,
            y: center.y - height / 2.0,
            width,
            height,
            ..*face
        }
    };
    Scene {
        photo: moved(&scene.photo, to, size),
        faces: scene.faces.iter().map(place).collect(),
    }
}

fn quarter(scene: &Scene) -> Scene {
    // In two steps, so that every pixel counts.
    let half = Similarity {
        a: 0.5,
        ..Similarity::IDENTITY
    };
    let smaller = |scene: &Scene| {
        let (w, h) = (scene.photo.width() as f32, scene.photo.height() as f32);
        through(scene, &half, (w / 2.0, h / 2.0))
    };
    smaller(&smaller(scene))
}

/// A scene with other colours.
fn painted(scene: &Scene, colour: impl Fn(f32, f32, [u8; 3]) -> [u8; 3]) -> Scene {
    let side = |n| NonZeroU32::new(n).unwrap();
    let (width, height) = (side(scene.photo.width()), side(scene.photo.height()));
    let photo = Photo::from_fn(width, height, |x, y| {
        let here = scene.photo.pixel_clamped(i64::from(x), i64::from(y));
        colour(x as f32, y as f32, here)
    });
    Scene {
        photo,
        faces: scene.faces.clone(),
    }
}

fn dark(scene: &Scene) -> Scene {
    painted(scene, |_, _, c| {
        c.map(|v| (f32::from(v) * 0.15).round() as u8)
    })
}

fn half_hidden(scene: &Scene) -> Scene {
    painted(scene, |x, y, colour| {
        let hides = |face: &FaceBox| {
            let inside = x >= face.x && x < face.x + face.width;
            inside && y >= face.center().y && y < face.y + 1.05 * face.height
        };
        if scene.faces.iter().any(hides) {
            [110, 120, 150]
        } else {
            colour
        }
    })
}

/// How many of the faces are found, and how many boxes are no face.
fn score(scene: &Scene) -> (usize, usize) {
    let found = detect(&scene.photo);
    let is = |face: &FaceBox, other: &FaceBox| {
        let side = face.area().sqrt();
        let ratio = other.area().sqrt() / side;
        face.center().distance(other.center()) < 0.4 * side && (0.5..2.0).contains(&ratio)
    };
    let hits = scene
        .faces
        .iter()
        .filter(|face| found.iter().any(|other| is(face, other)));
    let wrong = found
        .iter()
        .filter(|other| !scene.faces.iter().any(|face| is(face, other)));
    (hits.count(), wrong.count())
}

/// A row of the table; returns the share of faces that were found.
fn row(name: &str, scenes: &[Scene], change: impl Fn(&Scene) -> Scene) -> f64 {
    let (mut hits, mut wrong, mut all) = (0, 0, 0);
    for scene in scenes {
        let scene = change(scene);
        let (found, extra) = score(&scene);
        (hits, wrong, all) = (hits + found, wrong + extra, all + scene.faces.len());
    }
    println!("| {name} | {hits} of {all} | {wrong} |");
    hits as f64 / all as f64
}

fn table(scenes: &[Scene]) -> Vec<f64> {
    println!("| photos | faces found | boxes without a face |\n|---|---|---|");
    let mut shares = Vec::new();
    let turns = (0..12).map(|i| 30.0 * i as f32);
    let turned: Vec<f64> = turns
        .map(|degrees| {
            row(&format!("turned by {degrees}°"), scenes, |s| {
                turned(s, degrees)
            })
        })
        .collect();
    shares.push(turned.iter().sum::<f64>() / turned.len() as f64);
    println!("| turned by any of these | {:.3} | |", shares[0]);
    shares.push(row("a quarter of the size", scenes, quarter));
    shares.push(row("15 % of the light", scenes, dark));
    shares.push(row("lower half hidden", scenes, half_hidden));
    shares
}

#[test]
fn changed_photos_keep_their_faces() {
    let Some(scenes) = scenes() else { return };
    let shares = table(&scenes);
    assert!(shares.iter().all(|&share| share >= 0.95), "{shares:?}");
}

#[test]
fn no_face_is_invented() {
    let textures = (0..100)
        .filter(|&i| !detect(&common::texture(i)).is_empty())
        .count();
    println!("textures with a face: {textures} of 100");
    assert_eq!(textures, 0);
    if let Some(path) = shared("photos/no_face.jpg") {
        assert_eq!(detect(&read(path)), []);
    }
}
