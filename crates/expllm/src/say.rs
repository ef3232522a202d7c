//! Lines on the standard output.

use std::fmt::Arguments;
use std::io::Write;

use crate::CliError;

/// Writes a line to the standard output and returns from the function when that fails: unlike
/// `println!`, a reader that has gone (`| head`) ends the program without a panic.
macro_rules! say {
    ($($arguments:tt)*) => {
        $crate::say::line(format_args!($($arguments)*))?
    };
}

/// Writes one line.
pub fn line(text: Arguments<'_>) -> Result<(), CliError> {
    let mut output = std::io::stdout().lock();
    let written = output
        .write_fmt(text)
        .and_then(|()| output.write_all(b"\n"));
    written.map_err(|error| CliError::file("standard output", error))
}
