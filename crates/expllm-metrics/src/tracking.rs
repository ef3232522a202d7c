//! Tracks of people: who was followed, and whether numbers were kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts over the frames of one video, after CLEAR MOT (Bernardin and Stiefelhagen 2008,
/// section 2): a switch is counted in each frame in which a true person carries another number
/// than in the last frame in which somebody was found there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    /// True people in frames who were found.
    pub found: u64,
    /// True people in frames who were not.
    pub missed: u64,
    /// Found people in frames where nobody was.
    pub made_up: u64,
    /// Changes of number.
    pub switches: u64,
    /// The last number of each true person.
    last: BTreeMap<u32, u32>,
}

impl Tracking {
    /// Counts a true person in a frame; `number` is that of who was found there.
    pub fn add(&mut self, person: u32, number: Option<u32>) {
        let Some(number) = number else {
            self.missed += 1;
            return;
        };
        self.found += 1;
        let before = self.last.insert(person, number);
        self.switches += u64::from(before.is_some_and(|before| before != number));
    }

    /// Share of the true people in frames who were found; `None` without any.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        let all = self.found + self.missed;
        (all > 0).then(|| self.found as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_counted_once_also_after_a_pause() {
        let mut tracking = Tracking::default();
        let frames = [
            (0, Some(5)),
            (1, Some(6)),
            (0, None),
            (1, Some(6)),
            (0, Some(6)),
            (1, Some(5)),
            (0, Some(6)),
        ];
        for (person, number) in frames {
            tracking.add(person, number);
        }
        assert_eq!((tracking.found, tracking.missed), (6, 1));
        assert_eq!(tracking.switches, 2);
        assert_eq!(tracking.recall(), Some(6.0 / 7.0));
        assert_eq!(Tracking::default().recall(), None);
    }
}
