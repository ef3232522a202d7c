//! The stages by name.

use std::path::PathBuf;

use clap::builder::RangedI64ValueParser;
use expllm::evaluation::{Judge, Stages, View};
use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm::rewriting::RewritingExplainer;
use expllm_au::FaceReader;
use expllm_core::{ExplainQuestion, Explainer, ExpressionSet};
use expllm_cot::Composer;
use expllm_model::ExpLlmExplainer;

use super::WeightFormat;
use crate::CliError;

/// A stage that can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StageName {
    /// Action units, expression, and chains composed from them.
    Au,
    /// The expression alone.
    Classifier,
    /// A multimodal language model: label and chain from the pixels.
    Expllm,
}

impl StageName {
    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Au => "au",
            Self::Classifier => "classifier",
            Self::Expllm => "expllm",
        }
    }
}

/// The order of the questions to a multimodal model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// The label first, then the chain.
    LabelFirst,
    /// The chain first; the label is read from it.
    ChainFirst,
}

impl Mode {
    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LabelFirst => "label-first",
            Self::ChainFirst => "chain-first",
        }
    }
}

impl From<Mode> for ExplainQuestion {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::LabelFirst => Self::LabelFirst,
            Mode::ChainFirst => Self::ChainFirst,
        }
    }
}

/// What a multimodal model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ViewName {
    /// The face turned upright by its landmarks.
    Aligned,
    /// The face as it is; with --cropped the whole image, as the published model was trained.
    Whole,
}

impl ViewName {
    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aligned => "aligned",
            Self::Whole => "whole",
        }
    }
}

/// The choice of a multimodal model and of how it is asked.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Stage expllm")]
pub struct ModelArgs {
    /// Checkpoint folder (docs/checkpoints.md) [default: the tiny model that is part of the
    /// program].
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Whether the model is asked for the label or the chain first.
    #[arg(long, value_enum, default_value_t = Mode::LabelFirst)]
    pub mode: Mode,
    /// What the model looks at.
    #[arg(long, value_enum, default_value_t = ViewName::Aligned)]
    pub view: ViewName,
    /// Number format of the model's weights in memory [default: the file's own].
    #[arg(long, value_enum)]
    pub dtype: Option<WeightFormat>,
    /// Maximum number of attempts when a chain contradicts the action units; the best one is kept.
    #[arg(long, default_value_t = 1, value_parser = attempts())]
    pub attempts: u32,
}

/// How often a chain may be written.
pub fn attempts() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=100)
}

/// A model whose chains are written as often as that.
pub fn with_attempts(model: ExpLlmExplainer, attempts: u32) -> Box<dyn Explainer> {
    match attempts {
        1 => Box::new(model),
        _ => Box::new(RewritingExplainer::new(model, attempts)),
    }
}

/// Puts the stages together; `cropped` images are one face each and need no detector.
pub fn load(
    stage: StageName,
    cropped: bool,
    model: &ModelArgs,
    set: ExpressionSet,
) -> Result<Stages, CliError> {
    let judge = match stage {
        StageName::Au => Judge::Explainer {
            explainer: Box::new(Composer),
            question: ExplainQuestion::LabelFirst,
            view: View::Aligned,
        },
        StageName::Classifier => Judge::Classifier,
        StageName::Expllm => Judge::Explainer {
            explainer: with_attempts(explainer(model, set)?, model.attempts),
            question: model.mode.into(),
            view: match model.view {
                ViewName::Aligned => View::Aligned,
                ViewName::Whole => View::Whole,
            },
        },
    };
    Ok(Stages {
        reader: FaceReader::pretrained().map_err(CliError::library)?.boxed(),
        cropped,
        judge,
    })
}

/// The multimodal model of a checkpoint folder, or the one that is part of the program.
fn explainer(model: &ModelArgs, set: ExpressionSet) -> Result<ExpLlmExplainer, CliError> {
    let options = ExplainerOptions {
        set,
        format: model.dtype.map(WeightFormat::format),
        ..ExplainerOptions::default()
    };
    let folder = model.model.clone().map(ModelSource::Folder);
    let source = folder.unwrap_or(ModelSource::Shipped);
    source.load(&options).map_err(CliError::library)
}
