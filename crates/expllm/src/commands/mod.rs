//! One file per command.

use clap::Subcommand;

use crate::{CliError, Outcome};

mod synth;
mod units;

/// The commands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Render synthetic faces with exact labels.
    Synth(synth::Args),
    /// Print the action units with their FACS and blendshape names.
    Units(units::Args),
}

impl Command {
    /// Runs the command.
    pub fn run(self) -> Result<Outcome, CliError> {
        match self {
            Self::Synth(args) => synth::run(&args),
            Self::Units(args) => units::run(&args),
        }
    }
}
