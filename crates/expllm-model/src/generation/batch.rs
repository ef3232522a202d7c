//! Several prompts side by side.

use burn::tensor::Tensor;

use super::prefix::read;
use super::{GenerationSettings, Sampler};
use crate::nn::llama::TokenMask;
use crate::{ExpLlm, ModelError};

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
/// As [`ExpLlm::forward`], [`ModelError::Generation`], or [`ModelError::Input`] when only some
/// prompts have an image.
pub fn generate_batch(
    model: &ExpLlm,
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
    let mut rows = prompts
        .iter()
        .map(|prompt| Row::new(model, prompt, settings))
        .collect::<Result<Vec<_>, _>>()?;
    let (tokens, mask) = pad_left(model, prompts);
    let limit = model.llm.config().max_positions;
    let tokens_needed = mask.length();
    if tokens_needed > limit {
        let tokens = tokens_needed;
        return Err(ModelError::ContextTooLong { tokens, limit });
    }
    let longest_answer = rows.iter().map(|row| row.limit).max().unwrap_or(0);
    let capacity = tokens_needed + longest_answer;
    let mut cache = model.llm.cache(prompts.len(), capacity);
    let mut hidden = model.forward(&tokens, &mask, images.as_ref(), Some(&mut cache))?;
    loop {
        let last = hidden.dims()[1] - 1;
        let scores = read(model.llm.logits(hidden.narrow(1, last, 1)))?;
        let vocab = model.llm.config().vocab_size;
        for (row, scores) in rows.iter_mut().zip(scores.chunks_exact(vocab)) {
            row.choose(scores)?;
        }
        if rows.iter().all(|row| row.done) {
            return Ok(rows.into_iter().map(|row| row.answer).collect());
        }
        let next: Vec<_> = rows.iter().map(|row| vec![row.next]).collect();
        let real = rows.iter().map(|row| vec![!row.done]).collect();
        let mask = TokenMask::new(real).unwrap_or_default();
        hidden = model.forward(&next, &mask, None, Some(&mut cache))?;
    }
}

/// One answer in the making.
struct Row {
    sampler: Sampler,
    stop: Vec<u32>,
    limit: usize,
    answer: Vec<u32>,
    next: u32,
    done: bool,
}

impl Row {
    fn new(
        model: &ExpLlm,
        prompt: &BatchPrompt,
        settings: &GenerationSettings,
    ) -> Result<Self, ModelError> {
        let positions = model.llm.config().max_positions;
        let mut stop = settings.stop_tokens.clone();
        stop.push(model.config().eos_token_id);
        // As for a single prompt: the last token of an answer need not be run.
        let room = (positions + 1).saturating_sub(prompt.tokens.len());
        Ok(Self {
            sampler: Sampler::new(settings, &prompt.tokens)?,
            stop,
            limit: settings.max_new_tokens.min(room),
            answer: Vec::new(),
            next: model.config().pad_token_id,
            done: false,
        })
    }

    fn choose(&mut self, scores: &[f32]) -> Result<(), ModelError> {
        if self.done {
            return Ok(());
        }
        let token = self.sampler.choose(scores)?;
        if self.stop.contains(&token) {
            self.done = true;
        } else {
            self.answer.push(token);
            self.next = token;
            self.done = self.answer.len() == self.limit;
        }
        Ok(())
    }
}

fn pad_left(model: &ExpLlm, prompts: &[BatchPrompt]) -> (Vec<Vec<u32>>, TokenMask) {
    let longest = prompts.iter().map(|p| p.tokens.len()).max().unwrap_or(0);
    let pad = model.config().pad_token_id;
    let (mut tokens, mut mask) = (Vec::new(), Vec::new());
    for prompt in prompts {
        let missing = longest - prompt.tokens.len();
        tokens.push([&vec![pad; missing], &prompt.tokens[..]].concat());
        mask.push((0..longest).map(|place| place >= missing).collect());
    }
    // All rows have the longest length.
    (tokens, TokenMask::new(mask).unwrap_or_default())
}
