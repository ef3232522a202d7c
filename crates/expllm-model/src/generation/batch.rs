//! Several answers side by side.

use burn::tensor::Tensor;

use super::stream::earliest;
use super::{BatchPrefix, GenerationSettings, Sampler};
use crate::{ModelError, Speaker, Tokenizer};

/// One prompt of a batch.
#[derive(Debug, Clone)]
pub struct BatchPrompt {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Tokens of its image: `[1, patches, width]`; all prompts of a batch have one or none has.
    pub image: Option<Tensor<3>>,
}

/// The answers to several prompts, which are what each would get alone: short prompts are padded
/// on the left, and every row draws from its own random numbers with the same seed.
///
/// # Errors
///
/// As [`ExpLlm::forward`](crate::ExpLlm::forward), [`ModelError::Generation`], or [`ModelError::Input`] when only some
/// prompts have an image.
pub fn generate_batch<'m>(
    model: impl Into<Speaker<'m>>,
    prompts: &[BatchPrompt],
    settings: &GenerationSettings,
) -> Result<Vec<Vec<u32>>, ModelError> {
    if prompts.is_empty() {
        return Ok(Vec::new());
    }
    let images: Vec<_> = prompts.iter().filter_map(|p| p.image.clone()).collect();
    if !images.is_empty() && images.len() != prompts.len() {
        return Err(ModelError::Input {
            what: "prompts",
            reason: "some of them have no image".to_owned(),
        });
    }
    let images = (!images.is_empty()).then(|| Tensor::cat(images, 0));
    let tokens: Vec<_> = prompts.iter().map(|prompt| prompt.tokens.clone()).collect();
    let prefix = BatchPrefix::new(model, &tokens, images)?;
    answer_rows(prefix, settings, |_, _| Ok(false))
}

/// The texts after several prompts: what a [`TextStream`](super::TextStream) after each would
/// give in all.
///
/// # Errors
///
/// As [`generate_batch`], and when the tokenizer cannot decode.
pub fn generate_texts(
    prefix: BatchPrefix<'_>,
    tokenizer: &Tokenizer,
    settings: &GenerationSettings,
) -> Result<Vec<String>, ModelError> {
    let stop = &settings.stop_strings;
    let mut texts = vec![String::new(); prefix.rows()];
    let mut decoders: Vec<_> = texts.iter().map(|_| tokenizer.decode_stream()).collect();
    answer_rows(prefix, settings, |row, token| {
        texts[row] += &decoders[row].push(token)?;
        Ok(earliest(&texts[row], stop).is_some())
    })?;
    for (text, mut decoder) in texts.iter_mut().zip(decoders) {
        if earliest(text, stop).is_none() {
            *text += &decoder.finish()?;
        }
        if let Some(place) = earliest(text, stop) {
            text.truncate(place);
        }
    }
    Ok(texts)
}

/// Chooses tokens row by row until all rows have ended; `ended` is told every token with its row
/// and may end the row there.
fn answer_rows(
    mut prefix: BatchPrefix<'_>,
    settings: &GenerationSettings,
    mut ended: impl FnMut(usize, u32) -> Result<bool, ModelError>,
) -> Result<Vec<Vec<u32>>, ModelError> {
    let mut rows = (prefix.tokens().iter())
        .map(|prompt| Row::new(prefix.model(), prompt, settings))
        .collect::<Result<Vec<_>, _>>()?;
    // The rows that the prefix still holds.
    let mut held: Vec<usize> = (0..rows.len()).collect();
    loop {
        let mut next = Vec::with_capacity(held.len());
        for (&index, scores) in held.iter().zip(prefix.scores()) {
            let row = &mut rows[index];
            let token = row.choose(scores)?;
            if let Some(token) = token {
                row.done |= ended(index, token)?;
            }
            next.push(token.filter(|_| !row.done));
        }
        let open: Vec<_> = (0..held.len()).filter(|&at| next[at].is_some()).collect();
        if open.is_empty() {
            return Ok(rows.into_iter().map(|row| row.answer).collect());
        }
        if 2 * open.len() <= held.len() {
            // Copying the rest is cheaper than running rows that have ended.
            prefix = prefix.select(&open);
            held = open.iter().map(|&at| held[at]).collect();
            next = open.iter().map(|&at| next[at]).collect();
        }
        prefix.push(&next)?;
    }
}

/// One answer in the making.
struct Row {
    sampler: Sampler,
    stop: Vec<u32>,
    limit: usize,
    answer: Vec<u32>,
    done: bool,
}

impl Row {
    fn new(
        model: Speaker<'_>,
        prompt: &[u32],
        settings: &GenerationSettings,
    ) -> Result<Self, ModelError> {
        let positions = model.llm.config().max_positions;
        let mut stop = settings.stop_tokens.clone();
        stop.extend_from_slice(model.ends);
        // As for a single prompt: the last token of an answer need not be run.
        let room = (positions + 1).saturating_sub(prompt.len());
        Ok(Self {
            sampler: Sampler::new(settings, prompt)?,
            stop,
            limit: settings.max_new_tokens.min(room),
            answer: Vec::new(),
            done: false,
        })
    }

    /// The next token of the answer; nothing once it has ended.
    fn choose(&mut self, scores: &[f32]) -> Result<Option<u32>, ModelError> {
        if self.done {
            return Ok(None);
        }
        let token = self.sampler.choose(scores)?;
        if self.stop.contains(&token) {
            self.done = true;
            return Ok(None);
        }
        self.answer.push(token);
        self.done = self.answer.len() == self.limit;
        Ok(Some(token))
    }
}
