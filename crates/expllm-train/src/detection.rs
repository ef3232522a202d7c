//! How many faces are still found when a photo is turned, small, dark or half hidden.

use std::num::NonZeroU32;
use std::path::Path;

use expllm_core::{FaceBox, FaceDetector, FaceReader, Photo, Point, Similarity, StageError};
use expllm_face::PhotoReader;

use crate::TrainError;
use crate::au::AuScores;

/// Photos and the faces that a person counts in them.
const PHOTOS: [(&str, usize); 4] = [
    ("astronaut.png", 1),
    ("disfa.png", 1),
    ("multi_face.jpg", 5),
    ("single_face.jpg", 1),
];

/// A photo without a face.
const EMPTY: &str = "no_face.jpg";

/// Share of the faces that is to be found.
const WANTED: &str = ">= 0.95";

/// Finds the faces of a photo.
type Find<'a> = dyn Fn(&Photo) -> Result<Vec<FaceBox>, StageError> + 'a;

/// A photo and where its faces are.
struct Scene {
    photo: Photo,
    faces: Vec<FaceBox>,
}

/// Faces found, faces there are, and boxes that are no face.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    found: usize,
    all: usize,
    wrong: usize,
}

/// Measures on the photos of a folder: the share of their faces that is found when they are turned
/// by any multiple of 30 degrees, made four times as small, darkened to 15 % and hidden from the
/// nose down, with the number of boxes that are no face. Where the faces are is taken from the
/// upright photo, in which all must be found.
///
/// # Errors
///
/// When a photo is missing or damaged, or the detector fails.
pub fn score_detection<D: FaceDetector, L, A, U>(
    folder: &Path,
    reader: &FaceReader<D, L, A, U>,
) -> Result<AuScores, TrainError> {
    score(folder, &|photo| reader.boxes(photo))
}

fn score(folder: &Path, find: &Find<'_>) -> Result<AuScores, TrainError> {
    let mut scores = AuScores::default();
    let scenes = scenes(folder, find, &mut scores)?;
    let turned = |degrees: f32| move |scene: &Scene| turned(scene, degrees);
    let mut any = Count::default();
    for i in 0..12u8 {
        let degrees = 30.0 * f32::from(i);
        any = any.plus(changed(&scenes, find, turned(degrees))?);
    }
    any.push("turned by any angle", &mut scores);
    type Change = fn(&Scene) -> Scene;
    let changes: [(&str, Change); 3] = [
        ("at a quarter of the size", quarter),
        ("at 15 % of the light", dark),
        ("lower half hidden", half_hidden),
    ];
    for (name, change) in changes {
        changed(&scenes, find, change)?.push(name, &mut scores);
    }
    let invented = find(&read(folder, EMPTY)?)?.len();
    scores.push(
        "detection: boxes in a photo without a face",
        Some(invented as f64),
        "0",
        1,
    );
    Ok(scores)
}

/// Every photo with its faces, as found upright.
fn scenes(folder: &Path, find: &Find<'_>, scores: &mut AuScores) -> Result<Vec<Scene>, TrainError> {
    let (mut scenes, mut found, mut all) = (Vec::new(), 0, 0);
    for (name, count) in PHOTOS {
        let photo = read(folder, name)?;
        let faces = find(&photo)?;
        (found, all) = (found + faces.len().min(count), all + count);
        scenes.push(Scene { photo, faces });
    }
    let share = found as f64 / all as f64;
    scores.push("detection: faces found upright", Some(share), "1", all);
    Ok(scenes)
}

fn read(folder: &Path, name: &str) -> Result<Photo, TrainError> {
    let path = folder.join(name);
    PhotoReader::default()
        .read(&path)
        .map_err(|e| TrainError::Layout {
            path: path.display().to_string(),
            reason: e.to_string(),
        })
}

fn changed(
    scenes: &[Scene],
    find: &Find<'_>,
    change: impl Fn(&Scene) -> Scene,
) -> Result<Count, TrainError> {
    let mut sum = Count::default();
    for scene in scenes {
        let scene = change(scene);
        let found = find(&scene.photo)?;
        sum = sum.plus(Count::of(&scene.faces, &found));
    }
    Ok(sum)
}

impl Count {
    fn of(faces: &[FaceBox], found: &[FaceBox]) -> Self {
        let is_found = |face: &&FaceBox| found.iter().any(|other| is_same(face, other));
        let is_wrong = |other: &&FaceBox| !faces.iter().any(|face| is_same(face, other));
        Self {
            found: faces.iter().filter(is_found).count(),
            all: faces.len(),
            wrong: found.iter().filter(is_wrong).count(),
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            found: self.found + other.found,
            all: self.all + other.all,
            wrong: self.wrong + other.wrong,
        }
    }

    fn push(self, change: &str, scores: &mut AuScores) {
        let Self { found, all, wrong } = self;
        let share = (all > 0).then(|| found as f64 / all as f64);
        scores.push(
            format!("detection, {change}: faces found"),
            share,
            WANTED,
            all,
        );
        let name = format!("detection, {change}: boxes that are no face");
        scores.push(name, Some(wrong as f64), "0", all);
    }
}

/// Whether two boxes mean the same face.
fn is_same(face: &FaceBox, other: &FaceBox) -> bool {
    let side = face.area().sqrt();
    let ratio = other.area().sqrt() / side;
    face.center().distance(other.center()) < 0.4 * side && (0.5..2.0).contains(&ratio)
}

/// The photo through a transform to another size; black where it does not reach.
pub(crate) fn moved(photo: &Photo, to: &Similarity, (width, height): (f32, f32)) -> Photo {
    let back = to.inverse().unwrap_or(Similarity::IDENTITY);
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

/// A number of pixels, at least one.
fn side(length: f32) -> NonZeroU32 {
    NonZeroU32::new(length.round().max(1.0) as u32).unwrap_or(NonZeroU32::MIN)
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
    let [width, height] = [scene.photo.width(), scene.photo.height()].map(|n| side(n as f32));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Scene {
        let photo = Photo::from_fn(side(80.0), side(40.0), |x, y| [x as u8, y as u8, 200]);
        let face = FaceBox {
            x: 50.0,
            y: 10.0,
            width: 20.0,
            height: 20.0,
            ..FaceBox::whole(80, 40)
        };
        Scene {
            photo,
            faces: vec![face],
        }
    }

    #[test]
    fn a_turn_moves_pixels_and_boxes_alike() {
        let (plain, found) = (scene(), turned(&scene(), 90.0));
        assert_eq!((found.photo.width(), found.photo.height()), (40, 80));
        let (from, to) = (plain.faces[0].center(), found.faces[0].center());
        let at = |scene: &Scene, p: Point| scene.photo.pixel_clamped(p.x as i64, p.y as i64);
        let (a, b) = (at(&plain, from), at(&found, to));
        assert!(
            a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 1),
            "{a:?} {b:?}"
        );
    }

    #[test]
    fn boxes_are_counted_once_as_found_or_wrong() {
        let faces = scene().faces;
        let elsewhere = FaceBox { x: 0.0, ..faces[0] };
        let count = Count::of(&faces, &[faces[0], elsewhere]);
        assert_eq!((count.found, count.all, count.wrong), (1, 1, 1));
    }

    #[test]
    fn a_hidden_half_is_the_lower_one() {
        let hidden = half_hidden(&scene());
        assert_eq!(hidden.photo.pixel_clamped(60, 25), [110, 120, 150]);
        assert_ne!(hidden.photo.pixel_clamped(60, 15), [110, 120, 150]);
        assert_eq!(dark(&scene()).photo.pixel_clamped(40, 20), [6, 3, 30]);
    }
}
