//! The sets of faces beside the project; skipped where they are absent.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use expllm_core::Expression;
use expllm_data::Split;
use expllm_testing::shared;
use expllm_train::{RealFace, TrainingData};

#[test]
fn the_sets_are_read_with_what_is_known_of_them() {
    if shared("data/wild.tar").is_none() || shared("data/fer2013_faces.csv").is_none() {
        return;
    }
    let data = TrainingData::open(&shared("").unwrap()).unwrap();
    let valid = |name: &str| -> Vec<RealFace> {
        let set = data.set(name).unwrap();
        data.faces(set, Split::Valid).unwrap()
    };
    let wild = valid("wild");
    assert_eq!(wild.len(), 863);
    let marked = |face: &RealFace| face.points.is_some() && face.mesh.is_some();
    assert!(wild.iter().all(marked));
    let eyes = |face: &RealFace| face.points.map(|points| points[45].x - points[36].x);
    assert!(
        wild.iter()
            .all(|face| eyes(face).is_some_and(|width| width > 0.0))
    );
    let fer = valid("fer2013");
    assert_eq!(fer.len(), 3_589);
    let majorities = data.majorities(data.set("fer2013").unwrap()).unwrap();
    let happy = |face: &&RealFace| face.expression == Some(Expression::Happiness);
    let happy: Vec<_> = fer.iter().filter(happy).collect();
    let agreed = happy
        .iter()
        .filter(|face| majorities.get(&face.file) == Some(&Expression::Happiness));
    let agreed = agreed.count() as f64 / happy.len() as f64;
    assert!(agreed > 0.85, "{agreed}");
    let (ratings, rated) = data.rated_faces("panel_dev.csv").unwrap();
    assert!(
        ratings
            .iter()
            .all(|rating| rated.iter().any(|face| face.file == rating.file))
    );
}
