//! Writing trained weights, and reading them again.

use std::path::Path;

use burn::store::{FloatCastAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::DType;
use expllm_face::load_weights;

use crate::TrainError;

/// Writes the weights of a network as f16 safetensors, replacing the file.
///
/// # Errors
///
/// [`TrainError::Checkpoint`] when the file cannot be written.
pub fn save_weights<M: ModuleSnapshot>(network: &M, path: &Path) -> Result<(), TrainError> {
    let mut store = SafetensorsStore::from_file(path)
        .overwrite(true)
        .with_to_adapter(FloatCastAdapter::to(DType::F16));
    network
        .save_into(&mut store)
        .map_err(|e| TrainError::Checkpoint {
            path: path.to_path_buf(),
            reason: e.to_string(),
        })
}

/// Fills a network from a file that [`save_weights`] wrote; every tensor must be there.
///
/// # Errors
///
/// [`TrainError::File`] when the file cannot be read, [`TrainError::Checkpoint`] when it does not
/// fit the network.
pub fn read_weights<M: ModuleSnapshot>(network: &mut M, path: &Path) -> Result<(), TrainError> {
    let bytes = std::fs::read(path).map_err(|e| TrainError::file(path, e))?;
    load_weights(network, &bytes, "weights").map_err(|e| TrainError::Checkpoint {
        path: path.to_path_buf(),
        reason: e.to_string(),
    })
}
