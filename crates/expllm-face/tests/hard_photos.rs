//! Photos on which detectors fail, and photos beyond all measure.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A failure ends the test.

use std::num::NonZeroU32;
use std::path::Path;

use expllm_core::{FaceBox, FaceDetector, Photo};
use expllm_face::{CenterFaceDetector, DetectorOptions, PhotoReader};

fn read(name: &str) -> Photo {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    PhotoReader::default().read(folder.join(name)).unwrap()
}

fn detect(photo: &Photo) -> Vec<FaceBox> {
    CenterFaceDetector::new().unwrap().detect(photo).unwrap()
}

fn painted(width: u32, height: u32, colour: impl FnMut(u32, u32) -> [u8; 3]) -> Photo {
    let side = |n| NonZeroU32::new(n).unwrap();
    Photo::from_fn(side(width), side(height), colour)
}

/// The one face of a photo, which must lie around a place and be so wide, give or take a third.
fn one_face(name: &str, (x, y): (f32, f32), width: f32) -> FaceBox {
    let found = detect(&read(name));
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    let center = found[0].center();
    let near = (center.x - x).hypot(center.y - y) < 0.4 * width;
    let fits = (0.65..1.5).contains(&(found[0].width / width));
    assert!(near && fits, "{name}: {found:?}");
    found[0]
}

/// How far the face is turned clockwise, by its points, in degrees.
fn roll(face: &FaceBox) -> f32 {
    let points = face.points.unwrap();
    let middle = |a: usize, b: usize| {
        let (a, b) = (points[a], points[b]);
        ((a.x + b.x) / 2.0, (a.y + b.y) / 2.0)
    };
    let ((ex, ey), (mx, my)) = (middle(0, 1), middle(3, 4));
    (ex - mx).atan2(my - ey).to_degrees()
}

#[test]
fn turned_faces_are_found_and_say_so() {
    let face = one_face("a_rot060.jpg", (160.0, 231.0), 95.0);
    assert!((30.0..90.0).contains(&roll(&face).abs()), "{}", roll(&face));
    let face = one_face("s_rot180.jpg", (295.0, 300.0), 185.0);
    assert!(roll(&face).abs() > 140.0, "{}", roll(&face));
}

#[test]
fn dark_small_and_cut_faces_are_found() {
    one_face("dark.png", (147.0, 146.0), 97.0);
    one_face("small_64.png", (31.0, 30.0), 20.0);
    one_face("cut_left_third.jpg", (60.0, 278.0), 125.0);
    one_face("tighter.jpg", (78.0, 85.0), 160.0);
}

#[test]
fn a_small_face_in_a_large_photo_is_found() {
    one_face("px4032_face100.jpg", (2150.0, 1642.0), 85.0);
}

#[test]
fn photos_without_anything_to_see_have_no_face() {
    for (width, height) in [(1, 1), (1, 3000), (3000, 1), (7, 5)] {
        assert_eq!(detect(&painted(width, height, |_, _| [90, 160, 20])), []);
    }
    let mut state = 1_u64;
    let noise = painted(1500, 1000, |_, _| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        [(state >> 63) as u8 * 255; 3]
    });
    assert_eq!(detect(&noise), []);
}

/// A panorama of 90 MB: what is looked at stays below the limit of pixels, so that it takes as
/// long as any large photo.
#[test]
fn a_panorama_is_searched_at_the_limit_of_pixels() {
    let portrait = read("cut_left_third.jpg");
    let panorama = painted(30_000, 1_000, |x, y| match x.checked_sub(20_000) {
        Some(x) if x < 323 && (200..762).contains(&y) => {
            portrait.pixel_clamped(i64::from(x), i64::from(y) - 200)
        }
        _ => [120, 130, 140],
    });
    let found = detect(&panorama);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        (19_950.0..20_200.0).contains(&found[0].center().x),
        "{found:?}"
    );
}

#[test]
fn a_thousand_faces_are_found_in_one_photo() {
    let portrait = read("small_64.png");
    let crowd = painted(40 * 64, 25 * 62, |x, y| {
        portrait.pixel_clamped(i64::from(x % 64), i64::from(y % 62))
    });
    let options = DetectorOptions {
        max_pixels: 4_000_000,
        min_size: 16,
        ..DetectorOptions::default()
    };
    let detector = CenterFaceDetector::with_options(options).unwrap();
    let found = detector.detect(&crowd).unwrap();
    println!("{} of 1000 faces found", found.len());
    assert!((950..=1050).contains(&found.len()), "{}", found.len());
}
