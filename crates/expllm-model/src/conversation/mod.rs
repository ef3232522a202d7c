//! Conversations about a face: prompts to answer and sequences to train on.

mod answers;
mod chat;
mod task;
mod template;
#[cfg(test)]
mod tests;

pub use answers::{PaddedSquare, classes, decimals};
pub(crate) use chat::{CHAT_FILE, MAX_TEMPLATE_BYTES};
pub use chat::{ChatMessage, ChatTemplate};
pub use task::Task;
pub use template::{LabelMask, PromptTemplate, TaskText};

use crate::tokenizer::common_prefix;
use crate::{ModelError, Tokenizer};

/// The label of a token that is not trained.
pub const IGNORED: i32 = -100;

/// A task with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What was asked.
    pub task: Task,
    /// What was answered.
    pub answer: String,
}

impl Turn {
    /// A task with its answer.
    pub fn new(task: Task, answer: impl Into<String>) -> Self {
        Self {
            task,
            answer: answer.into(),
        }
    }
}

/// The tokens of a conversation to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingSequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// The same ids where they are trained, else [`IGNORED`]. The loss at position `i` compares
    /// the output at `i - 1` with the label at `i`.
    pub labels: Vec<i32>,
}

/// Where the answer of a turn lies in the text of its conversation, in bytes.
struct AnswerSpan {
    /// After the text that a prompt would end in.
    start: usize,
    /// After the separator that follows the answer.
    end: usize,
}

impl PromptTemplate {
    /// The text to go on from: earlier turns with their answers, then an open question. It
    /// depends on the mode which they are: label first is `([], Expression)`, then
    /// `([Expression], Explanation)`; chain first the other way round.
    ///
    /// `patches` is the number of patches of the image, 0 for a conversation without one.
    ///
    /// # Errors
    ///
    /// [`ModelError::Prompt`] when the template lacks a task or an answer contains words that
    /// belong to the template.
    pub fn prompt(
        &self,
        patches: usize,
        answered: &[Turn],
        open: Task,
    ) -> Result<String, ModelError> {
        let (mut text, _) = self.conversation(patches, answered)?;
        text.push_str(&self.question(open)?);
        text.push_str(&self.open_answer);
        Ok(text)
    }

    /// The tokens of a whole conversation with the labels that [`LabelMask`] selects.
    ///
    /// # Errors
    ///
    /// As [`prompt`](Self::prompt), and when the tokenizer fails.
    pub fn training(
        &self,
        tokenizer: &Tokenizer,
        patches: usize,
        turns: &[Turn],
    ) -> Result<TrainingSequence, ModelError> {
        let (text, spans) = self.conversation(patches, turns)?;
        let ids = tokenizer.encode(&text)?;
        let trained = match self.label_mask {
            LabelMask::Answers => mask_answers(tokenizer, &text, &spans, &ids)?,
            LabelMask::Lengths => self.mask_lengths(tokenizer, &text, ids.len())?,
        };
        let labels = ids
            .iter()
            .zip(trained)
            .map(|(&id, trained)| if trained { id.cast_signed() } else { IGNORED })
            .collect();
        Ok(TrainingSequence { ids, labels })
    }

    /// The text of answered turns and the places of their answers.
    fn conversation(
        &self,
        patches: usize,
        turns: &[Turn],
    ) -> Result<(String, Vec<AnswerSpan>), ModelError> {
        let mut text = self.head(patches);
        let mut spans = Vec::with_capacity(turns.len());
        for turn in turns {
            self.check_free_text("an answer", &turn.answer)?;
            text.push_str(&self.question(turn.task)?);
            let start = text.len() + self.open_answer.len();
            text.push_str(&self.answer_begin());
            text.push_str(&turn.answer);
            text.push_str(&self.separators[2]);
            spans.push(AnswerSpan {
                start,
                end: text.len(),
            });
        }
        Ok((text, spans))
    }

    /// The token counts of the reference (`datasets/facetask.py`), its counting of a beginning
    /// and an ending token in each turn included.
    fn mask_lengths(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        tokens: usize,
    ) -> Result<Vec<bool>, ModelError> {
        let mut trained = vec![true; tokens];
        let mut mask = |from: usize, count: usize| {
            let from = from.min(tokens);
            let to = from.saturating_add(count).min(tokens);
            trained[from..to].fill(false);
        };
        mask(0, 1);
        let mut cursor = 1;
        let open = format!("{}{}", self.separators[1], self.answer_begin());
        for round in text.split(&self.separators[2]) {
            let Some((instruction, _)) = round.split_once(&open) else {
                break;
            };
            let instruction = tokenizer.encode(&format!("{instruction}{open}"))?;
            mask(cursor, instruction.len().saturating_sub(2));
            cursor += tokenizer.encode(round)?.len();
        }
        Ok(trained)
    }
}

/// The tokens of each answer: from the first one that goes beyond the prompt.
fn mask_answers(
    tokenizer: &Tokenizer,
    text: &str,
    spans: &[AnswerSpan],
    ids: &[u32],
) -> Result<Vec<bool>, ModelError> {
    let mut trained = vec![false; ids.len()];
    for span in spans {
        let start = common_prefix(&tokenizer.encode(&text[..span.start])?, ids);
        let end = common_prefix(&tokenizer.encode(&text[..span.end])?, ids);
        trained[start..end.max(start)].fill(true);
    }
    Ok(trained)
}
