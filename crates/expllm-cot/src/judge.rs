//! The one judge of chains: what each metric of a text is, wherever it is printed.
//!
//! `cot check`, evaluation and training all call this module, so that a name means one thing:
//!
//! | name | meaning |
//! |---|---|
//! | `parsed` | share of texts in which all three parts are found |
//! | `label_in_conclusion` | share of chains that conclude on the label ([`concludes`]) |
//! | `grounding_precision` | mean over chains of the share of their statements that the units support |
//! | `grounding_recall` | mean over chains of the share of active units that they claim |
//! | `not_checkable` | statements about units that were not measured; in none of the shares |
//! | `distinct_n` | different runs of n words over all runs of n words |
//! | `repeated_conclusions` | share of chains whose conclusion stands too often for its label |
//! | `..._shuffled` | the same with each chain held against another face ([`round_trip`]) |
//!
//! A chain without a statement, or a face without an active unit, has no share of that kind.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use expllm_core::{AuVector, ChainOfThought, Expression, GroundingReport};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::labels::concludes;
use crate::reader::ground;

/// One conclusion in so many of a label may be the same sentence.
const CONCLUSIONS_A_REPETITION: usize = 200;

/// How one chain fits a face.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ChainScore {
    /// 1 if the chain concludes on the label, 0 if not; `None` without a label.
    pub label_in_conclusion: Option<f64>,
    /// Share of statements that the units support, 0 to 1; `None` without statements or units.
    pub grounding_precision: Option<f64>,
    /// Share of active units that are claimed, 0 to 1; `None` without active units.
    pub grounding_recall: Option<f64>,
    /// Statements about units that were not measured.
    pub not_checkable: usize,
}

impl ChainScore {
    /// Holds a chain against what is known of a face.
    #[must_use]
    pub fn of(chain: &ChainOfThought, units: Option<&AuVector>, label: Option<Expression>) -> Self {
        let report = units.map(|units| ground(chain, units));
        Self::from_report(chain, report.as_ref(), label)
    }

    /// As [`of`](Self::of), for a chain that was read before.
    #[must_use]
    pub fn from_report(
        chain: &ChainOfThought,
        report: Option<&GroundingReport>,
        label: Option<Expression>,
    ) -> Self {
        let said = |label| f64::from(u8::from(concludes(&chain.conclusion, label)));
        Self {
            label_in_conclusion: label.map(said),
            grounding_precision: report.and_then(GroundingReport::precision),
            grounding_recall: report.and_then(GroundingReport::recall),
            not_checkable: report.map_or(0, |r| r.not_checkable.len()),
        }
    }
}

/// For each of `count` faces another one: the next on one round trip through all of them in
/// random order, so that none meets itself and each is met once. Always the same for a count.
///
/// ```
/// let others = expllm_cot::round_trip(5);
/// assert!(others.iter().enumerate().all(|(face, &other)| face != other));
/// ```
#[must_use]
pub fn round_trip(count: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let mut others = vec![0; count];
    for (at, &face) in order.iter().enumerate() {
        others[face] = order[(at + 1) % count];
    }
    others
}

/// A text with the face it is about.
#[derive(Debug, Clone, Copy)]
pub struct JudgedText<'a> {
    /// The text as it was written.
    pub text: &'a str,
    /// The units of the face.
    pub units: Option<&'a AuVector>,
    /// The label that the conclusion should be about.
    pub label: Option<Expression>,
}

/// Means over texts; each from 0 to 1, and `None` where nothing was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ChainFigures {
    /// Texts judged.
    pub texts: usize,
    /// Share of texts in which all three parts are found.
    pub parsed: Option<f64>,
    /// Means over the chains on their own faces.
    pub own: MeanScore,
    /// Means over the chains on the faces of [`round_trip`]; nothing for fewer than two chains.
    pub shuffled: MeanScore,
    /// Different pairs of neighbouring words over all such pairs.
    pub distinct_2: Option<f64>,
    /// Share of chains whose conclusion stands too often.
    pub repeated_conclusions: Option<f64>,
}

/// Means of [`ChainScore`]s over those that have the figure.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MeanScore {
    /// Mean of [`ChainScore::label_in_conclusion`].
    pub label_in_conclusion: Option<f64>,
    /// Mean of [`ChainScore::grounding_precision`].
    pub grounding_precision: Option<f64>,
    /// Mean of [`ChainScore::grounding_recall`].
    pub grounding_recall: Option<f64>,
}

impl MeanScore {
    /// The means over scores.
    #[must_use]
    pub fn over(scores: &[ChainScore]) -> Self {
        let mut sums = ScoreSums::default();
        for score in scores {
            sums.add(score);
        }
        sums.mean()
    }
}

/// Scores added up one by one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScoreSums {
    label: Sum,
    precision: Sum,
    recall: Sum,
}

impl ScoreSums {
    pub(crate) fn add(&mut self, score: &ChainScore) {
        self.label.add(score.label_in_conclusion);
        self.precision.add(score.grounding_precision);
        self.recall.add(score.grounding_recall);
    }

    pub(crate) fn mean(&self) -> MeanScore {
        MeanScore {
            label_in_conclusion: self.label.mean(),
            grounding_precision: self.precision.mean(),
            grounding_recall: self.recall.mean(),
        }
    }
}

/// Values added up, and how many there were.
#[derive(Debug, Clone, Copy, Default)]
struct Sum(f64, u64);

impl Sum {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.0 += value;
            self.1 += 1;
        }
    }

    fn mean(self) -> Option<f64> {
        (self.1 > 0).then(|| self.0 / self.1 as f64)
    }
}

/// Judges texts on their own faces and on each other's.
#[must_use]
pub fn judge(texts: &[JudgedText<'_>]) -> ChainFigures {
    let mut variety = Variety::default();
    let parsed: Vec<(ChainOfThought, &JudgedText<'_>)> = texts
        .iter()
        .filter_map(|judged| Some((judged.text.parse().ok()?, judged)))
        .collect();
    for (chain, judged) in &parsed {
        variety.add(chain, judged.label);
    }
    let score = |(chain, _): &(ChainOfThought, _), face: &JudgedText<'_>| {
        ChainScore::of(chain, face.units, face.label)
    };
    let own: Vec<_> = parsed.iter().map(|pair| score(pair, pair.1)).collect();
    let others = round_trip(parsed.len());
    let met = parsed.iter().zip(&others);
    let other: Vec<_> = match parsed.len() {
        0 | 1 => Vec::new(),
        _ => met
            .map(|(pair, &face)| score(pair, parsed[face].1))
            .collect(),
    };
    ChainFigures {
        texts: texts.len(),
        parsed: share(parsed.len(), texts.len()),
        own: MeanScore::over(&own),
        shuffled: MeanScore::over(&other),
        distinct_2: variety.distinct_2(),
        repeated_conclusions: share(variety.repeated_conclusions(), parsed.len()),
    }
}

pub(crate) fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// How varied the texts of a data set are. Holds eight bytes per different pair of words and per
/// different conclusion.
#[derive(Debug, Default)]
pub(crate) struct Variety {
    pairs: HashSet<u64>,
    pair_count: usize,
    /// How often each conclusion of a label stands.
    conclusions: HashMap<(Option<Expression>, u64), usize>,
    labels: HashMap<Option<Expression>, usize>,
}

impl Variety {
    pub(crate) fn add(&mut self, chain: &ChainOfThought, label: Option<Expression>) {
        self.add_pairs(&chain.to_string().to_lowercase());
        let conclusion = (label, hash(&chain.conclusion.trim()));
        *self.conclusions.entry(conclusion).or_default() += 1;
        *self.labels.entry(label).or_default() += 1;
    }

    fn add_pairs(&mut self, text: &str) {
        let words = text.split(|c: char| !c.is_alphabetic());
        let mut before: Option<&str> = None;
        for word in words.filter(|w| !w.is_empty()) {
            if let Some(before) = before {
                self.pairs.insert(hash(&(before, word)));
                self.pair_count += 1;
            }
            before = Some(word);
        }
    }

    pub(crate) fn distinct_2(&self) -> Option<f64> {
        share(self.pairs.len(), self.pair_count)
    }

    /// Chains whose conclusion stands at least twice, and more than once in two hundred of its
    /// label.
    pub(crate) fn repeated_conclusions(&self) -> usize {
        let counts = self.conclusions.iter();
        let is_too_many = |label: &Option<Expression>, count: usize| {
            let all = self.labels.get(label).copied().unwrap_or_default();
            count > 1 && count * CONCLUSIONS_A_REPETITION > all
        };
        counts
            .filter(|((label, _), count)| is_too_many(label, **count))
            .map(|(_, count)| count)
            .sum()
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use expllm_core::{ActionUnit, Intensity};
    use proptest::prelude::*;

    use super::*;

    fn text(observed: &str, label: &str) -> String {
        format!(
            "**Key Observations:** {observed}\n**Overall Emotional Interpretation:** So it is.\n\
             **Conclusion:** This is {label}."
        )
    }

    fn face(unit: ActionUnit) -> AuVector {
        let mut units = AuVector::REST;
        units.set(unit, Intensity::clamped(0.8));
        units
    }

    #[test]
    fn chains_that_follow_their_faces_lose_on_others() {
        let faces = [
            (
                face(ActionUnit::JawDrop),
                text("The jaw drops.", "surprise"),
                Expression::Surprise,
            ),
            (
                face(ActionUnit::NoseWrinkle),
                text("The nose is wrinkled.", "disgust"),
                Expression::Disgust,
            ),
            (
                face(ActionUnit::ChinRaise),
                text("The chin is raised.", "sadness"),
                Expression::Sadness,
            ),
        ];
        let judged = faces.each_ref().map(|(units, text, label)| JudgedText {
            text,
            units: Some(units),
            label: Some(*label),
        });
        let figures = judge(&judged);
        assert_eq!(figures.parsed, Some(1.0));
        assert_eq!(figures.own.grounding_precision, Some(1.0));
        assert_eq!(figures.own.grounding_recall, Some(1.0));
        assert_eq!(figures.own.label_in_conclusion, Some(1.0));
        assert_eq!(figures.shuffled.grounding_precision, Some(0.0));
        assert_eq!(figures.shuffled.grounding_recall, Some(0.0));
        assert_eq!(figures.shuffled.label_in_conclusion, Some(0.0));
        assert_eq!(figures.repeated_conclusions, Some(0.0));
    }

    #[test]
    fn one_chain_has_no_other_face_and_none_has_no_figures() {
        assert_eq!(judge(&[]), ChainFigures::default());
        let units = face(ActionUnit::JawDrop);
        let text = text("The jaw drops.", "surprise");
        let judged = JudgedText {
            text: &text,
            units: Some(&units),
            label: None,
        };
        let figures = judge(&[judged]);
        assert_eq!(figures.shuffled, MeanScore::default());
        assert_eq!(figures.own.label_in_conclusion, None);
        assert_eq!(figures.own.grounding_recall, Some(1.0));
    }

    #[test]
    fn equal_conclusions_of_a_label_are_counted() {
        let mut variety = Variety::default();
        let chain = |conclusion: &str| ChainOfThought {
            key_observations: String::new(),
            interpretation: String::new(),
            conclusion: conclusion.to_owned(),
        };
        for i in 0..400 {
            let label = Some(Expression::Fear);
            variety.add(&chain(&format!("Fear is the {i}th.")), label);
        }
        variety.add(&chain("Fear."), Some(Expression::Fear));
        variety.add(&chain("Fear."), Some(Expression::Anger));
        assert_eq!(variety.repeated_conclusions(), 0);
        variety.add(&chain("Fear."), Some(Expression::Fear));
        assert_eq!(variety.repeated_conclusions(), 0, "2 in 402 is one in 201");
        variety.add(&chain("Fear."), Some(Expression::Fear));
        assert_eq!(variety.repeated_conclusions(), 3);
    }

    proptest! {
        /// A round trip comes back to its start after all faces, and to none before.
        #[test]
        fn a_round_trip_meets_every_face_once(count in 1usize..60) {
            let others = round_trip(count);
            let mut met = HashSet::new();
            let mut at = 0;
            while met.insert(at) {
                at = others[at];
            }
            prop_assert_eq!(at, 0);
            prop_assert_eq!(met.len(), count);
        }
    }
}
