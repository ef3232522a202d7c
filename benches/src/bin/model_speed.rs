//! Times parts of the published shape on request, for comparisons in alternating runs:
//! `cargo run --release -p expllm-benches --bin model_speed -- llm|vit FORMAT`.
//!
//! The formats are f32, f16, bf16, q8_0, q4_0 and q4a. It says `ready`, and answers each line that
//! it is sent with a line of times in milliseconds: for `llm` the prompt of 400 tokens and one
//! further token, for `vit` one image. `benches/peers/compare.py` drives it.

#![allow(clippy::print_stdout)] // Its output is what it is for.

use std::io::BufRead;
use std::time::Instant;

use burn::tensor::Tensor;
use expllm_benches::{LargePart, large_part};
use expllm_model::generation::Prefix;
use expllm_model::{Backend, Format, ModelError, Network};

const PROMPT: u32 = 400;
/// Tokens after the prompt, of which the first only warms up.
const TOKENS: u32 = 17;

fn main() -> Result<(), ModelError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let parsed = match arguments[..] {
        [part, format] => Format::from_name(format).zip(match part {
            "llm" => Some(LargePart::Language),
            "vit" => Some(LargePart::Vision),
            _ => None,
        }),
        _ => None,
    };
    let (format, part) = parsed.ok_or_else(|| ModelError::Input {
        what: "arguments",
        reason: "needs llm or vit, then f32, f16, bf16, q8_0, q4_0 or q4a".to_owned(),
    })?;
    let model = large_part(part, format)?;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let Ok(_) = line else { break };
        match part {
            LargePart::Language => language(&model)?,
            LargePart::Vision => vision(&model)?,
        }
    }
    Ok(())
}

fn language(model: &Network) -> Result<(), ModelError> {
    let prompt: Vec<u32> = (0..PROMPT).map(|token| 100 + token).collect();
    let start = Instant::now();
    let mut prefix = Prefix::new(model, &prompt, None)?;
    let prefill = milliseconds(start);
    prefix.reserve(TOKENS as usize)?;
    prefix.push(&[7])?;
    let start = Instant::now();
    for token in 1..TOKENS {
        prefix.push(&[1000 + token])?;
    }
    let token = milliseconds(start) / f64::from(TOKENS - 1);
    println!("{prefill:.2} {token:.3}");
    Ok(())
}

fn vision(model: &Network) -> Result<(), ModelError> {
    let images: Tensor<4> = Tensor::ones([1, 3, 224, 224], &Backend::Cpu.device()?);
    let start = Instant::now();
    let tokens = model.encoder.tokens(images)?;
    let time = milliseconds(start);
    assert_eq!(tokens.dims(), [1, 256, 1024]);
    println!("{time:.2}");
    Ok(())
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
