//! One file per command.

use clap::Subcommand;

use crate::{CliError, Outcome};

mod analyze;
mod au;
mod compare;
mod convert;
mod cot;
mod data;
mod eval;
mod merge;
mod model;
mod number_format;
mod reason;
mod review;
mod score;
mod serve;
mod stages;
mod synth;
mod synth_clip;
mod table;
mod train;
mod train_au;
mod train_model;
mod units;
mod video;

use number_format::{BlockFormat, NumberFormat, WeightFormat};

/// The commands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read action units, expression and a chain of thought from every face of photos.
    Analyze(analyze::Args),
    /// Write action units of every face as a table.
    Au(au::Args),
    /// Print our figures beside published ones.
    Compare(compare::Args),
    /// Convert checkpoints: layout, number format, adapters.
    Convert(convert::Args),
    /// Build, check, compare and merge chain-of-thought data sets.
    Cot(cot::Args),
    /// Look at data sets.
    Data(data::Args),
    /// Judge a model on a data set.
    Eval(eval::Args),
    /// Join the tables that `au`, `analyze` or `video` wrote on many machines into one.
    Merge(merge::Args),
    /// Look into checkpoint folders of ExpLLM.
    Model(model::Args),
    /// Have people hold explanations against the photographs.
    Review(review::Args),
    /// Say why each face has its expression, without prose: cues, rivals, certainty.
    Reason(reason::Args),
    /// Grade result_all.json files.
    Score(score::Args),
    /// Answer requests over HTTP: a page, JSON, and chat completions as OpenAI clients know them.
    Serve(serve::Args),
    /// Render synthetic faces with exact labels.
    Synth(synth::Args),
    /// Train the small networks and print their figures.
    Train(train::Args),
    /// Print the action units with their FACS and blendshape names.
    Units(units::Args),
    /// Follow the people of videos and write a row per frame and person.
    Video(video::Args),
}

impl Command {
    /// Runs the command.
    pub fn run(self) -> Result<Outcome, CliError> {
        match self {
            Self::Analyze(args) => analyze::run(&args),
            Self::Au(args) => au::run(&args),
            Self::Compare(args) => compare::run(&args),
            Self::Convert(args) => convert::run(&args),
            Self::Cot(args) => cot::run(args),
            Self::Data(args) => data::run(&args),
            Self::Eval(args) => eval::run(&args),
            Self::Merge(args) => merge::run(&args),
            Self::Model(args) => model::run(&args),
            Self::Review(args) => review::run(&args),
            Self::Reason(args) => reason::run(&args),
            Self::Score(args) => score::run(&args),
            Self::Serve(args) => serve::run(&args),
            Self::Synth(args) => synth::run(&args),
            Self::Train(args) => train::run(&args),
            Self::Units(args) => units::run(&args),
            Self::Video(args) => video::run(&args),
        }
    }
}
