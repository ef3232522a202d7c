//! Where a row stands among all.

use std::cmp::Ordering;
use std::path::Path;

/// The place of a row: by it rows are ordered and told apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The photo or clip.
    pub file: String,
    /// Time in seconds in tables of clips, a finite number.
    pub time: Option<f64>,
    /// Number of the frame, 0 in tables of photos.
    pub frame: u64,
    /// The person of a clip or the face of a photo; `None` where there is nobody.
    pub face: Option<u64>,
}

impl Key {
    /// Whether both rows are of one photo, or of one frame of a clip: such rows stand in one table
    /// only.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.file == other.file && self.time == other.time
    }

    /// The photo, or the clip and the time, in words.
    pub fn shown(&self) -> String {
        match self.time {
            Some(time) => format!("{} at {time:.3} s", self.file),
            None => self.file.clone(),
        }
    }

    fn within_file(&self, other: &Self) -> Ordering {
        let times = self.time.unwrap_or(0.0);
        let times = times.total_cmp(&other.time.unwrap_or(0.0));
        let frames = || self.frame.cmp(&other.frame);
        times.then_with(frames).then(self.face.cmp(&other.face))
    }
}

/// An order of files, in each of which rows are ordered by time, frame and person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Folder by folder, names by their letters, as photos are found.
    Path,
    /// Names by their letters and numbers (`2.mp4` before `10.mp4`), as clips are found.
    Natural,
}

impl Order {
    /// How two rows are ordered.
    pub fn compare(self, a: &Key, b: &Key) -> Ordering {
        if a.file == b.file {
            return a.within_file(b);
        }
        let by_path = || Path::new(&a.file).cmp(Path::new(&b.file));
        let files = match self {
            Self::Path => by_path(),
            Self::Natural => alphanumeric_sort::compare_path(&a.file, &b.file).then_with(by_path),
        };
        files.then_with(|| a.file.cmp(&b.file))
    }
}
