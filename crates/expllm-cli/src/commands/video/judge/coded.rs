//! `--coded`: micro-expressions against the intervals that people coded, as in MEGC.

use std::collections::BTreeMap;
use std::path::Path;

use expllm_metrics::{MEGC_OVERLAP, Spotting};
use expllm_video::series::PersonEvents;
use serde::Deserialize;

use super::{line, truth};
use crate::CliError;

#[derive(Debug, Deserialize)]
struct Row {
    file: String,
    onset: f64,
    offset: f64,
}

/// Coded intervals of many clips, and how many were found so far.
#[derive(Debug, Default)]
pub struct Coded {
    /// Onsets and offsets in seconds, by clip; those of clips that were read are taken out.
    left: BTreeMap<String, Vec<(f64, f64)>>,
    counts: Spotting,
    clips: u64,
}

impl Coded {
    /// Reads a CSV file with the columns `file`, `onset` and `offset`, in seconds. A clip without
    /// micro-expressions needs no row.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let mut coded = Self::default();
        for row in truth::rows::<Row>(path)? {
            let span = (row.onset, row.offset);
            coded.left.entry(row.file).or_default().push(span);
        }
        Ok(coded)
    }

    /// Counts the micro-expressions of a clip, whoever shows them. The clip is known by its whole
    /// path, by its name, or by its name without the ending.
    pub fn clip<'a>(
        &mut self,
        path: &Path,
        people: impl Iterator<Item = &'a PersonEvents>,
    ) -> Result<(), CliError> {
        let name = |part: Option<&std::ffi::OsStr>| Some(part?.to_string_lossy().into_owned());
        let whole = Some(path.to_string_lossy().into_owned());
        let names = [whole, name(path.file_name()), name(path.file_stem())];
        let truth = names.iter().flatten().find_map(|n| self.left.remove(n));
        let truth = truth.unwrap_or_default();
        let spans = people.flat_map(|events| &events.micro_expressions);
        let spotted: Vec<_> = spans.map(|m| (m.onset, m.offset)).collect();
        self.clips += 1;
        let added = self.counts.add(&truth, &spotted, MEGC_OVERLAP);
        added.map_err(CliError::library)
    }

    /// The figures as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let clips = format!("micro-expressions of {} clips", self.clips);
        let mut lines = vec![line(&clips, &self.counts)];
        if let Some(first) = self.left.keys().next() {
            let n = self.left.len();
            lines.push(format!("{n} coded clips were not read, {first} among them"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use expllm_video::series::MicroExpression;

    use super::*;

    #[test]
    fn clips_are_known_by_their_names_and_counts_are_pooled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coded.csv");
        let text = "file,onset,offset\na,1.0,1.4\na,3.0,3.3\nb.mp4,0.5,0.9\nc,1,2\n";
        std::fs::write(&path, text).unwrap();
        let mut coded = Coded::read(&path).unwrap();
        let micro = |onset: f64| MicroExpression {
            onset,
            apex: onset + 0.1,
            offset: onset + 0.4,
            units: Vec::new(),
        };
        let events = |onsets: &[f64]| PersonEvents {
            micro_expressions: onsets.iter().copied().map(micro).collect(),
            ..PersonEvents::default()
        };
        let (a, b) = (events(&[1.0, 2.0]), events(&[0.5]));
        coded.clip(Path::new("x/a.mp4"), [&a].into_iter()).unwrap();
        coded.clip(Path::new("x/b.mp4"), [&b].into_iter()).unwrap();
        let counts = coded.counts;
        assert_eq!((counts.found, counts.made_up, counts.missed), (2, 1, 1));
        assert!(coded.lines()[1].contains("1 coded clips were not read, c"));
    }
}
