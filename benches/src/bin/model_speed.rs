//! Times parts of the published shape, a language model from a file or the face detector, for
//! comparisons in alternating runs: `cargo run --release -p expllm-benches --bin model_speed --
//! llm|vit FORMAT`, `-- file FILE.gguf` or `-- detector SIDE`.
//!
//! The formats are f32, f16, bf16, q8_0, q4_0 and q4a. It says `ready` and how long loading took,
//! and answers each line that it is sent with a line of times in milliseconds: for `llm` the prompt
//! of 400 tokens and one further token; for `vit FORMAT [IMAGES]` the images, at once; for `file
//! FILE.gguf [LENGTH,... [ROWS [TOKENS]]]` for each length as many prompts side by side (512; 1),
//! and a further token of each (the mean of 128); for `detector SIDE` one look at the example photo
//! at so many pixels a side (the mean of 20). `benches/peers/compare.py` drives it.

#![allow(clippy::print_stdout)] // Its output is what it is for.

use std::io::BufRead;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Tensor;
use expllm_benches::{LargePart, large_part};
use expllm_core::{FaceDetector, Photo};
use expllm_face::{CenterFaceDetector, DetectorOptions, PhotoReader};
use expllm_model::generation::{BatchPrefix, Prefix};
use expllm_model::{
    Backend, Format, LoadOptions, ModelError, Network, Packing, Speaker, TextModel,
};

const PHOTO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/photos/astronaut.png"
);

/// Looks of the detector in each round.
const LOOKS: u32 = 20;

/// Prompts, and the tokens after each, of which one more only warms up.
struct Lengths {
    prompt: u32,
    rows: usize,
    more: u32,
}

fn main() -> Result<(), ModelError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["file", path, ref numbers @ ..] => file(Path::new(path), numbers),
        ["llm", format] => {
            let model = large_part(LargePart::Language, known(format)?)?;
            let (prompt, rows, more) = (400, 1, 16);
            let lengths = Lengths { prompt, rows, more };
            answer_lines(0.0, || language((&model).into(), &lengths))
        }
        ["vit", format] => images(format, 1),
        ["vit", format, count] => images(format, number(count)?),
        ["detector", side] => detector(number(side)?),
        _ => Err(usage()),
    }
}

fn file(path: &Path, numbers: &[&str]) -> Result<(), ModelError> {
    let prompts = numbers.first().copied().unwrap_or("512").split(',');
    let prompts: Vec<u32> = prompts.map(number).collect::<Result<_, _>>()?;
    let rows = numbers.get(1).map_or(Ok(1), |text| number(text))?;
    let more = numbers.get(2).map_or(Ok(128), |text| number(text))?;
    let start = Instant::now();
    let model = stored(path)?;
    answer_lines(milliseconds(start), || {
        let lengths = |&prompt| Lengths { prompt, rows, more };
        (prompts.iter().map(lengths)).try_fold(Vec::new(), |mut times, lengths| {
            times.extend(language((&model).into(), &lengths)?);
            Ok(times)
        })
    })
}

fn images(format: &str, count: usize) -> Result<(), ModelError> {
    let model = large_part(LargePart::Vision, known(format)?)?;
    answer_lines(0.0, || vision(&model, count))
}

/// Looks at the example photo at a size of which the detector needs one look: 160, 192, 256 or 288
/// pixels.
fn detector(side: NonZeroU32) -> Result<(), ModelError> {
    let photo = PhotoReader::default().read(PHOTO).map_err(no_face)?;
    let place = |at: u32| i64::from(at * photo.width() / side.get());
    let small = Photo::from_fn(side, side, |x, y| photo.pixel_clamped(place(x), place(y)));
    let options = DetectorOptions {
        min_size: 8,
        ..DetectorOptions::default()
    };
    let detector = CenterFaceDetector::with_options(options).map_err(no_face)?;
    answer_lines(0.0, || {
        let start = Instant::now();
        for _ in 0..LOOKS {
            detector.detect(&small).map_err(no_face)?;
        }
        Ok(vec![milliseconds(start) / f64::from(LOOKS)])
    })
}

fn no_face(error: impl std::fmt::Display) -> ModelError {
    ModelError::Input {
        what: "the example photo",
        reason: error.to_string(),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, ModelError> {
    text.parse().map_err(|_| usage())
}

fn usage() -> ModelError {
    ModelError::Input {
        what: "arguments",
        reason: "needs llm or vit, then f32, f16, bf16, q8_0, q4_0 or q4a; or file, its path and numbers; or detector and a side"
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

fn answer_lines(
    loaded: f64,
    run: impl Fn() -> Result<Vec<f64>, ModelError>,
) -> Result<(), ModelError> {
    println!("ready {loaded:.1}");
    for line in std::io::stdin().lock().lines() {
        let Ok(_) = line else { break };
        let times: Vec<_> = run()?.iter().map(|time| format!("{time:.3}")).collect();
        println!("{}", times.join(" "));
    }
    Ok(())
}

fn language(model: Speaker<'_>, lengths: &Lengths) -> Result<Vec<f64>, ModelError> {
    let rows = 0..lengths.rows as u32;
    let prompt = |row| {
        (0..lengths.prompt)
            .map(|token| 100 + token + 7 * row)
            .collect()
    };
    let prompts: Vec<Vec<u32>> = rows.clone().map(prompt).collect();
    let start = Instant::now();
    if let [prompt] = &prompts[..] {
        let mut prefix = Prefix::new(model, prompt, None)?;
        let prefill = milliseconds(start);
        prefix.reserve(lengths.more as usize + 1)?;
        return tokens(prefill, lengths.more, |token| prefix.push(&[token]));
    }
    let mut prefix = BatchPrefix::new(model, &prompts, None)?;
    let prefill = milliseconds(start);
    tokens(prefill, lengths.more, |token| {
        let next: Vec<_> = rows.clone().map(|row| Some(token + row)).collect();
        prefix.push(&next)
    })
}

/// The time before, and that of one more token of each row.
fn tokens(
    before: f64,
    more: u32,
    mut push: impl FnMut(u32) -> Result<(), ModelError>,
) -> Result<Vec<f64>, ModelError> {
    push(7)?;
    let start = Instant::now();
    for token in 0..more {
        push(1001 + token)?;
    }
    Ok(vec![before, milliseconds(start) / f64::from(more)])
}

fn vision(model: &Network, count: usize) -> Result<Vec<f64>, ModelError> {
    let images: Tensor<4> = Tensor::ones([count, 3, 224, 224], &Backend::Cpu.device()?);
    let start = Instant::now();
    let tokens = model.encoder.tokens(images)?;
    let time = milliseconds(start);
    assert_eq!(tokens.dims(), [count, 256, 1024]);
    Ok(vec![time])
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
