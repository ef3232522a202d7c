//! Several faces explained side by side.

use burn::tensor::Tensor;
use expllm_core::{AlignedFace, ExplainQuestion, Explanation, ExpressionProbabilities};

use super::ExpLlmExplainer;
use crate::ModelError;
use crate::conversation::{Task, Turn};
use crate::generation::{BatchPrefix, GenerationSettings, generate_texts};

/// Most faces at a time: beyond it, steps cost in proportion to the faces.
const MOST_FACES: usize = 32;
/// Most memory that the keys and values of one batch should take, in bytes.
const CACHE_BYTES: usize = 1 << 30;

impl ExpLlmExplainer {
    /// Runs the explanations of several faces to their end, as
    /// [`explain_to_end`](Self::explain_to_end) does for each, side by side: as many at a time
    /// as their keys and values fit into a gigabyte, at most 32.
    ///
    /// # Errors
    ///
    /// When the model fails on any of them; a text that is no chain is not an error.
    pub fn explain_batch(
        &self,
        faces: &[AlignedFace],
        question: ExplainQuestion,
    ) -> Result<Vec<Explanation>, ModelError> {
        self.explain_batch_with(faces, question, &self.settings)
    }

    /// As [`explain_batch`](Self::explain_batch) with other settings of generation.
    ///
    /// # Errors
    ///
    /// As [`explain_batch`](Self::explain_batch), and [`ModelError::Generation`] for settings out
    /// of range.
    pub fn explain_batch_with(
        &self,
        faces: &[AlignedFace],
        question: ExplainQuestion,
        settings: &GenerationSettings,
    ) -> Result<Vec<Explanation>, ModelError> {
        settings.validate()?;
        let settings = self.text_settings(settings);
        let mut explanations = Vec::with_capacity(faces.len());
        for faces in faces.chunks(self.faces_at_a_time()) {
            explanations.extend(self.side_by_side(faces, question, &settings)?);
        }
        Ok(explanations)
    }

    pub(super) fn faces_at_a_time(&self) -> usize {
        let config = &self.model.config().llm;
        let width = 2 * config.num_layers * config.num_kv_heads * config.head_dim;
        let bytes = width * config.max_positions * self.model.decoder.dtype().size();
        (CACHE_BYTES / bytes.max(1)).clamp(1, MOST_FACES)
    }

    fn side_by_side(
        &self,
        faces: &[AlignedFace],
        question: ExplainQuestion,
        settings: &GenerationSettings,
    ) -> Result<Vec<Explanation>, ModelError> {
        let images: Vec<_> = faces.iter().map(|face| &face.image).collect();
        let images = self.encode_all(&images)?;
        let (labels, texts) = match question {
            ExplainQuestion::LabelFirst => {
                let unanswered = vec![Vec::new(); faces.len()];
                let (mut prefix, labels) = self.labels(None, &unanswered, Some(images))?;
                let prompts = (labels.iter())
                    .map(|label| self.prompt(&[label_turn(label)], Task::Explanation))
                    .collect::<Result<Vec<_>, _>>()?;
                prefix.rewind_to(&prompts)?;
                (Some(labels), self.texts(prefix, settings)?)
            }
            ExplainQuestion::Given(label) => {
                let turns = [Turn::new(Task::Expression, label.name())];
                let prompt = self.prompt(&turns, Task::Explanation)?;
                let prompts = vec![prompt; faces.len()];
                let prefix = BatchPrefix::new(&self.model, &prompts, Some(images))?;
                (None, self.texts(prefix, settings)?)
            }
            ExplainQuestion::ChainFirst => {
                let prompts = vec![self.prompt(&[], Task::Explanation)?; faces.len()];
                let prefix = BatchPrefix::new(&self.model, &prompts, Some(images))?;
                let texts = self.texts(prefix.clone(), settings)?;
                let turn = |text: &String| vec![Turn::new(Task::Explanation, text.trim_end())];
                let answered: Vec<_> = texts.iter().map(turn).collect();
                let (_, labels) = self.labels(Some(prefix), &answered, None)?;
                (Some(labels), texts)
            }
            _ => {
                return Err(ModelError::Input {
                    what: "question",
                    reason: format!("{question:?} is not known here"),
                });
            }
        };
        let mut labels = labels.into_iter().flatten();
        let whole = |text| Explanation::new(labels.next().map(|p| (p.top(), p)), text);
        Ok(texts.into_iter().map(whole).collect())
    }

    /// Asks for the label of every face after its turns: in the given prefix, or in a new one
    /// with the images.
    fn labels<'m>(
        &'m self,
        prefix: Option<BatchPrefix<'m>>,
        answered: &[Vec<Turn>],
        images: Option<Tensor<3>>,
    ) -> Result<(BatchPrefix<'m>, Vec<ExpressionProbabilities>), ModelError> {
        let questions = answered
            .iter()
            .map(|turns| self.label_question(turns))
            .collect::<Result<Vec<_>, _>>()?;
        let (prompts, tries): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
        let mut prefix = match prefix {
            Some(mut prefix) => {
                prefix.rewind_to(&prompts)?;
                prefix
            }
            None => BatchPrefix::new(&self.model, &prompts, images)?,
        };
        let mut shares = Vec::with_capacity(tries.len());
        if tries.windows(2).all(|pair| pair[0] == pair[1]) {
            if let Some(trie) = tries.first() {
                shares = trie.batch_probabilities(&mut prefix)?;
            }
        } else {
            // The end of an answer may join with the label in another way in each row.
            for (row, trie) in tries.iter().enumerate() {
                shares.extend(trie.batch_probabilities(&mut prefix.select(&[row]))?);
            }
        }
        let labels = shares.iter().map(|row| self.of_labels(row)).collect();
        Ok((prefix, labels))
    }

    /// The chains after prompts.
    fn texts(
        &self,
        prefix: BatchPrefix<'_>,
        settings: &GenerationSettings,
    ) -> Result<Vec<String>, ModelError> {
        let texts = generate_texts(prefix, &self.tokenizer, settings)?;
        // The space after the role is not part of the chain.
        Ok(texts
            .iter()
            .map(|text| text.trim_start().to_owned())
            .collect())
    }
}

fn label_turn(label: &ExpressionProbabilities) -> Turn {
    Turn::new(Task::Expression, label.top().name())
}
