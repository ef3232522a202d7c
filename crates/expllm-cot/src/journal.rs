//! Output that survives being killed at any byte.
//!
//! Line `n` of the output answers record `n` of the (sharded) input, so the number of whole
//! lines says where to go on. `OUT.journal` holds the settings of the run and the lock. On
//! opening, what follows the last whole line is cut off: a torn line was never counted.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::check_regular;
use crate::formats::Objects;
use crate::resume::Finished;
use crate::{BuiltRecord, CotError};

/// How often finished lines are forced to the disk, against loss of power.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// An output file that is being appended to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    out: File,
    /// Keeps the lock until the end.
    _lock: File,
    done: u64,
    synced: Instant,
}

impl Journal {
    /// Opens a new output, or one that a run with the same settings left behind.
    ///
    /// # Errors
    ///
    /// [`CotError::Busy`], [`CotError::OtherRun`], [`CotError::NotAFile`] or [`CotError::File`].
    pub fn open(path: &Path, settings: &str) -> Result<Self, CotError> {
        check_regular(path)?;
        let wrong = |e| CotError::file(path, e);
        let lock = lock_settings(path, settings)?;
        let mut out = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(wrong)?;
        let (done, end) = whole_lines(&mut out).map_err(wrong)?;
        out.set_len(end).map_err(wrong)?;
        out.seek(SeekFrom::End(0)).map_err(wrong)?;
        let (path, synced) = (path.to_owned(), Instant::now());
        Ok(Self {
            path,
            out,
            _lock: lock,
            done,
            synced,
        })
    }

    /// Records that are finished.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The finished records, to be held against the input; a line that is none says why.
    pub(crate) fn finished(
        &self,
    ) -> Result<impl Iterator<Item = Result<Finished, String>> + use<>, CotError> {
        let file = File::open(&self.path).map_err(|e| CotError::file(&self.path, e))?;
        let lines = Objects::of_lines(BufReader::with_capacity(1 << 18, file));
        let records =
            lines.map(|line| serde_json::from_slice(&line.bytes?).map_err(|e| e.to_string()));
        Ok(records.take(usize::try_from(self.done).unwrap_or(usize::MAX)))
    }

    /// The error for a finished record that the input does not hold.
    pub(crate) fn disagrees(&self, line: u64, reason: String) -> CotError {
        let path = self.path.clone();
        CotError::Disagrees { path, line, reason }
    }

    /// Appends finished records, in order.
    ///
    /// # Errors
    ///
    /// [`CotError::File`], such as a full disk; what was not written is written by the next run.
    pub fn append(&mut self, records: &[BuiltRecord]) -> Result<(), CotError> {
        let wrong = |e| CotError::file(&self.path, e);
        let mut lines = Vec::with_capacity(records.len() * 1024);
        for record in records {
            serde_json::to_writer(&mut lines, record).map_err(|e| wrong(e.into()))?;
            lines.push(b'\n');
        }
        self.out.write_all(&lines).map_err(wrong)?;
        self.done += records.len() as u64;
        if self.synced.elapsed() >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// Forces everything to the disk.
    ///
    /// # Errors
    ///
    /// [`CotError::File`].
    pub fn sync(&mut self) -> Result<(), CotError> {
        self.synced = Instant::now();
        self.out
            .sync_data()
            .map_err(|e| CotError::file(&self.path, e))
    }
}

/// Takes the lock and compares the settings, or writes them for a new output.
fn lock_settings(path: &Path, settings: &str) -> Result<File, CotError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".journal");
    let journal = PathBuf::from(name);
    let wrong = |e| CotError::file(&journal, e);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&journal)
        .map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(CotError::Busy {
                path: path.to_owned(),
            });
        }
        Err(TryLockError::Error(e)) => return Err(wrong(e)),
    }
    let mut found = String::new();
    (&mut file)
        .take(1 << 20)
        .read_to_string(&mut found)
        .map_err(wrong)?;
    if found == settings {
        return Ok(file);
    }
    let started = std::fs::metadata(path).is_ok_and(|m| m.len() > 0);
    if started {
        return Err(CotError::OtherRun {
            path: path.to_owned(),
            detail: difference(settings, &found),
        });
    }
    file.set_len(0).map_err(wrong)?;
    file.seek(SeekFrom::Start(0)).map_err(wrong)?;
    file.write_all(settings.as_bytes()).map_err(wrong)?;
    file.sync_all().map_err(wrong)?;
    Ok(file)
}

/// The first line of the settings that an earlier run did not have, and the one in its place;
/// lines begin with the name of a setting.
fn difference(settings: &str, found: &str) -> String {
    if found.is_empty() {
        return "its .journal is gone".to_owned();
    }
    let line = settings
        .lines()
        .find(|line| !found.lines().any(|f| f == *line));
    let line = line.unwrap_or_default();
    let name = line.split(' ').next();
    let mut before = found.lines();
    match before.find(|line| line.split(' ').next() == name) {
        Some(before) => format!("{line}; before: {before}"),
        None => line.to_owned(),
    }
}

/// Number of whole lines, and the byte after the last of them.
fn whole_lines(out: &mut File) -> std::io::Result<(u64, u64)> {
    let mut reader = BufReader::with_capacity(1 << 18, out);
    let (mut count, mut end, mut at) = (0, 0, 0);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((count, end));
        }
        for (offset, _) in buffer.iter().enumerate().filter(|(_, b)| **b == b'\n') {
            (count, end) = (count + 1, at + offset as u64 + 1);
        }
        let used = buffer.len();
        at += used as u64;
        reader.consume(used);
    }
}
