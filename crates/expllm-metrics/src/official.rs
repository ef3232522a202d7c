//! The accuracy protocol of the official ExpLLM code, and REGE.

use std::collections::HashSet;

use expllm_core::{Expression, ExpressionSet};
use serde::{Deserialize, Serialize};

use crate::{Confusion, Rouge};

/// Place of a crop in its photo, as `result_all.json` holds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Offset {
    /// To the right, in pixels.
    pub x: f64,
    /// Downwards, in pixels.
    pub y: f64,
}

/// One row of `result_all.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfficialRow {
    /// What was asked; `emo_estim` for a label, `emo_analysis` for a chain.
    pub task: String,
    /// The truth.
    pub gt: String,
    /// Place of the crop.
    #[serde(default)]
    pub offset: Offset,
    /// The image.
    pub img_path: String,
    /// The answer of the model.
    pub pred: String,
}

/// Name of the task whose rows are graded.
pub const LABEL_TASK: &str = "emo_estim";

/// What the official code prints for a `result_all.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfficialAccuracy {
    /// Rows whose answer is the truth.
    pub correct: u64,
    /// Rows whose answer is none of the eight names; they are wrong, not left out.
    pub mismatches: u64,
    /// Rows of the task.
    pub total: u64,
}

impl OfficialAccuracy {
    /// Correct rows over all rows, 0 to 1; `None` without rows (the official code divides by 0).
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        (self.total > 0).then(|| self.correct as f64 / self.total as f64)
    }
}

/// Grades rows as `utils/eval_metrics.py` of the official code (MIT) does: the answer, stripped
/// of white space, must be one of the eight names letter for letter, and equal the truth.
#[must_use]
pub fn strict_accuracy(rows: &[OfficialRow]) -> OfficialAccuracy {
    let mut result = OfficialAccuracy {
        correct: 0,
        mismatches: 0,
        total: 0,
    };
    for row in rows.iter().filter(|row| row.task == LABEL_TASK) {
        let answer = row.pred.trim();
        let known = Expression::ALL.iter().any(|e| e.name() == answer);
        result.total += 1;
        result.mismatches += u64::from(!known);
        result.correct += u64::from(known && row.gt == answer);
    }
    result
}

/// Rows of which each question about a crop is asked once, and how many repeat an earlier one.
///
/// Samplers that share a data set among processes repeat some images so that all get as many;
/// the official code counts those twice.
#[must_use]
pub fn without_repeats(rows: Vec<OfficialRow>) -> (Vec<OfficialRow>, usize) {
    let count = rows.len();
    let mut seen = HashSet::new();
    let first = |row: &OfficialRow| {
        let Offset { x, y } = row.offset;
        let place = (x.to_bits(), y.to_bits());
        seen.insert((row.task.clone(), row.img_path.clone(), place))
    };
    let mut rows = rows;
    rows.retain(first);
    let repeats = count - rows.len();
    (rows, repeats)
}

/// The confusion matrix of the constrained protocol: an answer is read in any known spelling
/// and must lie in the set; what cannot be read counts as no answer. Rows whose *truth* cannot
/// be read or lies outside the set are returned beside it, by image.
#[must_use]
pub fn constrained_confusion(rows: &[OfficialRow], set: ExpressionSet) -> (Confusion, Vec<String>) {
    let mut matrix = Confusion::new(set.expressions().len());
    let mut refused = Vec::new();
    let read = |text: &str| {
        let text = text.trim().trim_end_matches('.');
        text.parse::<Expression>().ok().filter(|e| set.contains(*e))
    };
    for row in rows.iter().filter(|row| row.task == LABEL_TASK) {
        let counted = read(&row.gt).is_some_and(|truth| {
            let prediction = read(&row.pred).map(Expression::index);
            matrix.add(truth.index(), prediction).is_ok()
        });
        if !counted {
            refused.push(row.img_path.clone());
        }
    }
    (matrix, refused)
}

/// REGE of EmoLA: recognition plus generation, each from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rege {
    /// Accuracy (expressions) or mean F1 (action units) times 100.
    pub recognition: f64,
    /// Mean ROUGE-L F1 times 100.
    pub generation: f64,
}

impl Rege {
    /// `S_re + S_ge`, 0 to 200.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.recognition + self.generation
    }

    /// The corrected form: the generation score is the mean over the texts that have one.
    /// `None` when there is no text with a score.
    #[must_use]
    pub fn corrected(recognition: f64, texts: &[Option<Rouge>]) -> Option<Self> {
        let scores: Vec<_> = texts.iter().flatten().map(|r| r.rouge_l.f1).collect();
        Self::from_sum(recognition, scores.iter().sum(), scores.len())
    }

    /// As published: texts that an earlier run had finished count in the mean with score 0, and
    /// so do texts without a score. `None` when there is no text at all.
    #[must_use]
    pub fn published(recognition: f64, texts: &[Option<Rouge>], resumed: usize) -> Option<Self> {
        let sum = texts.iter().flatten().map(|r| r.rouge_l.f1).sum();
        Self::from_sum(recognition, sum, texts.len() + resumed)
    }

    fn from_sum(recognition: f64, sum: f64, count: usize) -> Option<Self> {
        (count > 0).then(|| Self {
            recognition: 100.0 * recognition,
            generation: 100.0 * sum / count as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(task: &str, gt: &str, pred: &str) -> OfficialRow {
        OfficialRow {
            task: task.into(),
            gt: gt.into(),
            offset: Offset::default(),
            img_path: format!("{gt}-{pred}"),
            pred: pred.into(),
        }
    }

    #[test]
    fn strings_are_compared_as_upstream_does() {
        let rows = [
            row("emo_estim", "Anger", " Anger\n"),
            row("emo_estim", "Anger", "anger"),
            row("emo_estim", "Anger", "Anger."),
            row("emo_estim", "Anger", "Fear"),
            row("emo_analysis", "Anger", "Anger"),
        ];
        let strict = strict_accuracy(&rows);
        assert_eq!((strict.correct, strict.mismatches, strict.total), (1, 2, 4));
        let (matrix, refused) = constrained_confusion(&rows, ExpressionSet::Eight);
        assert_eq!((matrix.accuracy(), refused.len()), (Some(0.75), 0));
        assert_eq!(strict_accuracy(&[]).accuracy(), None);
    }

    #[test]
    fn a_repeated_question_counts_once() {
        let mut chain = row("emo_analysis", "Fear", "Fear");
        let mut other_face = row("emo_estim", "Fear", "Fear");
        other_face.offset.x = 40.0;
        chain.img_path.clone_from(&other_face.img_path);
        let same = row("emo_estim", "Fear", "Fear");
        let rows = vec![same.clone(), chain, other_face, same.clone(), same];
        let (rows, repeats) = without_repeats(rows);
        assert_eq!((rows.len(), repeats), (3, 2));
        assert_eq!(strict_accuracy(&rows).total, 2);
    }

    #[test]
    fn truth_outside_the_set_is_named() {
        let rows = [
            row("emo_estim", "Contempt", "Anger"),
            row("emo_estim", "Joyous", "Anger"),
        ];
        let (matrix, refused) = constrained_confusion(&rows, ExpressionSet::Seven);
        assert_eq!(matrix.total(), 0);
        assert_eq!(refused, ["Contempt-Anger", "Joyous-Anger"]);
    }

    #[test]
    fn resumed_texts_lower_the_published_score_only() {
        let texts = [crate::rouge("a b", "a b"), None];
        let corrected = Rege::corrected(0.5, &texts).unwrap();
        assert!((corrected.total() - 150.0).abs() < 1e-5);
        let published = Rege::published(0.5, &texts, 2).unwrap();
        assert!((published.generation - 25.0).abs() < 1e-5);
        assert_eq!(Rege::corrected(0.5, &[None]), None);
    }
}
