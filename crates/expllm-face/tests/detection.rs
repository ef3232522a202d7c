//! No face is invented, in textures and in a photo without one. How many are found when photos
//! are changed is measured by `expllm train score`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A failure ends the test.

use std::sync::atomic::{AtomicUsize, Ordering};

use expllm_core::{FaceBox, FaceDetector, Photo};
use expllm_face::{CenterFaceDetector, PhotoReader};
use expllm_testing::shared;

mod common;

fn detect(photo: &Photo) -> Vec<FaceBox> {
    thread_local! {
        static DETECTOR: CenterFaceDetector = CenterFaceDetector::new().unwrap();
    }
    DETECTOR.with(|detector| detector.detect(photo).unwrap())
}

#[test]
fn no_face_is_invented() {
    let textures = (0..100)
        .filter(|&i| !detect(&common::texture(i)).is_empty())
        .count();
    println!("textures with a face: {textures} of 100");
    assert_eq!(textures, 0);
    if let Some(path) = shared("photos/no_face.jpg") {
        assert_eq!(detect(&PhotoReader::default().read(path).unwrap()), []);
    }
}

#[test]
fn a_search_ends_where_it_is_broken_off() {
    let (detector, photo) = (CenterFaceDetector::new().unwrap(), common::texture(3));
    let until = |asks: usize| {
        let asked = AtomicUsize::new(0);
        let go_on = || asked.fetch_add(1, Ordering::Relaxed) < asks;
        let found = detector.detect_while(&photo, &go_on).unwrap();
        (found, asked.into_inner())
    };
    let (found, asks) = until(usize::MAX);
    assert_eq!(found.unwrap(), detect(&photo));
    // Without a face the photo is looked at several times, by some twenty layers each.
    assert!(asks > 80, "asked {asks} times");
    for last in [0, 1, 30, asks / 2, asks - 1] {
        assert_eq!(until(last), (None, last + 1));
    }
}
