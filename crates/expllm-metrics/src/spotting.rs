//! Spotting: which movements of a video were found.

use serde::{Deserialize, Serialize};

use crate::MetricError;
use crate::error::check_finite;

/// Overlap from which an interval counts as found in the challenges of MEGC.
pub const MEGC_OVERLAP: f64 = 0.5;

/// Counts of intervals that were found, made up and missed; a streaming accumulator over videos.
///
/// The protocol is that of the spotting tasks of the Facial Micro-Expression Grand Challenge (MEGC
/// 2019 to 2022): an interval is found when the overlap of some true one with it, over the union
/// of both, is **at least** [`MEGC_OVERLAP`]; every interval counts once; counts are summed over
/// all videos before F1 is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spotting {
    /// True intervals that were found.
    pub found: u64,
    /// Intervals without a true one.
    pub made_up: u64,
    /// True intervals that were not found.
    pub missed: u64,
}

impl Spotting {
    /// Counts the intervals of one video, each a beginning and an end in seconds or frames; pairs
    /// are matched from the largest overlap to the smallest.
    ///
    /// # Errors
    ///
    /// [`MetricError::NotFinite`] for a beginning or an end that is no number.
    pub fn add(
        &mut self,
        truth: &[(f64, f64)],
        spotted: &[(f64, f64)],
        overlap: f64,
    ) -> Result<(), MetricError> {
        for (what, intervals) in [("a true interval", truth), ("a spotted interval", spotted)] {
            let ends: Vec<_> = intervals.iter().map(|(a, b)| a + b).collect();
            check_finite(what, &ends)?;
        }
        let matched = matched_intervals(truth, spotted, overlap).len() as u64;
        self.found += matched;
        self.made_up += spotted.len() as u64 - matched;
        self.missed += truth.len() as u64 - matched;
        Ok(())
    }

    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: &Self) {
        self.found += other.found;
        self.made_up += other.made_up;
        self.missed += other.missed;
    }

    /// Share of the spotted intervals that are true; `None` when none was spotted.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        share(self.found, self.found + self.made_up)
    }

    /// Share of the true intervals that were found; `None` when there are none.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        share(self.found, self.found + self.missed)
    }

    /// `2 TP / (2 TP + FP + FN)`; `None` without any interval.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        share(2 * self.found, 2 * self.found + self.made_up + self.missed)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Pairs of a true and a spotted interval, by their places, that overlap by at least a share of
/// their union; each interval is in one pair at most, the largest overlaps first.
#[must_use]
pub fn matched_intervals(
    truth: &[(f64, f64)],
    spotted: &[(f64, f64)],
    least: f64,
) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (t, &true_one) in truth.iter().enumerate() {
        for (s, &spotted_one) in spotted.iter().enumerate() {
            let overlap = overlap(true_one, spotted_one);
            if overlap >= least && overlap > 0.0 {
                pairs.push((overlap, t, s));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut taken, mut used) = (vec![false; truth.len()], vec![false; spotted.len()]);
    let mut free = |&(_, t, s): &(f64, usize, usize)| {
        let free = !taken[t] && !used[s];
        if free {
            (taken[t], used[s]) = (true, true);
        }
        free
    };
    let kept = pairs.into_iter().filter(|pair| free(pair));
    kept.map(|(_, t, s)| (t, s)).collect()
}

/// Intersection over union of two intervals.
fn overlap(a: (f64, f64), b: (f64, f64)) -> f64 {
    let both = (a.1.min(b.1) - a.0.max(b.0)).max(0.0);
    let union = (a.1 - a.0).max(0.0) + (b.1 - b.0).max(0.0) - both;
    if union > 0.0 { both / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_an_overlap_is_enough_and_one_interval_finds_one() {
        let mut counts = Spotting::default();
        let spotted = [(0.0, 5.0), (0.0, 10.0), (30.0, 31.0)];
        counts
            .add(&[(0.0, 10.0), (50.0, 60.0)], &spotted, MEGC_OVERLAP)
            .unwrap();
        assert_eq!(
            counts,
            Spotting {
                found: 1,
                made_up: 2,
                missed: 1
            }
        );
        assert_eq!(counts.f1(), Some(0.4));
        counts
            .add(&[(0.0, 10.0)], &[(5.0, 10.0)], MEGC_OVERLAP)
            .unwrap();
        assert_eq!(counts.found, 2);
        counts
            .add(&[(0.0, 10.0)], &[(5.1, 10.0)], MEGC_OVERLAP)
            .unwrap();
        assert_eq!(counts.found, 2);
        assert_eq!(Spotting::default().f1(), None);
        assert!(counts.add(&[(f64::NAN, 1.0)], &[], 0.5).is_err());
    }

    proptest! {
        #[test]
        fn the_truth_finds_itself_and_counts_add_up(
            starts in prop::collection::vec(0.0_f64..100.0, 0..8),
            others in prop::collection::vec((0.0_f64..100.0, 0.1_f64..9.0), 0..8),
        ) {
            let truth: Vec<_> = starts.iter().map(|&s| (s, s + 3.0)).collect();
            let mut own = Spotting::default();
            own.add(&truth, &truth, MEGC_OVERLAP).unwrap();
            prop_assert_eq!(own.found as usize, truth.len());
            let spotted: Vec<_> = others.iter().map(|&(s, l)| (s, s + l)).collect();
            let mut counts = Spotting::default();
            counts.add(&truth, &spotted, MEGC_OVERLAP).unwrap();
            prop_assert_eq!((counts.found + counts.missed) as usize, truth.len());
            prop_assert_eq!((counts.found + counts.made_up) as usize, spotted.len());
        }
    }
}
