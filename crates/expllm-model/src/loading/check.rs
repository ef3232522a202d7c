//! Whether a source holds what a model consists of.

use std::collections::BTreeSet;

use super::layout::{is_float, language, layout_of};
use super::{LoadOptions, TensorSpec};
use crate::nn::llama::Llama;
use crate::{ExpLlm, LlmConfig, ModelError, TensorSource, WeightsMismatch, WrongShape};

/// Compares names and shapes, and returns the names that will be made anew.
pub(crate) fn check(
    model: &ExpLlm,
    source: &dyn TensorSource,
    options: &LoadOptions,
) -> Result<BTreeSet<String>, ModelError> {
    let tied = model.config().llm.tie_word_embeddings;
    check_layout(model.layout(), tied, source, options)
}

/// As [`check`], for a language model on its own.
pub(crate) fn check_language(
    config: &LlmConfig,
    source: &dyn TensorSource,
) -> Result<(), ModelError> {
    config.validate()?;
    // Parameters are lazy, so this takes no memory for weights.
    let layout = layout_of(&Llama::new(config, &crate::default_device()), language());
    let options = LoadOptions::default();
    check_layout(layout, config.tie_word_embeddings, source, &options).map(drop)
}

fn check_layout(
    layout: Vec<TensorSpec>,
    tied: bool,
    source: &dyn TensorSource,
    options: &LoadOptions,
) -> Result<BTreeSet<String>, ModelError> {
    let mut left: BTreeSet<String> = source.names().into_iter().collect();
    let mut mismatch = WeightsMismatch::default();
    let mut fresh = BTreeSet::new();
    for spec in layout {
        left.remove(&spec.name);
        match source.info(&spec.name) {
            None if options.fresh.iter().any(|part| part.covers(&spec.name)) => {
                fresh.insert(spec.name);
            }
            None => mismatch.missing.push(spec.name),
            Some(info) if info.shape != spec.shape => mismatch.misshapen.push(WrongShape {
                name: spec.name,
                expected: spec.shape,
                found: info.shape,
            }),
            Some(info) if !is_float(info.dtype) => {
                let reason = format!("{:?} cannot be a weight", info.dtype);
                return Err(ModelError::tensor(spec.name, reason));
            }
            Some(_) => {}
        }
    }
    left.retain(|name| !is_never_read(name, tied));
    mismatch.unexpected = left.into_iter().collect();
    if mismatch.is_empty() {
        Ok(fresh)
    } else {
        Err(ModelError::Weights(mismatch))
    }
}

/// Tensors that official checkpoints store and the model has no use for.
fn is_never_read(name: &str, tied: bool) -> bool {
    name == "vision_model.mask_token"
        || name.ends_with(".rotary_emb.inv_freq")
        || (tied && name == "lm_head.weight")
}
