//! Faces of one photo: whole, cut, many, shrunk, and parts of any size.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::num::NonZeroU32;

use expllm_core::{FaceDetector, Photo};
use expllm_face::{CenterFaceDetector, DetectorOptions, PhotoReader};
use proptest::prelude::*;

const ASTRONAUT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/photos/astronaut.png"
);

fn astronaut() -> Photo {
    PhotoReader::default().read(ASTRONAUT).unwrap()
}

fn detector() -> CenterFaceDetector {
    CenterFaceDetector::new().unwrap()
}

fn part(photo: &Photo, left: i64, top: i64, width: u32, height: u32) -> Photo {
    let side = |n| NonZeroU32::new(n).unwrap();
    Photo::from_fn(side(width), side(height), |x, y| {
        photo.pixel_clamped(left + i64::from(x), top + i64::from(y))
    })
}

#[test]
fn the_astronaut_has_one_face_where_it_is() {
    let found = detector().detect(&astronaut()).unwrap();
    assert_eq!(found.len(), 1);
    let center = found[0].center();
    assert!((center.x - 225.0).abs() < 15.0 && (center.y - 115.0).abs() < 15.0);
    assert!((75.0..125.0).contains(&found[0].width));
    let [right_eye, left_eye, nose, right_mouth, left_mouth] = found[0].points.unwrap();
    assert!(right_eye.x < nose.x && nose.x < left_eye.x && right_mouth.x < left_mouth.x);
    assert!(right_eye.y < nose.y && nose.y < right_mouth.y);
}

#[test]
fn faces_cut_by_an_edge_are_found() {
    let (photo, detector) = (astronaut(), detector());
    let face = detector.detect(&photo).unwrap()[0];
    let (right, bottom) = (face.x + face.width, face.y + face.height);
    let mut found = 0;
    for share in [0.1, 0.2, 0.3] {
        let (dx, dy) = (share * face.width, share * face.height);
        let cuts = [
            part(&photo, (face.x + dx) as i64, 0, 300, 300),
            part(&photo, 0, 0, (right - dx) as u32, 300),
            part(&photo, 50, (face.y + dy) as i64, 300, 300),
            part(&photo, 50, 0, 300, (bottom - dy) as u32),
        ];
        for cut in cuts {
            found += detector.detect(&cut).unwrap().len();
        }
    }
    println!("{found} of 12 cut faces found");
    assert!((10..=12).contains(&found), "{found} of 12");
}

#[test]
fn a_hundred_faces_come_largest_first() {
    let portrait = part(&astronaut(), 150, 40, 150, 150);
    let side = NonZeroU32::new(1500).unwrap();
    let crowd = Photo::from_fn(side, side, |x, y| {
        portrait.pixel_clamped(i64::from(x % 150), i64::from(y % 150))
    });
    let found = detector().detect(&crowd).unwrap();
    assert!((98..=102).contains(&found.len()), "{}", found.len());
    assert!(found.windows(2).all(|w| w[0].area() >= w[1].area()));
}

#[test]
fn boxes_stay_in_photo_pixels_when_the_photo_is_shrunk() {
    let photo = astronaut();
    let side = NonZeroU32::new(2048).unwrap();
    let large = Photo::from_fn(side, side, |x, y| {
        photo.pixel_clamped(i64::from(x / 4), i64::from(y / 4))
    });
    let found = detector().detect(&large).unwrap();
    assert_eq!(found.len(), 1);
    let center = found[0].center();
    assert!((center.x - 900.0).abs() < 60.0 && (center.y - 460.0).abs() < 60.0);
}

#[test]
fn settings_are_checked() {
    let refused = |options| CenterFaceDetector::with_options(options).is_err();
    let good = DetectorOptions::default();
    assert!(refused(DetectorOptions {
        min_size: 7,
        ..good
    }));
    let threshold = f32::NAN;
    assert!(refused(DetectorOptions { threshold, ..good }));
    let max_pixels = 9_999;
    assert!(refused(DetectorOptions { max_pixels, ..good }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn parts_of_any_size_are_searched(
        left in -100i64..400, top in -100i64..400, width in 1u32..260, height in 1u32..260,
    ) {
        let cut = part(&astronaut(), left, top, width, height);
        let found = detector().detect(&cut).unwrap();
        prop_assert!(found.len() < 10);
    }
}
