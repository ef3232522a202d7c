//! Onset, apex and offset.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What counts as a movement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MovementOptions {
    /// Height above rest that a movement must reach; 0.1 by default.
    pub height: f32,
    /// Share of its height where a movement begins and ends; 0.3 by default.
    pub flank: f32,
    /// Seconds without a sample after which what follows is another movement; 0.3 by default.
    pub gap: f64,
}

impl Default for MovementOptions {
    fn default() -> Self {
        Self {
            height: 0.1,
            flank: 0.3,
            gap: 0.3,
        }
    }
}

/// One rise and fall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    /// Time in seconds at which the flank is crossed upwards, on the line between two samples.
    pub onset: f64,
    /// Time in seconds of the highest sample.
    pub apex: f64,
    /// Time in seconds at which the flank is crossed downwards.
    pub offset: f64,
    /// Height of the apex above rest.
    pub height: f32,
}

impl Movement {
    /// Seconds from onset to offset.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.offset - self.onset
    }
}

/// The movements of a series in the order of time, which do not overlap.
///
/// The highest sample is the apex of the first; it lasts as long as the series stays above `flank`
/// of its height to both sides. The same is done with what is left to its left and right, where a
/// highest sample at the edge of a taken movement is the slope of that one and no movement.
///
/// `heights` are those above rest, see [`super::smoothed`]; times rise in seconds.
#[must_use]
pub fn movements(times: &[f64], heights: &[f32], options: &MovementOptions) -> Vec<Movement> {
    let all = times.len().min(heights.len());
    let peaks = Peaks {
        times: &times[..all],
        heights: &heights[..all],
        options,
    };
    let mut found = Vec::new();
    for stretch in peaks.stretches() {
        peaks.find(stretch.clone(), &stretch, &mut found);
    }
    found.sort_by(|a, b| a.onset.total_cmp(&b.onset));
    found
}

struct Peaks<'a> {
    times: &'a [f64],
    heights: &'a [f32],
    options: &'a MovementOptions,
}

impl Peaks<'_> {
    /// Samples without a gap between them.
    fn stretches(&self) -> Vec<Range<usize>> {
        let gap = |&i: &usize| self.times[i] - self.times[i - 1] > self.options.gap;
        let mut cuts: Vec<_> = (1..self.times.len()).filter(gap).collect();
        cuts.insert(0, 0);
        cuts.push(self.times.len());
        cuts.windows(2).map(|cut| cut[0]..cut[1]).collect()
    }

    /// Adds the movements within a range of a stretch.
    fn find(&self, range: Range<usize>, stretch: &Range<usize>, found: &mut Vec<Movement>) {
        // Ranges that are still to be searched; a loop, since clips may be long.
        let mut waiting = vec![range];
        while let Some(range) = waiting.pop() {
            let top = range
                .clone()
                .max_by(|&a, &b| self.heights[a].total_cmp(&self.heights[b]));
            let Some(apex) = top.filter(|&top| self.heights[top] >= self.options.height) else {
                continue;
            };
            let flank = self.options.flank * self.heights[apex];
            let below = |i: &usize| self.heights[*i] < flank;
            let first = (range.start..apex)
                .rev()
                .find(below)
                .map_or(range.start, |i| i + 1);
            let end = (apex..range.end).find(below).unwrap_or(range.end);
            if self.is_peak(apex, stretch) {
                found.push(Movement {
                    onset: match first > range.start {
                        true => self.crossing(first, first - 1, flank),
                        false => self.times[first],
                    },
                    apex: self.times[apex],
                    offset: match end < range.end {
                        true => self.crossing(end - 1, end, flank),
                        false => self.times[end - 1],
                    },
                    height: self.heights[apex],
                });
            }
            waiting.extend([range.start..first, end..range.end]);
        }
    }

    /// Time at which the line from a sample above a height to one below meets it.
    fn crossing(&self, above: usize, below: usize, height: f32) -> f64 {
        let (high, low) = (self.heights[above], self.heights[below]);
        let share = f64::from((high - height) / (high - low));
        self.times[above] + share * (self.times[below] - self.times[above])
    }

    /// Whether no neighbour of the stretch is higher.
    fn is_peak(&self, apex: usize, stretch: &Range<usize>) -> bool {
        let lower = |i: usize| !stretch.contains(&i) || self.heights[i] <= self.heights[apex];
        apex.checked_sub(1).is_none_or(lower) && lower(apex + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(count: usize) -> Vec<f64> {
        (0..count).map(|i| i as f64 / 25.0).collect()
    }

    fn triangle(at: usize, apex: usize, half: usize, height: f32) -> f32 {
        (height * (1.0 - at.abs_diff(apex) as f32 / half as f32)).max(0.0)
    }

    #[test]
    fn two_peaks_are_two_movements_with_their_flanks() {
        let heights: Vec<_> = (0..60)
            .map(|i| triangle(i, 15, 10, 0.8).max(triangle(i, 40, 5, 0.3)))
            .collect();
        let found = movements(&times(60), &heights, &MovementOptions::default());
        let apexes: Vec<_> = found
            .iter()
            .map(|m| (m.apex * 25.0).round() as u32)
            .collect();
        assert_eq!(apexes, [15, 40]);
        // 30 % of the height is reached seven frames from the apex.
        assert!((found[0].onset - 8.0 / 25.0).abs() < 1e-5);
        assert!((found[0].offset - 22.0 / 25.0).abs() < 1e-5);
        // And three and a half from that of the narrower one.
        assert!((found[1].duration() - 7.0 / 25.0).abs() < 1e-5);
    }

    #[test]
    fn a_gap_ends_a_movement_and_nothing_gives_nothing() {
        let mut broken = times(20);
        broken[10..].iter_mut().for_each(|t| *t += 2.0);
        let found = movements(&broken, &[0.5; 20], &MovementOptions::default());
        assert_eq!(found.len(), 2);
        assert!(movements(&[], &[], &MovementOptions::default()).is_empty());
    }

    proptest! {
        #[test]
        fn movements_are_ordered_high_enough_and_apart(
            heights in prop::collection::vec(-0.2_f32..1.0, 0..80),
        ) {
            let found = movements(&times(heights.len()), &heights, &MovementOptions::default());
            for m in &found {
                prop_assert!(m.onset <= m.apex && m.apex <= m.offset && m.height >= 0.1);
            }
            prop_assert!(found.windows(2).all(|w| w[0].offset <= w[1].onset));
            let top = heights.iter().copied().fold(0.0, f32::max);
            prop_assert_eq!(top >= 0.1, found.iter().any(|m| m.height == top));
        }
    }
}
