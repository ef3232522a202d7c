//! From paths on the command line to findings per photo, shared by `analyze` and `au`.

mod find;
mod output;
mod run;

pub use find::{Found, find_photos};
pub use output::Output;
pub use run::{Explaining, Failures, Job, Step, for_each_report, for_each_step};

use crate::CliError;

/// Writes rows of JSON as one array or as lines.
pub struct JsonRows {
    array: bool,
    first: bool,
}

impl JsonRows {
    /// Begins an array, or lines.
    pub fn begin(array: bool, output: &mut Output) -> Result<Self, CliError> {
        if array {
            output.text("[")?;
        }
        Ok(Self { array, first: true })
    }

    /// Writes one row.
    pub fn row(&mut self, row: &str, output: &mut Output) -> Result<(), CliError> {
        match (self.array, self.first) {
            (true, true) => output.text("\n")?,
            (true, false) => output.text(",\n")?,
            (false, true) => {}
            (false, false) => output.text("\n")?,
        }
        self.first = false;
        output.text(row)
    }

    /// Ends the array, or the last line.
    pub fn end(self, output: &mut Output) -> Result<(), CliError> {
        match (self.array, self.first) {
            (true, _) => output.text("\n]\n"),
            (false, true) => Ok(()),
            (false, false) => output.text("\n"),
        }
    }
}
