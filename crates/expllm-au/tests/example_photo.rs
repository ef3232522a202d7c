//! The weights that ship read the smile of the example photo.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use expllm_au::{ActionUnit as Au, Expression, FaceReader, FaceReading, PhotoReader};

fn astronaut() -> FaceReading {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/photos/astronaut.png"
    );
    let photo = PhotoReader::default().read(path).unwrap();
    let mut faces = FaceReader::pretrained().unwrap().read(&photo).unwrap();
    assert_eq!(faces.len(), 1);
    faces.remove(0).unwrap()
}

#[test]
fn a_smile_is_read_as_happiness() {
    let probabilities = astronaut().probabilities.unwrap();
    assert_eq!(probabilities.top(), Expression::Happiness);
    let happiness = probabilities.get(Expression::Happiness).get();
    assert!(happiness > 0.85, "{happiness}");
}

#[test]
fn what_a_smile_moves_is_active_and_what_it_leaves_alone_is_not() {
    let units = astronaut().action_units;
    let value = |unit| units.get(unit).unwrap().get();
    for (unit, least) in [
        (Au::LeftLipCornerPull, 0.5),
        (Au::RightLipCornerPull, 0.5),
        (Au::LeftCheekRaise, 0.2),
        (Au::RightCheekRaise, 0.2),
        (Au::UpperLipRaise, 0.2),
    ] {
        assert!(value(unit) >= least, "{}: {}", unit.name(), value(unit));
    }
    for unit in [
        Au::LeftBrowLower,
        Au::RightBrowLower,
        Au::NoseWrinkle,
        Au::LeftLipCornerDepress,
        Au::RightLipCornerDepress,
        Au::LipPress,
        Au::LipPucker,
        Au::CheekPuff,
        Au::ChinRaise,
    ] {
        assert!(value(unit) < 0.15, "{}: {}", unit.name(), value(unit));
    }
}

#[test]
fn the_face_looks_into_the_camera() {
    let pose = astronaut().head_pose.unwrap();
    for angle in [pose.pitch, pose.yaw, pose.roll] {
        assert!(angle.0.abs() < 12.0, "{pose:?}");
    }
}
