//! `expllm model generate`: a language model alone answers.

use std::io::Write;
use std::path::PathBuf;

use expllm_model::conversation::ChatMessage;
use expllm_model::generation::{CancelToken, GenerationSettings};
use expllm_model::{Backend, LoadOptions, ModelError, Packing, TextModel};

use crate::{CliError, Outcome};

/// Arguments of `expllm model generate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A `.gguf` file or a LLaMA folder.
    path: PathBuf,
    /// What to answer, as a question in the model's own conversation; a text to go on from where
    /// the model has none.
    #[arg(long, value_name = "TEXT")]
    prompt: String,
    /// Tokens after which the answer is cut.
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_tokens: usize,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let options = LoadOptions {
        kernels: Some(Packing::Stored),
        ..LoadOptions::default()
    };
    let device = Backend::Cpu.device().map_err(CliError::library)?;
    let model = TextModel::open(&args.path, &options, &device).map_err(CliError::library)?;
    let settings = GenerationSettings {
        max_new_tokens: args.max_tokens,
        ..GenerationSettings::default()
    };
    let prompt = prompt(&model, &args.prompt).map_err(CliError::library)?;
    let answer = model
        .answer(&prompt, &settings, CancelToken::default())
        .map_err(CliError::library)?;
    for piece in answer {
        show(&piece.map_err(CliError::library)?)?;
    }
    show("\n")?;
    Ok(Outcome::Complete)
}

fn prompt(model: &TextModel, text: &str) -> Result<Vec<u32>, ModelError> {
    match model.chat() {
        Some(_) => model.prompt(&[ChatMessage::user(text)]),
        None => model.tokenizer().encode(text),
    }
}

/// Writes a piece of the answer at once.
fn show(piece: &str) -> Result<(), CliError> {
    let mut output = std::io::stdout().lock();
    let written = (output.write_all(piece.as_bytes())).and_then(|()| output.flush());
    written.map_err(|error| CliError::file("standard output", error))
}
