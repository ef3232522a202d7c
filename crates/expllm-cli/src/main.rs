//! The command line program.

use std::process::ExitCode;

use clap::Parser;

#[macro_use]
mod stdout;

mod commands;
mod content;
mod error;
mod faces;
mod outputs;
mod shard;
mod tables;

use commands::Command;
use error::CliError;

/// Explainable facial expression recognition: action units, expressions and chains of thought.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// How a command that ran to its end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Everything was done.
    Complete,
    /// Everything was tried; some rows carry an error.
    WithErrors,
}

fn main() -> ExitCode {
    // Wrong usage ends inside `parse` with status 2.
    match Cli::parse().command.run() {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::WithErrors) => ExitCode::from(1),
        Err(error) => ExitCode::from(error.report()),
    }
}
