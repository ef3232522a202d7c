//! Reads a sentencepiece model and encodes a text with it, which must come back.
#![no_main]

use expllm_model::{LlamaOptions, Tokenizer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let tokenizer = Tokenizer::from_sentencepiece(data, LlamaOptions::default(), Vec::new());
    let Ok(tokenizer) = tokenizer else {
        return;
    };
    let ids = tokenizer
        .encode("The left brow is lowered. \u{e9}\u{1f600}</s>")
        .expect("text is encoded");
    assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
    tokenizer.decode(&ids).expect("tokens are decoded");
});
