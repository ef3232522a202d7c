//! Which stage explains the faces: the arguments that choose it, and its loading.

use std::path::PathBuf;

use clap::ValueEnum;
use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm_core::{ExplainQuestion, Expression, ExpressionSet};
use expllm_cot::Composer;
use expllm_model::Backend;

use crate::CliError;
use crate::commands::WeightFormat;
use crate::commands::stages::{Draws, Mode};
use crate::faces::Explaining;

/// Arguments that choose the explaining stage.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Explanation")]
pub struct StageArgs {
    /// What writes the explanation: the composer (from the action units) or the multimodal language
    /// model [default: composer; expllm if an option of the model is given].
    #[arg(long, value_enum)]
    stage: Option<StageName>,
    /// Checkpoint folder of a multimodal model (docs/checkpoints.md) [default: the tiny model that
    /// is part of the program].
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Whether the model is asked for the label or the chain first [default: label-first].
    #[arg(long, value_enum, conflicts_with = "label")]
    mode: Option<Mode>,
    /// Explain this expression instead of the likeliest, such as Happiness.
    #[arg(long, value_name = "EXPRESSION")]
    label: Option<Expression>,
    /// Number of expressions: 8, or 7 without contempt.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(7..=8))]
    classes: u8,
    /// Random seed: changes the composer's wording and what a model samples.
    #[arg(long)]
    seed: Option<u64>,
    /// Backend for the model: cpu, wgpu or cuda [default: the first of cuda, wgpu and cpu in this
    /// build].
    #[arg(long)]
    device: Option<Backend>,
    /// Number format of the model's weights in memory [default: the file's own].
    #[arg(long, value_enum)]
    dtype: Option<WeightFormat>,
    /// Candidates drawn in place of a sentence that the action units contradict, before it is shown
    /// marked: 0 to 32, or off to verify nothing [default: 4].
    #[arg(long, value_name = "N|off")]
    draws: Option<Draws>,
}

/// A stage that explains faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StageName {
    /// Chains composed from the action units.
    Composer,
    /// The multimodal language model.
    Expllm,
}

impl StageArgs {
    /// Loads the stage.
    pub fn load(&self) -> Result<Explaining, CliError> {
        let set = ExpressionSet::of_classes(self.classes).unwrap_or_default();
        if let Some(label) = self.label.filter(|label| !set.contains(*label)) {
            let reason = format!("--label {label} is not among the {} classes", self.classes);
            return Err(CliError::Usage(reason));
        }
        match self.model_source()? {
            None => self.composer(set),
            Some(source) => self.expllm(&source, set),
        }
    }

    /// The stage that was named, or the one that the other options are for.
    fn stage(&self) -> StageName {
        let of_model = self.model.is_some()
            || self.mode.is_some()
            || self.device.is_some()
            || self.dtype.is_some()
            || self.draws.is_some();
        let meant = match of_model {
            true => StageName::Expllm,
            false => StageName::Composer,
        };
        self.stage.unwrap_or(meant)
    }

    /// The model to load; none for the composer.
    fn model_source(&self) -> Result<Option<ModelSource>, CliError> {
        match (self.stage(), self.model.clone()) {
            (StageName::Composer, Some(_)) => Err(CliError::Usage(
                "--stage composer uses no --model; leave one of them out".to_owned(),
            )),
            (StageName::Composer, None) => Ok(None),
            (StageName::Expllm, Some(folder)) => Ok(Some(ModelSource::Folder(folder))),
            (StageName::Expllm, None) => Ok(Some(ModelSource::Shipped)),
        }
    }

    fn composer(&self, set: ExpressionSet) -> Result<Explaining, CliError> {
        let unused = [
            ("--mode", self.mode.is_some()),
            ("--device", self.device.is_some()),
            ("--dtype", self.dtype.is_some()),
            ("--draws", self.draws.is_some()),
        ];
        if let Some((name, _)) = unused.into_iter().find(|(_, given)| *given) {
            let reason = format!("{name} is for the multimodal model; leave --stage composer out");
            return Err(CliError::Usage(reason));
        }
        Ok(Explaining {
            explainer: Box::new(Composer),
            question: self.question(),
            set,
            seed: self.seed.unwrap_or(0),
        })
    }

    fn expllm(&self, source: &ModelSource, set: ExpressionSet) -> Result<Explaining, CliError> {
        let options = ExplainerOptions {
            set,
            backend: self.device,
            format: self.dtype.map(WeightFormat::format),
            seed: self.seed,
            draws: self.draws.unwrap_or_default().0,
            ..ExplainerOptions::default()
        };
        let explainer = source.load(&options).map_err(CliError::library)?;
        Ok(Explaining {
            explainer: Box::new(explainer),
            question: self.question(),
            set,
            seed: 0,
        })
    }

    const fn question(&self) -> ExplainQuestion {
        match (self.label, self.mode) {
            (Some(label), _) => ExplainQuestion::Given(label),
            (None, Some(Mode::ChainFirst)) => ExplainQuestion::ChainFirst,
            (None, Some(Mode::LabelFirst) | None) => ExplainQuestion::LabelFirst,
        }
    }
}
