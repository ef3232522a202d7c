//! What `expllm synth --clip` wrote about a clip.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use expllm_core::{ActionUnit, Point};
use expllm_train::synth::clip::ClipEventKind;
use serde::Deserialize;

use crate::CliError;

/// A person in a frame.
#[derive(Debug, Clone, Copy, Deserialize)]
struct FrameRow {
    time: f64,
    person: u32,
    x: f32,
    y: f32,
    /// Distance of the eyes in pixels.
    eyes: f32,
    hidden: u8,
}

#[derive(Debug, Deserialize)]
struct EventRow {
    person: u32,
    kind: ClipEventKind,
    units: String,
    onset: f64,
    apex: f64,
    offset: f64,
    height: f32,
}

/// A true person in a frame.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Who.
    pub person: u32,
    /// Middle of the face in pixels.
    pub center: Point,
    /// Distance of the eyes in pixels.
    pub eyes: f32,
    /// Whether somebody stands in front of the face.
    pub hidden: bool,
}

/// A true movement.
#[derive(Debug, Clone)]
pub struct Event {
    /// What it belongs to.
    pub kind: ClipEventKind,
    /// The units.
    pub units: Vec<ActionUnit>,
    /// Time of the apex in seconds.
    pub apex: f64,
    /// Onset and offset in seconds.
    pub span: (f64, f64),
    /// Intensity at the apex.
    pub height: f32,
}

/// All that is true of a clip.
#[derive(Debug, Default)]
pub struct Truth {
    /// People of each frame, by its time in milliseconds.
    pub(super) frames: HashMap<i64, Vec<Place>>,
    /// What each person does.
    pub events: BTreeMap<u32, Vec<Event>>,
    /// When each person is hidden, in seconds.
    pub(super) hidden: BTreeMap<u32, Vec<f64>>,
}

impl Truth {
    /// Reads `truth.csv` and `events.csv` of a folder.
    pub fn read(dir: &Path) -> Result<Self, CliError> {
        let mut truth = Self::default();
        for row in rows::<FrameRow>(&dir.join("truth.csv"))? {
            if row.hidden != 0 {
                truth.hidden.entry(row.person).or_default().push(row.time);
            }
            truth.frames.entry(key(row.time)).or_default().push(Place {
                person: row.person,
                center: Point::new(row.x, row.y),
                eyes: row.eyes,
                hidden: row.hidden != 0,
            });
        }
        for row in rows::<EventRow>(&dir.join("events.csv"))? {
            let units = row.units.split(' ').filter_map(|name| name.parse().ok());
            truth.events.entry(row.person).or_default().push(Event {
                kind: row.kind,
                units: units.collect(),
                apex: row.apex,
                span: (row.onset, row.offset),
                height: row.height,
            });
        }
        Ok(truth)
    }

    /// The people of the frame at a time in seconds; `None` where no frame is known.
    pub fn frame(&self, time: f64) -> Option<&[Place]> {
        self.frames.get(&key(time)).map(Vec::as_slice)
    }

    /// Whether a person is hidden within a stretch of time or just beside it.
    pub fn is_hidden(&self, person: u32, span: (f64, f64)) -> bool {
        let near = |time: &f64| *time > span.0 - 0.2 && *time < span.1 + 0.2;
        let times = self.hidden.get(&person);
        times.is_some_and(|times| times.iter().any(near))
    }
}

fn key(time: f64) -> i64 {
    (time * 1000.0).round() as i64
}

/// The rows of a CSV file.
pub fn rows<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, CliError> {
    let named = |error: csv::Error| CliError::library(format!("{}: {error}", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(named)?;
    let rows: Result<_, _> = reader.deserialize().collect();
    rows.map_err(named)
}
