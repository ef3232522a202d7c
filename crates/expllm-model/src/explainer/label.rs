//! Asking for the label.

use burn::tensor::Tensor;
use expllm_core::{ExplanationEvent, Expression, ExpressionProbabilities};

use super::ExpLlmExplainer;
use crate::ModelError;
use crate::conversation::{Task, Turn};
use crate::generation::{AnswerTrie, Prefix};
use crate::tokenizer::common_prefix;

impl ExpLlmExplainer {
    /// Asks for the label after some turns: in the given prefix, or in a new one with the image.
    pub(super) fn label<'m>(
        &'m self,
        prefix: Option<Prefix<'m>>,
        answered: &[Turn],
        image: Option<Tensor<3>>,
    ) -> Result<(Prefix<'m>, ExplanationEvent, Expression), ModelError> {
        let (shared, trie) = self.label_question(answered)?;
        let mut prefix = match prefix {
            Some(mut prefix) => {
                prefix.rewind_to(&shared)?;
                prefix
            }
            None => Prefix::new(&self.model, &shared, image)?,
        };
        let probabilities = self.of_labels(&trie.probabilities(&mut prefix)?);
        let expression = probabilities.top();
        let event = ExplanationEvent::Label {
            expression,
            probabilities,
        };
        Ok((prefix, event, expression))
    }

    /// The tokens of the question for the label after some turns, and the labels after them.
    pub(super) fn label_question(
        &self,
        answered: &[Turn],
    ) -> Result<(Vec<u32>, AnswerTrie), ModelError> {
        let patches = self.model.config().vision.num_patches();
        let prompt = self.template.prompt(patches, answered, Task::Expression)?;
        let lead = self.template.answer_lead();
        let whole = (self.set.expressions().iter())
            .map(|label| self.tokenizer.encode(&format!("{prompt}{lead}{label}")))
            .collect::<Result<Vec<_>, _>>()?;
        // The tokenizer may join the end of the prompt with a label, so the prompt proper is
        // what is left in common.
        let mut shared = self.tokenizer.encode(&prompt)?;
        for tokens in &whole {
            shared.truncate(common_prefix(&shared, tokens));
        }
        let answers: Vec<_> = whole.iter().map(|t| t[shared.len()..].to_vec()).collect();
        let trie = AnswerTrie::new(&answers, self.model.config().eos_token_id)?;
        Ok((shared, trie))
    }

    /// The shares of the labels of the set as probabilities of all expressions.
    pub(super) fn of_labels(&self, shares: &[f64]) -> ExpressionProbabilities {
        let mut scores = [0.0; Expression::COUNT];
        for (label, share) in self.set.expressions().iter().zip(shares) {
            scores[label.index()] = *share as f32;
        }
        ExpressionProbabilities::from_scores(scores)
    }
}
