//! No face is invented, in textures and in a photo without one. How many are found when photos
//! are changed is measured by `expllm train score`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A failure ends the test.

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
