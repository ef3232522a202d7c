//! The stages by name.

use std::path::Path;

use expllm::evaluation::{Cut, Judge, Stages};
use expllm_au::AuNet;
use expllm_core::FaceDetector;
use expllm_cot::Composer;
use expllm_face::device::default_device;
use expllm_face::{LandmarkNet, RustfaceDetector, SimilarityAligner};

use crate::CliError;

/// A stage that can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StageName {
    /// Action units, expression, and chains composed from them.
    Au,
    /// The expression alone.
    Classifier,
    /// The multimodal language model; not wired in yet, answers with an error.
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

/// Puts the stages together; `cropped` images are one face each and need no detector.
pub fn load(
    stage: StageName,
    cropped: bool,
    model: Option<&Path>,
    _mode: Mode,
) -> Result<Stages, CliError> {
    let device = default_device();
    let judge = match stage {
        StageName::Au => Judge::Units {
            units: Box::new(AuNet::pretrained(&device).map_err(CliError::library)?),
            writer: Box::new(Composer),
        },
        StageName::Classifier => Judge::Classifier(Box::new(
            AuNet::pretrained(&device).map_err(CliError::library)?,
        )),
        StageName::Expllm => {
            let named = model
                .map(|path| format!(" ({})", path.display()))
                .unwrap_or_default();
            return Err(CliError::Usage(format!(
                "judging a multimodal model{named} is not wired into this command yet; grade \
                 its answers with --predictions FILE"
            )));
        }
    };
    let detector = (!cropped)
        .then(RustfaceDetector::new)
        .transpose()
        .map_err(CliError::library)?;
    Ok(Stages {
        detector: detector.map(|detector| Box::new(detector) as Box<dyn FaceDetector>),
        cut: Cut::Aligned {
            landmarks: Box::new(LandmarkNet::pretrained(&device).map_err(CliError::library)?),
            aligner: Box::new(SimilarityAligner),
        },
        judge,
    })
}
