//! Reads a safetensors file and every tensor that it announces.
#![no_main]

use expllm_model::TensorSource;
use expllm_model::checkpoint::{WeightFile, WeightFormat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(file) = WeightFile::from_bytes(WeightFormat::Safetensors, data) else {
        return;
    };
    for name in file.names() {
        let tensor = file
            .read(&name)
            .expect("an announced tensor lies in the file");
        assert!(tensor.as_bytes().len() <= data.len());
    }
});
