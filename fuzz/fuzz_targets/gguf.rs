//! Reads a GGUF file: every tensor that it announces, and the language model with its tokenizer.
#![no_main]

use expllm_model::TensorSource;
use expllm_model::checkpoint::{LanguageModel, WeightFile, WeightFormat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(file) = WeightFile::from_bytes(WeightFormat::Gguf, data) {
        read(&file, data);
    }
    let Ok(model) = LanguageModel::from_gguf(data) else {
        return;
    };
    read(model.source.as_ref(), data);
    if let Some(tokenizer) = model.tokenizer {
        let ids = tokenizer
            .encode("The left brow is lowered.")
            .expect("text is encoded");
        tokenizer.decode(&ids).expect("tokens are decoded");
    }
});

fn read(source: &dyn TensorSource, file: &[u8]) {
    for name in source.names() {
        let tensor = source
            .read(&name)
            .expect("an announced tensor lies in the file");
        // Blocks of 4 bits become numbers of 32.
        assert!(tensor.as_bytes().len() <= 8 * file.len());
    }
}
