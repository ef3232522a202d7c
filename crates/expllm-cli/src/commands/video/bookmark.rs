//! Going on where an earlier run was ended.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use expllm_video::Tracker;
use serde::{Deserialize, Serialize};

use super::{Args, Format};
use crate::CliError;

/// Where a run was when the table was last written out whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bookmark {
    /// What was asked for; another question has another table.
    asked: String,
    /// Place of the clip among all.
    pub clip: usize,
    /// Bytes of the table up to there.
    pub bytes: u64,
    /// The last frame of the clip whose rows are in the table; `None` at its beginning.
    pub last: Option<LastFrame>,
}

/// The last frame whose rows are in a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastFrame {
    /// Its number.
    pub number: u64,
    /// Its time in seconds.
    pub time: f64,
    /// Who was followed after it.
    pub tracker: Tracker,
}

/// The file beside the table that holds the bookmark while a run lasts.
#[derive(Debug)]
pub struct BookmarkFile {
    path: PathBuf,
    asked: String,
}

impl BookmarkFile {
    /// The bookmark of a run; `None` where the output is no table alone in a file of its own.
    pub fn of(args: &Args) -> Option<Self> {
        let out = args.out.as_ref()?;
        let alone = args.format != Format::Parquet
            && args.events.is_none()
            && args.report.is_none()
            && args.annotate.is_none()
            && args.truth.is_none()
            && args.coded.is_none();
        let usual = fs::metadata(out).map_or(true, |found| found.is_file());
        let mut path = out.clone().into_os_string();
        path.push(".resume");
        (alone && usual).then(|| Self {
            path: path.into(),
            asked: asked(args),
        })
    }

    /// Notes how far the table is. The note takes the place of the last one at once, so that
    /// there is always a whole one.
    pub fn write(
        &self,
        (clip, bytes): (usize, u64),
        last: Option<LastFrame>,
    ) -> Result<(), CliError> {
        let bookmark = Bookmark {
            asked: self.asked.clone(),
            clip,
            bytes,
            last,
        };
        let text = serde_json::to_vec(&bookmark).map_err(CliError::library)?;
        let new = self.path.with_extension("resume~");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &self.path));
        written.map_err(|error| CliError::file(&self.path, error))
    }

    /// The note of an earlier run; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When it is that of another question or cannot be read.
    pub fn read(&self) -> Result<Option<Bookmark>, CliError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CliError::file(&self.path, error)),
        };
        let shown = self.path.display();
        let bookmark: Bookmark = serde_json::from_slice(&text).map_err(|error| {
            CliError::Usage(format!("{shown}: {error}; delete it and begin anew"))
        })?;
        if bookmark.asked == self.asked {
            return Ok(Some(bookmark));
        }
        Err(CliError::Usage(format!(
            "{shown} belongs to a run with other clips or settings; repeat that command, or begin \
             anew without --resume"
        )))
    }

    /// Removes the note: the table is complete.
    pub fn remove(&self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.path);
    }

    /// Whether a table without a note is there: a complete one.
    pub fn is_done(&self, out: &Path) -> bool {
        !self.path.exists() && fs::metadata(out).is_ok_and(|found| found.len() > 0)
    }
}

/// Everything that decides what the rows are.
fn asked(args: &Args) -> String {
    format!(
        "{:?} {:?} every {} from {} to {:?} at {} part {:?}",
        args.paths, args.format, args.every, args.from, args.to, args.fps, args.shard
    )
}
