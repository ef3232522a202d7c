//! The stages by name.

use std::path::Path;

use expllm::evaluation::Stages;

use crate::CliError;

/// A stage that can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StageName {
    /// Action units, expression, and chains composed from them.
    Au,
    /// The expression alone.
    Classifier,
    /// The multimodal language model.
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

/// Puts the stages together.
pub fn load(
    stage: StageName,
    _cropped: bool,
    _model: Option<&Path>,
    _mode: Mode,
) -> Result<Stages, CliError> {
    Err(CliError::Usage(format!(
        "this build has no weights for stage `{}`; grade predictions made elsewhere with \
         --predictions FILE",
        stage.name()
    )))
}
