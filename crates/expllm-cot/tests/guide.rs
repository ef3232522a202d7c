//! The checks of the guide on style: each finds its fault, and nothing else does.

#![allow(clippy::expect_used, clippy::unwrap_used)] // Tests may fail loudly.

use expllm_core::{ActionUnit, AuVector, Expression, ExpressionSet, Intensity};
use expllm_cot::{Check, Checker, CotRecord, Grader, Row};

const OBSERVED: &str = "Both brows are raised markedly. The jaw drops moderately.";
const MEANT: &str = "Brows and jaw open together, which is how surprise is built. Fear would widen \
    the eyes and tighten the mouth, and this mouth hangs loose.";
const CONCLUDED: &str = "High brows over a falling jaw make this probably surprise.";

fn face() -> AuVector {
    let mut units = AuVector::REST;
    for unit in [ActionUnit::LeftBrowRaise, ActionUnit::RightBrowRaise] {
        units.set(unit, Intensity::clamped(0.7));
    }
    units.set(ActionUnit::JawDrop, Intensity::clamped(0.5));
    units
}

fn text(observed: &str, meant: &str, concluded: &str) -> String {
    format!(
        "**Key Observations:** {observed}\n\n**Overall Emotional Interpretation:** {meant}\n\n\
         **Conclusion:** {concluded}"
    )
}

fn found(text: &str, units: &AuVector) -> Vec<Check> {
    let checker = Checker {
        guide: true,
        set: ExpressionSet::Seven,
        ..Checker::default()
    };
    let findings = checker.check(text, Expression::Surprise, units).findings;
    let mut checks: Vec<_> = findings.into_iter().map(|f| f.check).collect();
    checks.dedup();
    checks
}

#[test]
fn a_good_chain_has_no_findings() {
    assert_eq!(found(&text(OBSERVED, MEANT, CONCLUDED), &face()), []);
}

#[test]
fn each_check_finds_its_fault() {
    let observed = |more: &str| text(&format!("{OBSERVED} {more}"), MEANT, CONCLUDED);
    let meant = |more: &str| text(OBSERVED, &format!("{MEANT} {more}"), CONCLUDED);
    let concluded = |end: &str| text(OBSERVED, MEANT, end);
    let cases = [
        (
            observed(&"It is as it is. ".repeat(12)),
            vec![Check::PartLength],
        ),
        (
            concluded("This is surprise. It is plain."),
            vec![Check::PartLength],
        ),
        (observed("Moreover, the mouth is open."), vec![Check::Glue]),
        (
            meant("It looks as if something came up."),
            vec![Check::Glue],
        ),
        (
            meant("The brows do not rise."),
            vec![Check::Grounding, Check::Contradiction],
        ),
        (
            text(
                OBSERVED,
                "The brows lead here. All of it fits. Happiness is less fitting, as its \
                features weigh less. That is how it is.",
                CONCLUDED,
            ),
            vec![Check::EmptyRival],
        ),
        (
            concluded("Clearly the brows show surprise, if only tentatively."),
            vec![Check::Certainty],
        ),
        (
            text(
                "Both brows are raised to an extreme degree. The jaw drops moderately.",
                MEANT,
                CONCLUDED,
            ),
            vec![Check::Degree],
        ),
        (
            text(
                "The left brow is raised markedly. The jaw drops moderately.",
                MEANT,
                CONCLUDED,
            ),
            vec![Check::StrongUnit, Check::Asymmetry],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(found(&text, &face()), expected, "{text}");
    }
}

#[test]
fn absence_is_told_only_of_what_was_measured_and_is_clearly_at_rest() {
    let says = |more: &str| text(&format!("{OBSERVED} {more}"), MEANT, CONCLUDED);
    let (still, denied) = (
        says("Nothing else moves."),
        says("The nose is not wrinkled."),
    );
    assert_eq!(found(&still, &face()), []);
    assert_eq!(found(&denied, &face()), []);
    let mut near = face();
    near.set(ActionUnit::NoseWrinkle, Intensity::clamped(0.15));
    assert_eq!(found(&still, &near), [Check::Absence]);
    assert_eq!(found(&denied, &near), [Check::Absence]);
    let mut unmeasured = face();
    unmeasured.clear(ActionUnit::NoseWrinkle);
    assert_eq!(found(&denied, &unmeasured), [Check::Absence]);
    assert_eq!(found(&still, &unmeasured), []);
}

#[test]
fn no_corner_alone_makes_a_smile_genuine() {
    let mut units = face();
    for unit in [
        ActionUnit::LeftLipCornerPull,
        ActionUnit::RightLipCornerPull,
    ] {
        units.set(unit, Intensity::clamped(0.7));
    }
    let observed = format!("{OBSERVED} Both lip corners are pulled up markedly.");
    let meant = format!("{MEANT} It is a genuine smile.");
    let text = text(&observed, &meant, CONCLUDED);
    assert!(found(&text, &units).contains(&Check::FeltSmile));
    units.set(ActionUnit::LeftCheekRaise, Intensity::clamped(0.5));
    assert!(!found(&text, &units).contains(&Check::FeltSmile));
}

#[test]
fn conclusions_that_repeat_are_counted_over_a_data_set() {
    let mut grader = Grader::new(Checker {
        guide: true,
        ..Checker::default()
    });
    for line in 1..=3 {
        let record = CotRecord {
            file_name: format!("{line}.jpg"),
            label: Expression::Surprise,
            units: Some(face()),
            description: Some(text(OBSERVED, MEANT, CONCLUDED)),
        };
        let (record, raw) = (Ok(record), serde_json::Value::Null);
        grader.add(&Row { line, record, raw });
    }
    let grade = grader.finish();
    assert_eq!(grade.repeated_conclusions, 3);
    assert_eq!(grade.findings["repeated_conclusion"], 3);
}
