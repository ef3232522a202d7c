//! What answers: a language model, alone or behind a vision encoder.

use burn::tensor::{Tensor, s};

use crate::parts::{Decoder, KvCache, TokenMask};
use crate::{ExpLlm, ModelConfig, ModelError, Network, TextModel};

/// A language model with the tokens that mean something to it. [`Prefix`](crate::generation::Prefix)
/// and all that follows from it take a [`Network`], an [`ExpLlm`] or a [`TextModel`] as one.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'m> {
    pub(crate) llm: &'m dyn Decoder,
    /// Takes the place of the tokens of an image; `None` for a model that sees nothing.
    pub(crate) image_token: Option<u32>,
    /// Fills short rows of a batch.
    pub(crate) pad: u32,
    /// Tokens that end an answer.
    pub(crate) ends: &'m [u32],
}

impl<'m> From<&'m ExpLlm> for Speaker<'m> {
    fn from(model: &'m ExpLlm) -> Self {
        Self::new(&model.llm, model.config())
    }
}

impl<'m> From<&'m Network> for Speaker<'m> {
    fn from(network: &'m Network) -> Self {
        Self::new(network.decoder.as_ref(), network.config())
    }
}

impl<'m> From<&'m TextModel> for Speaker<'m> {
    fn from(model: &'m TextModel) -> Self {
        Self {
            llm: model.llm(),
            image_token: None,
            pad: 0,
            ends: model.ends(),
        }
    }
}

impl<'m> Speaker<'m> {
    fn new(llm: &'m dyn Decoder, config: &'m ModelConfig) -> Self {
        Self {
            llm,
            image_token: Some(config.image_token_id),
            pad: config.pad_token_id,
            ends: std::slice::from_ref(&config.eos_token_id),
        }
    }
}

impl Speaker<'_> {
    /// As [`ExpLlm::embed_prompts`].
    pub(crate) fn embed(
        &self,
        tokens: &[Vec<u32>],
        images: Option<&Tensor<3>>,
    ) -> Result<Tensor<3>, ModelError> {
        let length = tokens.first().map_or(0, Vec::len);
        if length == 0 || tokens.iter().any(|row| row.len() != length) {
            return Err(ModelError::Input {
                what: "prompts",
                reason: "rows must have one length, at least 1; pad the short ones".to_owned(),
            });
        }
        let patches = images.map_or(0, |images| images.dims()[1]);
        let starts = tokens
            .iter()
            .map(|row| self.image_start(row, patches))
            .collect::<Result<Vec<_>, _>>()?;
        let plain = |&id: &u32| if Some(id) == self.image_token { 0 } else { id };
        let looked_up: Vec<Vec<u32>> = tokens
            .iter()
            .map(|row| row.iter().map(plain).collect())
            .collect();
        let mut embeddings = self.llm.embed(&looked_up)?;
        let Some(images) = images else {
            return Ok(embeddings);
        };
        let (found, expected) = (images.dims(), embeddings.dims());
        if found[0] != expected[0] || found[2] != expected[2] {
            return Err(ModelError::Input {
                what: "image tokens",
                reason: format!("{found:?} for prompts of {expected:?}"),
            });
        }
        if let [first, rest @ ..] = starts.as_slice()
            && rest.iter().all(|start| start == first)
        {
            // Every assignment copies the whole batch, so one for all rows where that is possible.
            let place = s![.., *first..first + patches, ..];
            return Ok(embeddings.slice_assign(place, images.clone()));
        }
        for (row, start) in starts.into_iter().enumerate() {
            let image = images.clone().narrow(0, row, 1);
            let place = s![row..row + 1, start..start + patches, ..];
            embeddings = embeddings.slice_assign(place, image);
        }
        Ok(embeddings)
    }

    /// Where the run of image tokens begins; 0 when there is none and none is wanted.
    fn image_start(&self, row: &[u32], patches: usize) -> Result<usize, ModelError> {
        let is_image = |&id: &u32| Some(id) == self.image_token;
        let start = row.iter().position(is_image).unwrap_or(0);
        let count = row.iter().filter(|id| is_image(id)).count();
        let run = row[start..].iter().take_while(|id| is_image(id)).count();
        if count == patches && run == patches {
            return Ok(start);
        }
        Err(ModelError::ImageTokens {
            expected: patches,
            found: format!("{count} were found, {run} of them consecutive"),
        })
    }

    /// Runs prompts and returns the hidden state after each token, as [`ExpLlm::forward`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn forward(
        &self,
        tokens: &[Vec<u32>],
        mask: &TokenMask,
        images: Option<&Tensor<3>>,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor<3>, ModelError> {
        let embeddings = self.embed(tokens, images)?;
        self.llm.forward(embeddings, mask, cache)
    }
}
