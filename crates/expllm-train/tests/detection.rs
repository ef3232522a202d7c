//! Faces are found in photos that are turned, small, dark or half hidden.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use expllm_au::FaceReader;
use expllm_testing::shared;
use expllm_train::score_detection;

#[test]
fn changed_photos_keep_their_faces() {
    let Some(folder) = shared("photos") else {
        return;
    };
    let scores = score_detection(&folder, &FaceReader::pretrained().unwrap()).unwrap();
    let shares = scores
        .figures
        .iter()
        .filter(|figure| figure.name.ends_with("found"));
    for figure in shares {
        assert!(figure.value >= 0.95, "{figure:?}");
    }
    let invented = |name: &str| name.contains("without a face");
    let figure = scores
        .figures
        .iter()
        .find(|figure| invented(&figure.name))
        .unwrap();
    assert_eq!(figure.value, 0.0);
}
