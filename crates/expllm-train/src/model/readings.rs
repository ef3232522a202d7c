//! Readings without pixels: what a detector could say of a face, and chains about it.
//!
//! A language model learns to speak of action units here without looking at faces: the tokens of
//! its vision encoder are scores of units and expressions, and scores can be drawn.

use expllm_core::{
    ActionUnit, AuReading, AuVector, Expression, ExpressionProbabilities, ExpressionSet,
};
use expllm_data::ReadOptions;
use expllm_model::conversation::Turn;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::chains::Chains;
use super::config::{AnnotationsConfig, RecordMix};
use super::example::{Example, ExampleImage, ExampleSource};
use crate::TrainError;

/// Scores of units are kept within this, on both sides.
const LARGEST_SCORE: f32 = 5.0;

/// By how much the scores of a unit vary around the annotated intensity.
const SPREAD: f32 = 0.5;

/// Share of the faces whose units come from two records, so that labels do not give them away.
const MIXED: f64 = 0.3;

/// Annotated readings that imagined faces are drawn around.
#[derive(Debug, Clone)]
pub struct ReadingExamples {
    rows: Vec<(String, AuVector, Expression)>,
    chains: Chains,
}

impl ReadingExamples {
    /// Reads the records that have action units and a label.
    ///
    /// # Errors
    ///
    /// When the data set cannot be read; [`TrainError::NoRecords`] when no record has both.
    pub fn read(
        annotations: &AnnotationsConfig,
        mix: RecordMix,
        wordings: u64,
    ) -> Result<Self, TrainError> {
        let options = ReadOptions {
            keep_missing_images: true,
            ..ReadOptions::default()
        };
        let dataset = annotations.layout.read(&annotations.root, &options)?;
        let rows: Vec<_> = dataset
            .records
            .into_iter()
            .filter_map(|record| Some((record.id, record.action_units?, record.expression?)))
            .collect();
        if rows.is_empty() {
            return Err(TrainError::NoRecords(annotations.root.clone()));
        }
        Ok(Self {
            rows,
            chains: Chains { mix, wordings },
        })
    }

    /// Conversations with a chain, for learning a tokenizer.
    pub fn conversations(&self, count: usize) -> impl Iterator<Item = Vec<Turn>> + '_ {
        (0..count).filter_map(move |number| {
            let mut rng = Chains::rng(number);
            let index = rng.random_range(0..self.rows.len());
            let (_, reading) = self.imagine(index, &mut rng);
            self.chains.both(&reading, None, &mut rng)
        })
    }

    /// Scores of a face and of its mirror image, and the reading that they make.
    fn imagine(&self, index: usize, rng: &mut ChaCha8Rng) -> ([Vec<f32>; 2], AuReading) {
        let mut units = self.rows[index].1;
        if rng.random_bool(MIXED) {
            let other = &self.rows[rng.random_range(0..self.rows.len())].1;
            for unit in ActionUnit::FEAFA {
                if rng.random_bool(0.5) {
                    units.set(unit, other[unit]);
                }
            }
        }
        if rng.random_bool(0.5) {
            units = units.mirrored();
        }
        let gain = rng.random_range(0.7f32..1.3);
        let score = |value: f32, rng: &mut ChaCha8Rng| {
            // A detector is never sure that a unit rests.
            let value = value.clamp(rng.random_range(0.01..0.17), 0.99);
            let score = (value / (1.0 - value)).ln() * gain + SPREAD * normal(rng);
            score.clamp(-LARGEST_SCORE, LARGEST_SCORE)
        };
        let own = ActionUnit::FEAFA.map(|unit| score(units[unit].get(), rng));
        // The mirror image is read nearly as the face, with sides exchanged.
        let mirrored =
            ActionUnit::FEAFA.map(|unit| own[unit.mirrored().index()] + 0.3 * normal(rng));
        let share = |score: f32| 1.0 / (1.0 + (-score).exp());
        let units = ActionUnit::FEAFA.map(|unit| {
            (share(own[unit.index()]) + share(mirrored[unit.mirrored().index()])) / 2.0
        });
        let labels = self.label_scores(self.rows[index].2, rng);
        let reading = AuReading {
            action_units: AuVector::from_feafa_clamped(units),
            probabilities: Some(ExpressionProbabilities::from_scores(labels.map(f32::exp))),
        };
        let joined = |units: [f32; ActionUnit::FEAFA_COUNT]| [&units[..], &labels[..]].concat();
        ([joined(own), joined(mirrored)], reading)
    }

    /// Scores of expressions, mostly highest for the label.
    fn label_scores(&self, label: Expression, rng: &mut ChaCha8Rng) -> [f32; Expression::COUNT] {
        let mut scores = [(); Expression::COUNT].map(|()| normal(rng));
        let all = ExpressionSet::Eight.expressions();
        let main = match rng.random_bool(0.8) {
            true => label,
            false => all[rng.random_range(0..all.len())],
        };
        scores[main.index()] += rng.random_range(0.5f32..5.0);
        scores
    }
}

/// About normally distributed, with a deviation of 1.
fn normal(rng: &mut impl Rng) -> f32 {
    let sum: f32 = (0..4).map(|_| rng.random_range(-1.0f32..1.0)).sum();
    sum * 0.866
}

impl ExampleSource for ReadingExamples {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn example(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Example, TrainError> {
        let (scores, reading) = self.imagine(index, rng);
        Ok(Example {
            id: self.rows[index].0.clone(),
            image: ExampleImage::Tokens(scores.concat()),
            turns: self.chains.turns(&reading, None, rng),
        })
    }
}
