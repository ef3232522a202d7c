//! Where a command writes to.

use std::fs::{File, TryLockError};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Found;
use crate::CliError;
use crate::outputs::{Inputs, Kind};

/// A file, or the standard output.
pub struct Output {
    to: Box<dyn Write>,
    path: PathBuf,
    /// Bytes so far.
    written: u64,
}

impl Output {
    /// Opens the file, or the standard output for `None`.
    ///
    /// The file must be none of the photos, and none that another program wrote.
    pub fn open(path: Option<&Path>, kind: Kind, photos: &[Found]) -> Result<Self, CliError> {
        let to: Box<dyn Write> = match path {
            Some(path) => Box::new(BufWriter::new(Self::file(path, kind, photos)?)),
            None => Box::new(io::stdout().lock()),
        };
        let path = path.unwrap_or(Path::new("standard output")).to_path_buf();
        let written = 0;
        Ok(Self { to, path, written })
    }

    /// Makes or empties a file, which must be none of the photos, and none that another program
    /// wrote or is writing.
    pub fn file(path: &Path, kind: Kind, photos: &[Found]) -> Result<File, CliError> {
        let inputs = Inputs::new(photos.iter().map(|found| &found.path));
        inputs.check_output(path, kind)?;
        let named = |error| CliError::file(path, error);
        let file = locked(path)?;
        if file.metadata().map_err(named)?.is_file() {
            file.set_len(0).map_err(named)?;
        }
        Ok(file)
    }

    /// Goes on with a file after so many bytes; what follows them is cut off.
    pub fn append(path: &Path, bytes: u64) -> Result<Self, CliError> {
        let named = |error| CliError::file(path, error);
        let mut file = locked(path)?;
        if file.metadata().map_err(named)?.len() < bytes {
            let text = "is shorter than when it was left; begin anew";
            return Err(CliError::Usage(format!("{} {text}", path.display())));
        }
        file.set_len(bytes).map_err(named)?;
        file.seek(SeekFrom::End(0)).map_err(named)?;
        Ok(Self {
            to: Box::new(BufWriter::new(file)),
            path: path.to_path_buf(),
            written: bytes,
        })
    }

    /// Bytes that were written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes text as it is.
    pub fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.written += text.len() as u64;
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

/// Opens or makes a file, unless another program is at it.
fn locked(path: &Path) -> Result<File, CliError> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|error| CliError::file(path, error))?;
    // Pipes, devices and some network drives know no locks.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        let text = "is being written by another program; wait for it or choose another output";
        return Err(CliError::Usage(format!("{} {text}", path.display())));
    }
    Ok(file)
}
