//! Where a command writes to.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Found;
use crate::CliError;
use crate::outputs::{Inputs, Kind};

/// A file, or the standard output.
pub struct Output {
    to: Box<dyn Write>,
    path: PathBuf,
}

impl Output {
    /// Opens the file, or the standard output for `None`.
    ///
    /// The file must be none of the photos, and none that another program wrote.
    pub fn open(path: Option<&Path>, kind: Kind, photos: &[Found]) -> Result<Self, CliError> {
        if let Some(path) = path {
            let inputs = Inputs::new(photos.iter().map(|found| &found.path));
            inputs.check_output(path, kind)?;
        }
        let to: Box<dyn Write> = match path {
            Some(path) => {
                let file = File::create(path).map_err(|e| CliError::file(path, e))?;
                Box::new(BufWriter::new(file))
            }
            None => Box::new(io::stdout().lock()),
        };
        let path = path.unwrap_or(Path::new("standard output")).to_path_buf();
        Ok(Self { to, path })
    }

    /// Writes text as it is.
    pub fn text(&mut self, text: &str) -> Result<(), CliError> {
        let written = self.to.write_all(text.as_bytes());
        written.map_err(|error| CliError::file(&self.path, error))
    }

    /// Shows what was written so far and goes on.
    pub fn flush(&mut self) -> Result<(), CliError> {
        let flushed = self.to.flush();
        flushed.map_err(|error| CliError::file(&self.path, error))
    }

    /// Writes what is still held back.
    pub fn finish(mut self) -> Result<(), CliError> {
        self.flush()
    }
}
