//! `expllm units`: the crosswalk of action units.

use expllm_core::ActionUnit;

use crate::{CliError, Outcome};

/// Arguments of `expllm units`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints one tab-separated row per unit, in AU order.
pub fn run(_args: &Args) -> Result<Outcome, CliError> {
    say!("index\tname\tcolumn\tside\tfacs\tblendshapes");
    for unit in ActionUnit::ALL {
        let info = unit.info();
        say!(
            "{}\t{}\t{}\t{:?}\t{}\t{}",
            unit.index(),
            info.name,
            info.snake_case,
            info.side,
            info.facs.join(","),
            info.blendshapes.join(","),
        );
    }
    Ok(Outcome::Complete)
}
