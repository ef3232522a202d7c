//! The composer against every check of the guide, over whole data sets.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use std::path::Path;

use expllm_core::{
    ActionUnit as Au, AuVector, Confidence, ExplainRequest, Expression, ExpressionProbabilities,
    ExpressionSet, FaceBox, Intensity,
};
use expllm_cot::{Checker, Composer, CotRecord, Grade, Grader, Row, read_rows};

/// The grade of what the composer writes for the faces of a file.
fn grade(path: &Path) -> Grade {
    let mut grader = Grader::new(Checker {
        guide: true,
        ..Checker::default()
    });
    for (seed, row) in read_rows(path).unwrap().enumerate() {
        let face: CotRecord = row.record.unwrap();
        let units = face.units.unwrap();
        let chain = Composer.compose(&units, face.label, ExpressionSet::Eight, seed as u64);
        let description = Some(chain.to_string());
        grader.add(&Row {
            line: row.line,
            record: Ok(CotRecord {
                description,
                units: Some(units),
                ..face
            }),
            raw: serde_json::Value::Null,
        });
    }
    grader.finish()
}

fn keeps_to_the_guide(path: &Path, faces: u64) {
    let grade = grade(path);
    println!("{}: {:?}", path.display(), grade.findings);
    assert_eq!(grade.records, faces);
    assert_eq!(grade.grounding_precision, Some(1.0), "{:?}", grade.worst);
    assert_eq!(grade.grounding_recall, Some(1.0), "{:?}", grade.worst);
    let repeated = grade.repeated_conclusions;
    println!("{repeated} conclusions of {faces} repeat another of their label");
    assert!(repeated * 40 <= faces, "{repeated}");
    let mut others = grade
        .findings
        .keys()
        .filter(|&&check| check != "repeated_conclusion");
    assert!(
        others.next().is_none(),
        "{:?} {:#?}",
        grade.findings,
        grade.worst
    );
}

#[test]
fn chains_of_the_shipped_readings_keep_to_the_guide() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/exp_cot");
    keeps_to_the_guide(&folder.join("exp_cot.parquet"), 2052);
}

#[test]
fn chains_of_the_official_faces_keep_to_the_guide() {
    let Some(path) = expllm_testing::shared("data/rafdb_cot_dev.json") else {
        return;
    };
    keeps_to_the_guide(&path, 2500);
}

fn face(values: &[(Au, f32)]) -> AuVector {
    let mut units = AuVector::REST;
    for &(unit, value) in values {
        units.set(unit, Intensity::clamped(value));
        units.set(unit.mirrored(), Intensity::clamped(value));
    }
    units
}

/// A face with raised corners under a frown and a wrinkled nose.
const GRIMACE: [(Au, f32); 4] = [
    (Au::LeftLipCornerPull, 0.45),
    (Au::LeftBrowLower, 0.6),
    (Au::NoseWrinkle, 0.5),
    (Au::LeftEyeClose, 0.5),
];

/// Where joy is unlikely, nothing of a grimace is called a smile.
#[test]
fn a_grimace_is_no_smile() {
    let mut scores = [0.02; Expression::COUNT];
    scores[Expression::Disgust.index()] = 0.7;
    let probabilities = ExpressionProbabilities::from_scores(scores);
    for seed in 0..200 {
        let set = ExpressionSet::Seven;
        let chain = Composer.compose_likeliest(&face(&GRIMACE), &probabilities, set, seed);
        let text = chain.to_string().to_lowercase();
        let mut smiles = text.match_indices("smile").map(|(at, _)| &text[..at]);
        let denied = |before: &str| {
            before.ends_with("no ") || before.ends_with("this a ") || before.ends_with("a ")
        };
        assert!(smiles.all(denied), "{chain}");
        assert!(
            !text.contains("smiling") && !text.contains("grin"),
            "{chain}"
        );
    }
}

/// What lies so in its photo that the reading is doubtful gets fewer words and says why.
#[test]
fn a_doubtful_reading_says_less_and_says_that_it_does() {
    let units = face(&[
        (Au::LeftLipCornerPull, 0.7),
        (Au::LeftCheekRaise, 0.25),
        (Au::UpperLipRaise, 0.3),
    ]);
    let tiny = FaceBox {
        width: 14.0,
        height: 18.0,
        ..FaceBox::whole(640, 480)
    };
    for seed in 0..100 {
        let sure = ExplainRequest::of_units(units, Expression::Happiness, ExpressionSet::Seven);
        let sure = sure.with_seed(seed);
        let unsure = ExplainRequest {
            confidence: Confidence::of(&tiny, None, (640, 480)),
            ..sure.clone()
        };
        let (sure, unsure) = (
            Composer.answer(&sure).unwrap(),
            Composer.answer(&unsure).unwrap(),
        );
        let told = &unsure.key_observations;
        assert!(
            told.contains("corner") && !told.contains("cheek"),
            "{unsure}"
        );
        assert!(!told.contains("upper lip"), "{unsure}");
        assert!(
            told.contains("picture") || told.contains("pixels"),
            "{unsure}"
        );
        assert!(!unsure.conclusion.contains("clearly"), "{unsure}");
        assert!(sure.key_observations.contains("cheek"), "{sure}");
    }
}

/// Faint brows are told with a doubt, plain ones without.
#[test]
fn faint_brows_are_hedged() {
    for seed in 0..100 {
        let told = |value| {
            let units = face(&[(Au::LeftBrowRaise, value)]);
            let set = ExpressionSet::Seven;
            let chain = Composer.compose(&units, Expression::Neutral, set, seed);
            let text = chain.key_observations;
            text.contains("seem") || text.contains("perhaps")
        };
        assert!(told(0.25) && !told(0.5));
    }
}
