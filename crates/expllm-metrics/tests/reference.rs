//! Every metric beside its reference package; see `reference/make_fixtures.py`.

#![allow(clippy::unwrap_used)] // The fixtures are the project's own; a bad one must fail.
use expllm_metrics::{
    Agreement, Calibration, Confusion, Occurrence, OfficialRow, Overlap, average_precision, bleu,
    distinct_n, mcnemar, roc_auc, rouge, self_bleu, spearman, strict_accuracy, top_k_accuracy,
};
use serde_json::Value;

/// The tolerance: relative above 1, absolute below.
const TOLERANCE: f64 = 1e-9;

fn cases(family: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("reference/fixtures.json")).unwrap();
    let cases = all[family].as_array().unwrap().clone();
    assert!(cases.len() >= 70, "{family}: {} cases", cases.len());
    cases
}

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

fn assert_close(found: Option<f64>, case: &Value, name: &str) {
    let wanted = case[name].as_f64();
    let close = match (found, wanted) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * b.abs().max(1.0),
        (None, None) => case[name].is_null(),
        _ => false,
    };
    assert!(
        close,
        "{name}: found {found:?}, the reference is {wanted:?} on {case}"
    );
}

#[test]
fn classification_equals_scikit_learn() {
    for case in cases("classification") {
        let classes = case["classes"].as_u64().unwrap() as usize;
        let truth: Vec<usize> = list(&case["truth"]);
        let predictions: Vec<usize> = list(&case["prediction"]);
        let predictions: Vec<_> = predictions
            .into_iter()
            .map(|p| (p < classes).then_some(p))
            .collect();
        let matrix = Confusion::from_labels(classes, &truth, &predictions).unwrap();
        assert_close(matrix.accuracy(), &case, "accuracy");
        assert_close(matrix.uar(), &case, "uar");
        assert_close(matrix.macro_f1(), &case, "macro_f1");
        assert_close(matrix.uf1(), &case, "uf1");
        assert_close(matrix.weighted_f1(), &case, "weighted_f1");
        assert_close(matrix.kappa(), &case, "kappa");
        assert_close(matrix.mcc(), &case, "mcc");
    }
}

#[test]
fn ranking_equals_scikit_learn() {
    for case in cases("ranking") {
        let truth: Vec<usize> = list(&case["truth"]);
        let scores: Vec<Vec<f64>> = list(&case["scores"]);
        for k in [1, 2] {
            let found = top_k_accuracy(&truth, &scores, k).unwrap();
            assert_close(found, &case["top"], &k.to_string());
        }
        let positive: Vec<bool> = truth.iter().map(|&t| t == 0).collect();
        let first: Vec<f64> = scores.iter().map(|row| row[0]).collect();
        assert_close(roc_auc(&positive, &first).unwrap(), &case, "roc_auc");
        assert_close(
            average_precision(&positive, &first).unwrap(),
            &case,
            "average_precision",
        );
    }
}

#[test]
fn agreement_equals_scipy_and_pingouin() {
    for case in cases("agreement") {
        let (x, y): (Vec<f64>, Vec<f64>) = (list(&case["x"]), list(&case["y"]));
        let found = Agreement::from_slices(&x, &y).unwrap();
        assert_close(found.mae(), &case, "mae");
        assert_close(found.mse(), &case, "mse");
        assert_close(found.pcc(), &case, "pcc");
        assert_close(found.ccc(), &case, "ccc");
        // Below five pairs, and of two constants, pingouin gives nothing to compare with.
        if let Some(wanted) = case["icc"].as_array() {
            for (found, wanted) in [(found.icc2(), &wanted[0]), (found.icc3(), &wanted[1])] {
                let (found, wanted) = (found.unwrap(), wanted.as_f64().unwrap());
                assert!(
                    (found - wanted).abs() <= TOLERANCE,
                    "{found} is not {wanted} on {case}"
                );
            }
        }
    }
}

#[test]
fn rank_correlation_equals_scipy() {
    for case in cases("spearman") {
        let (x, y): (Vec<f64>, Vec<f64>) = (list(&case["x"]), list(&case["y"]));
        assert_close(spearman(&x, &y).unwrap(), &case, "rho");
    }
}

#[test]
fn occurrence_equals_scikit_learn() {
    for case in cases("occurrence") {
        let truth: Vec<Option<f64>> = list(&case["truth"]);
        let scores: Vec<f64> = list(&case["score"]);
        let found = Occurrence::from_scores(&truth, &scores, (2.0, 0.5)).unwrap();
        assert_close(found.f1(), &case, "f1");
        assert_close(found.accuracy(), &case, "accuracy");
    }
}

#[test]
fn calibration_equals_scikit_learn() {
    for case in cases("calibration") {
        let mut found = Calibration::new(10);
        let truth: Vec<usize> = list(&case["truth"]);
        let probabilities: Vec<Vec<f64>> = list(&case["p"]);
        for (&truth, row) in truth.iter().zip(&probabilities) {
            found.add(truth, row).unwrap();
        }
        assert_close(found.ece(), &case, "ece");
        assert_close(found.brier(), &case, "brier");
    }
}

#[test]
fn text_equals_rouge_and_nltk() {
    for case in cases("text") {
        let hypothesis = case["hypothesis"].as_str().unwrap();
        let reference = case["reference"].as_str().unwrap();
        let found = rouge(hypothesis, reference).unwrap();
        let wanted: Vec<[f64; 3]> = list(&case["rouge"]);
        for (found, wanted) in [found.rouge_1, found.rouge_2, found.rouge_l]
            .iter()
            .zip(wanted)
        {
            let Overlap {
                precision,
                recall,
                f1,
            } = *found;
            for (found, wanted) in [precision, recall, f1].into_iter().zip(wanted) {
                assert!(
                    (found - wanted).abs() <= TOLERANCE,
                    "{found} is not {wanted} on {case}"
                );
            }
        }
        let corpus = bleu(&[hypothesis, hypothesis], &[reference, hypothesis]);
        assert_close(corpus, &case, "bleu");
        let both = format!("{hypothesis} {reference}");
        let texts = [hypothesis, reference, &both];
        assert_close(self_bleu(&texts), &case, "self_bleu");
        assert_close(distinct_n(&texts, 2), &case, "distinct_2");
    }
}

#[test]
fn mcnemar_equals_statsmodels() {
    for case in cases("tests") {
        let count = |name: &str| case[name].as_u64().unwrap();
        assert_close(Some(mcnemar(count("b"), count("c"))), &case, "p");
    }
}

#[test]
fn official_accuracy_equals_the_official_rule() {
    for case in cases("official") {
        let rows: Vec<OfficialRow> = list(&case["rows"]);
        let found = strict_accuracy(&rows);
        for (name, found) in [
            ("total", found.total),
            ("mismatches", found.mismatches),
            ("correct", found.correct),
        ] {
            assert_eq!(Some(found), case[name].as_u64(), "{name}");
        }
    }
}
