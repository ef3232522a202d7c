//! Conversations that the composer writes about a reading.

use expllm_core::{
    AuReading, ExplainQuestion, ExplainRequest, Expression, ExpressionProbabilities, ExpressionSet,
};
use expllm_cot::Composer;
use expllm_model::conversation::{Task, Turn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::RecordMix;

/// The expressions that chains choose from.
pub(super) const SET: ExpressionSet = ExpressionSet::Eight;

/// Share of the labels that are not the likeliest ones whose chains are left out: such labels have to
/// come up as often as they are right, but a model that answers the likeliest one hardly ever has to
/// explain them.
const UNTOLD: f64 = 0.7;

/// Which conversations are held about a reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chains {
    pub mix: RecordMix,
    /// Wordings of a chain about the same face.
    pub wordings: u64,
}

impl Chains {
    /// Random numbers for the conversation of a number.
    pub(super) fn rng(number: usize) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(number as u64)
    }

    /// A conversation: the label alone, or with its chain before or after.
    pub(super) fn turns(
        &self,
        reading: &AuReading,
        label: Option<Expression>,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Turn> {
        let label = self.label(reading, label, rng);
        let mut turns = vec![Turn::new(Task::Expression, label.name())];
        let likeliest = reading.probabilities.map(|all| all.within(SET).top());
        let rare = likeliest.is_some_and(|top| top != label) && rng.random_bool(UNTOLD);
        if !rare
            && !rng.random_bool(self.mix.label_only)
            && let Some(chain) = self.chain(reading, label, rng)
        {
            let place = usize::from(!rng.random_bool(self.mix.chain_first));
            turns.insert(place, chain);
        }
        turns
    }

    /// A conversation with label and chain.
    pub(super) fn both(
        &self,
        reading: &AuReading,
        label: Option<Expression>,
        rng: &mut ChaCha8Rng,
    ) -> Option<Vec<Turn>> {
        let label = self.label(reading, label, rng);
        let chain = self.chain(reading, label, rng)?;
        Some(vec![Turn::new(Task::Expression, label.name()), chain])
    }

    /// The label of the data set, or one drawn from the detector's probabilities.
    fn label(
        &self,
        reading: &AuReading,
        known: Option<Expression>,
        rng: &mut ChaCha8Rng,
    ) -> Expression {
        let drawn = reading.probabilities.map(|all| draw(&all.within(SET), rng));
        match known {
            Some(label) if !rng.random_bool(self.mix.distilled) => label,
            _ => drawn.or(known).unwrap_or(Expression::Neutral),
        }
    }

    fn chain(
        &self,
        reading: &AuReading,
        expression: Expression,
        rng: &mut ChaCha8Rng,
    ) -> Option<Turn> {
        let request = ExplainRequest {
            action_units: reading.action_units,
            probabilities: reading.probabilities,
            confidence: expllm_core::Confidence::FULL,
            crop: None,
            question: ExplainQuestion::Given(expression),
            set: SET,
            seed: rng.random_range(0..self.wordings.max(1)),
        };
        // The composer never fails where a label is given.
        let chain = Composer.answer(&request).ok()?;
        Some(Turn::new(Task::Explanation, chain.to_string()))
    }
}

/// An expression drawn with its probability.
fn draw(probabilities: &ExpressionProbabilities, rng: &mut ChaCha8Rng) -> Expression {
    let mut left: f32 = rng.random();
    let drawn = Expression::ALL.into_iter().find(|&expression| {
        left -= probabilities.get(expression).get();
        left < 0.0
    });
    drawn.unwrap_or(probabilities.top())
}
