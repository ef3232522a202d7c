//! Times parts of the published shape, or a language model from a file, for comparisons in
//! alternating runs: `cargo run --release -p expllm-benches --bin model_speed -- llm|vit FORMAT` or
//! `-- file FILE.gguf`.
//!
//! The formats are f32, f16, bf16, q8_0, q4_0 and q4a. It says `ready`, and answers each line that
//! it is sent with a line of times in milliseconds: for `llm` the prompt of 400 tokens and one
//! further token, for `file` the prompt of 512 tokens and one of 128 further ones, for `vit` one
//! image. `benches/peers/compare.py` drives it.

#![allow(clippy::print_stdout)] // Its output is what it is for.

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Tensor;
use expllm_benches::{LargePart, large_part};
use expllm_model::generation::Prefix;
use expllm_model::{
    Backend, Format, LoadOptions, ModelError, Network, Packing, Speaker, TextModel,
};

/// Tokens of a prompt, and those after it, of which one more only warms up.
struct Lengths {
    prompt: u32,
    more: u32,
}

fn main() -> Result<(), ModelError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["file", path] => {
            let model = stored(Path::new(path))?;
            let (prompt, more) = (512, 128);
            answer_lines(|| language((&model).into(), &Lengths { prompt, more }))
        }
        ["llm", format] => {
            let model = large_part(LargePart::Language, known(format)?)?;
            let (prompt, more) = (400, 16);
            answer_lines(|| language((&model).into(), &Lengths { prompt, more }))
        }
        ["vit", format] => {
            let model = large_part(LargePart::Vision, known(format)?)?;
            answer_lines(|| vision(&model))
        }
        _ => Err(usage()),
    }
}

fn usage() -> ModelError {
    ModelError::Input {
        what: "arguments",
        reason: "needs llm or vit, then f32, f16, bf16, q8_0, q4_0 or q4a; or file and its path"
            .to_owned(),
    }
}

fn known(format: &str) -> Result<Format, ModelError> {
    Format::from_name(format).ok_or_else(usage)
}

/// A language model in the blocks of its file.
fn stored(path: &Path) -> Result<TextModel, ModelError> {
    let options = LoadOptions {
        kernels: Some(Packing::Stored),
        ..LoadOptions::default()
    };
    TextModel::open(path, &options, &Backend::Cpu.device()?)
}

fn answer_lines(run: impl Fn() -> Result<(), ModelError>) -> Result<(), ModelError> {
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let Ok(_) = line else { break };
        run()?;
    }
    Ok(())
}

fn language(model: Speaker<'_>, lengths: &Lengths) -> Result<(), ModelError> {
    let prompt: Vec<u32> = (0..lengths.prompt).map(|token| 100 + token).collect();
    let start = Instant::now();
    let mut prefix = Prefix::new(model, &prompt, None)?;
    let prefill = milliseconds(start);
    prefix.reserve(lengths.more as usize + 1)?;
    prefix.push(&[7])?;
    let start = Instant::now();
    for token in 0..lengths.more {
        prefix.push(&[1001 + token])?;
    }
    let token = milliseconds(start) / f64::from(lengths.more);
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
