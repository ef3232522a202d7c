//! Readings without pixels: what a detector could say of a face, and chains about it.
//!
//! A language model learns to speak of action units here without looking at faces: what its vision
//! encoder sees are scores of units and expressions, and scores can be drawn.

use expllm_core::{AuReading, AuVector, Expression, ExpressionProbabilities, ExpressionSet};
use expllm_data::ReadOptions;
use expllm_model::conversation::Turn;
use expllm_model::score_tokens;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::chains::Chains;
use super::config::{AnnotationsConfig, RecordMix};
use super::example::{Example, ExampleImage, ExampleSource};
use super::imagined::{imagined, normal};
use crate::TrainError;

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
            let reading = self.imagine(index, &mut rng);
            self.chains.both(&reading, None, &mut rng)
        })
    }

    /// What could be read of a face like that of a record.
    fn imagine(&self, index: usize, rng: &mut ChaCha8Rng) -> AuReading {
        let reading = |index: usize, rng: &mut ChaCha8Rng| {
            let (_, units, label) = &self.rows[index];
            let scores = self.label_scores(*label, rng).map(f32::exp);
            AuReading {
                action_units: *units,
                probabilities: Some(ExpressionProbabilities::from_scores(scores)),
            }
        };
        let (own, other) = (index, rng.random_range(0..self.rows.len()));
        let [own, other] = [own, other].map(|index| reading(index, rng));
        let found = imagined(&own, &other, rng);
        match rng.random_bool(0.5) {
            true => AuReading {
                action_units: found.action_units.mirrored(),
                ..found
            },
            false => found,
        }
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

impl ExampleSource for ReadingExamples {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn example(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Example, TrainError> {
        let reading = self.imagine(index, rng);
        Ok(Example {
            id: self.rows[index].0.clone(),
            image: ExampleImage::Tokens(score_tokens(&reading)),
            turns: self.chains.turns(&reading, None, rng),
        })
    }
}
