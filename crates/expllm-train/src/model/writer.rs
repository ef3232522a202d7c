//! Models on disk, whole and as adapters.

use std::fs;
use std::path::PathBuf;

use burn::tensor::DType;
use expllm_model::ExpLlm;
use expllm_model::checkpoint::{self, Checkpoint, SaveOptions};

use super::Language;
use crate::TrainError;

/// Writes models with everything that is needed to use them.
pub(super) struct Writer<'a> {
    pub(super) folder: PathBuf,
    pub(super) language: &'a Language,
    pub(super) generation: expllm_model::generation::GenerationSettings,
    /// Whether weights are written with 16 bits.
    pub(super) halve: bool,
}

impl Writer<'_> {
    fn checkpoint(&self, model: &ExpLlm) -> Checkpoint {
        Checkpoint {
            config: self.language.config.clone(),
            source: Box::new(model.clone()),
            tokenizer: Some(self.language.tokenizer.clone()),
            prompt: self.language.template.clone(),
            generation: self.generation.clone(),
        }
    }

    /// Writes a folder beside the one of this name, then takes its place.
    pub(super) fn write(&self, name: &str, model: &ExpLlm) -> Result<(), TrainError> {
        let (path, fresh) = (
            self.folder.join(name),
            self.folder.join(format!("{name}.new")),
        );
        let _ = fs::remove_dir_all(&fresh);
        let options = SaveOptions {
            dtype: self.halve.then_some(DType::F16),
            ..SaveOptions::default()
        };
        checkpoint::save(&fresh, &self.checkpoint(model), &options)?;
        let _ = fs::remove_dir_all(&path);
        fs::rename(&fresh, &path).map_err(|e| TrainError::file(path, e))
    }

    /// Writes the adapters in the layout of PEFT.
    pub(super) fn write_adapter(&self, model: &ExpLlm) -> Result<(), TrainError> {
        let path = self.folder.join("adapter");
        let _ = fs::remove_dir_all(&path);
        checkpoint::save_adapter(&path, &self.checkpoint(model))?;
        Ok(())
    }
}
