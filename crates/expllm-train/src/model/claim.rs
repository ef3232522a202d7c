//! The configuration that the folder of a run belongs to.

use std::fs;
use std::path::PathBuf;

use super::config::TrainConfig;
use crate::TrainError;

/// Where the folder of the run keeps its configuration, and the configuration as text.
fn claim_of(config: &TrainConfig) -> Result<(PathBuf, String), TrainError> {
    let path = config.output.join("config.json");
    match serde_json::to_string_pretty(config) {
        Ok(text) => Ok((path, text)),
        Err(error) => Err(TrainError::Config {
            path,
            reason: error.to_string(),
        }),
    }
}

/// Checks that the folder holds no other run.
pub(super) fn check_claim(config: &TrainConfig) -> Result<(), TrainError> {
    let (path, text) = claim_of(config)?;
    match fs::read_to_string(&path) {
        Ok(known) if known != text => Err(TrainError::Config {
            path,
            reason: "is that of another run; choose another `output`, or remove this folder"
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Notes the configuration in the folder of the run.
pub(super) fn claim(config: &TrainConfig) -> Result<(), TrainError> {
    let (path, text) = claim_of(config)?;
    let folder = &config.output;
    fs::create_dir_all(folder).map_err(|e| TrainError::file(folder, e))?;
    fs::write(&path, text).map_err(|e| TrainError::file(path, e))
}
