//! The stages by name.

use std::path::PathBuf;
use std::str::FromStr;

use expllm::evaluation::{Judge, Stages, View};
use expllm::explaining::{DRAWS, ExplainerOptions, ModelSource, verified};
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
    /// Candidates drawn in place of a sentence that the action units contradict, 0 to 32, or off to
    /// verify nothing [default: 4].
    #[arg(long, value_name = "N|off")]
    pub draws: Option<Draws>,
}

/// How the sentences of a model are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws(pub Option<u32>);

impl Draws {
    /// Most candidates.
    const MOST: u32 = 32;
}

impl Default for Draws {
    fn default() -> Self {
        Self(Some(DRAWS))
    }
}

impl FromStr for Draws {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|&number| number <= Self::MOST);
        match (text, number) {
            ("off", _) => Ok(Self(None)),
            (_, Some(number)) => Ok(Self(Some(number))),
            _ => Err(format!("give a number from 0 to {}, or off", Self::MOST)),
        }
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
            unverified: None,
            question: ExplainQuestion::LabelFirst,
            view: View::Aligned,
        },
        StageName::Classifier => Judge::Classifier,
        StageName::Expllm => language_model(model, set)?,
    };
    Ok(Stages {
        reader: FaceReader::pretrained().map_err(CliError::library)?.boxed(),
        cropped,
        judge,
    })
}

/// The multimodal model, and beside it the same without verification.
fn language_model(model: &ModelArgs, set: ExpressionSet) -> Result<Judge, CliError> {
    let plain = explainer(model, set)?;
    let (explainer, unverified): (Box<dyn Explainer>, Option<Box<dyn Explainer>>) =
        match model.draws.unwrap_or_default() {
            Draws(None) => (Box::new(plain), None),
            Draws(Some(draws)) => {
                let verified = verified(plain.clone(), draws);
                (Box::new(verified), Some(Box::new(plain)))
            }
        };
    Ok(Judge::Explainer {
        explainer,
        unverified,
        question: model.mode.into(),
        view: match model.view {
            ViewName::Aligned => View::Aligned,
            ViewName::Whole => View::Whole,
        },
    })
}

/// The multimodal model of a checkpoint folder, or the one that is part of the program; it verifies
/// nothing.
fn explainer(model: &ModelArgs, set: ExpressionSet) -> Result<ExpLlmExplainer, CliError> {
    let options = ExplainerOptions {
        set,
        format: model.dtype.map(WeightFormat::format),
        draws: None,
        ..ExplainerOptions::default()
    };
    let folder = model.model.clone().map(ModelSource::Folder);
    let source = folder.unwrap_or(ModelSource::Shipped);
    source.load(&options).map_err(CliError::library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_a_number_or_off() {
        assert_eq!("off".parse(), Ok(Draws(None)));
        assert_eq!("0".parse(), Ok(Draws(Some(0))));
        for wrong in ["33", "-1", "on", ""] {
            assert!(wrong.parse::<Draws>().is_err(), "{wrong}");
        }
    }
}
