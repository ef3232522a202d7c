//! Options of `expllm cot build`, and the engine that they describe.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use expllm::explaining::ExplainerOptions;
use expllm_core::ExpressionSet;
use expllm_cot::{
    Checker, Composer, CotError, Engine, EngineConfig, LocalWriter, OnFailure, OpenAiConfig,
    OpenAiWriter, PromptFiles, Prompts, TextWriter,
};

use super::image_reader::{Images, ModelWriter};
use crate::content::content_hash;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Writer {
    /// The offline grammar; needs no model and no network.
    Composer,
    /// Any server with the OpenAI chat completion interface.
    Openai,
    /// A multimodal model in this process; looks at the images below --root.
    Model,
}

/// What happens to a record whose texts never pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Failure {
    /// The composer's text stands in.
    Compose,
    /// The record is set aside.
    SetAside,
}

/// Options about texts.
#[derive(Debug, clap::Args)]
pub struct TextOptions {
    /// What writes the chains.
    #[arg(long, value_enum, default_value_t = Writer::Composer)]
    pub writer: Writer,
    /// Random seed for the wording; the same seed gives the same texts if the writer supports it.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Number of labels: 7, or 8 with contempt.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(7..=8))]
    pub labels: u8,
    /// Maximum number of words in a text.
    #[arg(long, default_value_t = expllm_cot::WORD_LIMIT)]
    pub word_limit: usize,
    /// Allow digits in the texts.
    #[arg(long)]
    pub allow_digits: bool,
    /// Hold texts against the rules of the style guide too.
    #[arg(long)]
    pub guide: bool,
    /// How many times a text that fails the checks is sent back to the writer.
    #[arg(long, default_value_t = 2)]
    pub repairs: u32,
    /// What to do if it still fails.
    #[arg(long, value_enum, default_value_t = Failure::Compose)]
    pub on_failure: Failure,
    /// Template of the system message, instead of the built-in one.
    #[arg(long, value_name = "FILE")]
    pub system_template: Option<PathBuf>,
    /// Template of the question.
    #[arg(long, value_name = "FILE")]
    pub prompt_template: Option<PathBuf>,
    /// Template of the request for a better text.
    #[arg(long, value_name = "FILE")]
    pub repair_template: Option<PathBuf>,
    /// Text shown as an example; can be repeated.
    #[arg(long, value_name = "FILE")]
    pub example: Vec<PathBuf>,
}

/// Options about servers.
#[derive(Debug, clap::Args)]
pub struct ServerOptions {
    /// Base URL of the server, such as http://localhost:8080/v1; repeat it to share the work among
    /// several.
    #[arg(long, value_name = "URL")]
    pub endpoint: Vec<String>,
    /// Model name on the server [default: default], or the checkpoint folder for --writer model.
    #[arg(long)]
    pub model: Option<String>,
    /// Environment variable that holds the API key.
    #[arg(long, default_value = "OPENAI_API_KEY", value_name = "NAME")]
    pub key_variable: String,
    /// Sampling temperature [default: 0.7 for servers; the folder's setting for a model].
    #[arg(long)]
    pub temperature: Option<f32>,
    /// Maximum number of tokens in an answer [default: 400 for servers; the folder's setting for a
    /// model].
    #[arg(long)]
    pub max_tokens: Option<u32>,
    /// JSON to send as response_format.
    #[arg(long, value_name = "JSON")]
    pub response_format: Option<String>,
    /// Ask the server to stream its answers.
    #[arg(long)]
    pub stream: bool,
    /// Concurrent requests per endpoint.
    #[arg(long, default_value_t = 64)]
    pub concurrency: usize,
    /// Timeout of one request in seconds.
    #[arg(long, default_value_t = 120.0)]
    pub timeout: f64,
    /// Number of retries for a failed request.
    #[arg(long, default_value_t = 8)]
    pub retries: u32,
}

impl TextOptions {
    /// The labels in play.
    pub fn set(&self) -> ExpressionSet {
        ExpressionSet::of_classes(self.labels).unwrap_or_default()
    }

    /// The settings of the engine.
    pub fn config(&self, concurrency: usize) -> EngineConfig {
        let set = self.set();
        EngineConfig {
            checker: Checker {
                word_limit: self.word_limit,
                digits: self.allow_digits,
                guide: self.guide,
                set,
                ..Checker::default()
            },
            repairs: self.repairs,
            on_failure: match self.on_failure {
                Failure::Compose => OnFailure::Compose,
                Failure::SetAside => OnFailure::SetAside,
            },
            set,
            seed: self.seed,
            concurrency,
        }
    }

    /// The prompts, read and tried.
    pub fn prompts(&self) -> Result<Prompts, CotError> {
        let files = PromptFiles {
            system: self.system_template.clone(),
            user: self.prompt_template.clone(),
            repair: self.repair_template.clone(),
            examples: self.example.clone(),
        };
        Prompts::new(&files, self.word_limit)
    }
}

impl ServerOptions {
    /// The settings of the client.
    pub fn config(&self) -> Result<OpenAiConfig, crate::CliError> {
        let format = self.response_format.as_deref().map(serde_json::from_str);
        let wrong = |e| crate::CliError::Usage(format!("--response-format is not JSON: {e}"));
        let default = OpenAiConfig::default();
        Ok(OpenAiConfig {
            endpoints: self.endpoint.clone(),
            model: self.model.clone().unwrap_or_else(|| "default".into()),
            key_variable: self.key_variable.clone(),
            temperature: self.temperature.unwrap_or(default.temperature),
            max_tokens: self.max_tokens.unwrap_or(default.max_tokens),
            response_format: format.transpose().map_err(wrong)?,
            stream: self.stream,
            concurrency: self.concurrency,
            timeout_s: self.timeout,
            retries: self.retries,
            ..default
        })
    }
}

/// The engine, and what of its settings decides the texts (for the journal).
pub fn engine(
    text: &TextOptions,
    server: &ServerOptions,
    images: Option<Arc<Images>>,
) -> Result<(Engine, String), crate::CliError> {
    let flights = server
        .concurrency
        .saturating_mul(server.endpoint.len().max(1));
    let config = text.config(flights);
    let writer = format!("{:?}", text.writer).to_lowercase();
    let mut settings = format!("writer {writer}\n{}", setting_lines(&config));
    let (writer, prompts): (Arc<dyn TextWriter>, _) = match text.writer {
        Writer::Composer => (Arc::new(LocalWriter::new("composer", Composer)), None),
        Writer::Openai => {
            let client = server.config()?;
            settings.push_str(&format!(
                "model {}\ntemperature {}\nmax_tokens {}\n",
                client.model, client.temperature, client.max_tokens
            ));
            let prompts = text.prompts().map_err(super::cli_error)?;
            settings.push_str(&format!("prompts {}\n", prompts.hash()));
            let writer =
                OpenAiWriter::new(client).map_err(|e| crate::CliError::Usage(e.to_string()))?;
            (Arc::new(writer), Some(prompts))
        }
        Writer::Model => {
            let (Some(folder), Some(faces)) = (&server.model, images.clone()) else {
                let reason =
                    "--writer model needs --model DIR, and --root DIR to look at the images";
                return Err(crate::CliError::Usage(reason.into()));
            };
            settings.push_str(&format!(
                "model {folder}\ntemperature {:?}\nmax_tokens {:?}\n",
                server.temperature, server.max_tokens
            ));
            let options = ExplainerOptions {
                set: text.set(),
                temperature: server.temperature,
                max_new_tokens: server.max_tokens.map(|tokens| tokens as usize),
                ..ExplainerOptions::default()
            };
            let folder = std::path::Path::new(folder);
            (Arc::new(ModelWriter::new(faces, folder, &options)?), None)
        }
    };
    if images.is_some() {
        // Other weights read other units from the same images, and write other texts.
        let looks = text.writer == Writer::Model;
        let folder = server.model.as_deref().filter(|_| looks);
        let content = content_hash(folder.map(std::path::Path::new))?;
        settings.push_str(&format!("content {content}\n"));
    }
    let engine = Engine::new(writer, prompts, config);
    let engine = match images {
        Some(images) => engine.with_unit_reader(images),
        None => engine,
    };
    Ok((engine, settings))
}

/// What of the engine's settings decides the texts, one per line.
fn setting_lines(config: &EngineConfig) -> String {
    let EngineConfig {
        checker,
        repairs,
        on_failure,
        set,
        seed,
        concurrency: _,
    } = config;
    // Named only where it is on, so that runs from before it existed can go on.
    let guide = if checker.guide { "guide true\n" } else { "" };
    format!(
        "labels {}\nseed {seed}\nrepairs {repairs}\non_failure {on_failure:?}\nword_limit {}\n\
         digits {}\n{guide}",
        set.expressions().len(),
        checker.word_limit,
        checker.digits
    )
}
