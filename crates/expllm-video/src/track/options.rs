//! How people are followed.

use serde::{Deserialize, Serialize};

/// How people are followed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackOptions {
    /// Seconds between searches of whole frames while somebody is in sight; 1 by default.
    pub search: f64,
    /// Seconds between searches of whole frames while nobody is, or somebody has just been lost;
    /// 0.15 by default.
    pub search_lost: f64,
    /// Seconds between looks whether a followed face is still one; 0.3 by default.
    pub check: f64,
    /// Seconds for which a number is kept for a person out of sight; 10 by default.
    pub memory: f64,
    /// Likeness of a face to its person, from -1 to 1, below which it is looked for at once; 0.7
    /// by default.
    pub doubt: f32,
    /// Likeness from which a face is taken for a person out of sight; 0.8 by default.
    pub same: f32,
    /// The same for a person lost within `recent` seconds, if nobody else is about as alike; 0.4
    /// by default.
    pub near: f32,
    /// See `near`; 4 by default.
    pub recent: f64,
    /// The same for a person lost beside somebody who may have covered the face; 0 by default.
    pub behind: f32,
}

impl Default for TrackOptions {
    fn default() -> Self {
        Self {
            search: 1.0,
            search_lost: 0.15,
            check: 0.3,
            memory: 10.0,
            doubt: 0.7,
            same: 0.8,
            near: 0.4,
            recent: 4.0,
            behind: 0.0,
        }
    }
}
