//! Lines on the standard output.

use std::fmt::Arguments;
use std::io::Write;

use crate::CliError;

/// Writes a line to the standard output and returns from the function when that fails: unlike
/// `println!`, a reader that has gone (`| head`) ends the program without a panic.
macro_rules! say {
    ($($arguments:tt)*) => {
        $crate::stdout::line(format_args!($($arguments)*))?
    };
}

/// Takes the place of the standard library's macro in this program, which panics when the reader
/// of the output has gone: here that ends the program quietly, and any other failure with a
/// message. For lines at the end of a command, after which nothing can be lost.
macro_rules! println {
    () => {
        $crate::stdout::last_line(format_args!(""))
    };
    ($($arguments:tt)*) => {
        $crate::stdout::last_line(format_args!($($arguments)*))
    };
}

/// Writes one line or ends the program.
pub fn last_line(text: Arguments<'_>) {
    if let Err(error) = line(text) {
        std::process::exit(i32::from(error.report()));
    }
}

/// Writes one line.
pub fn line(text: Arguments<'_>) -> Result<(), CliError> {
    let mut output = std::io::stdout().lock();
    let written = output
        .write_fmt(text)
        .and_then(|()| output.write_all(b"\n"));
    written.map_err(|error| CliError::file("standard output", error))
}
