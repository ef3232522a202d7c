//! `--truth`: how well people and movements of a rendered clip were found.

mod coded;
mod figures;
#[cfg(test)]
mod spotting;
mod truth;

use std::collections::BTreeMap;
use std::path::Path;

use expllm_core::FaceOutcome;
use expllm_metrics::{Spotting, Tracking};
use expllm_video::FrameReading;
use expllm_video::series::PersonEvents;

pub use coded::Coded;

use crate::CliError;
use figures::Figures;
use truth::{Place, Truth};

/// Distance in distances of the eyes within which a face is that of a true person.
const NEAR: f32 = 1.2;

/// Compares a clip with its truth.
pub struct Judge {
    truth: Truth,
    tracking: Tracking,
    /// Frames in which a number was found on a true person.
    shared: BTreeMap<u32, BTreeMap<u32, u64>>,
    rate: f64,
}

impl Judge {
    /// Reads the truth of a clip with so many frames a second.
    pub fn new(dir: &Path, rate: f64) -> Result<Self, CliError> {
        Ok(Self {
            truth: Truth::read(dir)?,
            tracking: Tracking::default(),
            shared: BTreeMap::new(),
            rate,
        })
    }

    /// Compares the people of a frame.
    pub fn frame(&mut self, frame: &FrameReading) {
        let Some(places) = self.truth.frame(frame.time) else {
            return;
        };
        let mut left: Vec<_> = frame.people.iter().collect();
        let (hidden, in_sight): (Vec<_>, Vec<_>) = places.iter().partition(|place| place.hidden);
        for (person, number) in take_nearest(&mut left, in_sight) {
            self.tracking.add(person, number);
            if let Some(number) = number {
                let numbers = self.shared.entry(number).or_default();
                *numbers.entry(person).or_default() += 1;
            }
        }
        // Whoever is followed behind somebody is right, and nobody asks for it.
        take_nearest(&mut left, hidden);
        self.tracking.made_up += left.len() as u64;
    }

    /// The true person whom a number followed in most frames.
    fn person_of(&self, number: u32) -> Option<u32> {
        let people = self.shared.get(&number)?;
        let most = people.iter().max_by_key(|(_, frames)| **frames);
        most.map(|(person, _)| *person)
    }

    /// The figures as lines of text.
    pub fn judge(&self, spotted: &BTreeMap<u32, PersonEvents>) -> Result<Vec<String>, CliError> {
        let mut by_person: BTreeMap<u32, PersonEvents> = BTreeMap::new();
        for person in self.truth.events.keys() {
            by_person.entry(*person).or_default();
        }
        for (number, events) in spotted {
            let Some(person) = self.person_of(*number) else {
                continue;
            };
            let all = by_person.entry(person).or_default();
            all.blinks.extend(&events.blinks);
            all.movements.extend(&events.movements);
            all.micro_expressions
                .extend(events.micro_expressions.iter().cloned());
        }
        let mut figures = Figures::default();
        for (person, events) in &by_person {
            figures.add(&self.truth, *person, events)?;
        }
        Ok(self.lines(&figures))
    }

    fn lines(&self, figures: &Figures) -> Vec<String> {
        let t = &self.tracking;
        let mut lines = vec![
            format!(
                "people: {} switches of number; found in {:.2} % of {} places in sight; {} made up",
                t.switches,
                100.0 * t.recall().unwrap_or(0.0),
                t.found + t.missed,
                t.made_up
            ),
            line("movements above 0.3", &figures.movements()),
            line("micro-expressions", &figures.micro),
            line("blinks", &figures.blinks),
        ];
        lines.extend(apexes(&figures.apexes, self.rate));
        for (unit, counts) in &figures.units {
            if *counts != Spotting::default() {
                lines.push(line(unit.name(), counts));
            }
        }
        lines
    }
}

/// The number at each place, the nearest first; they are taken from those that are left.
fn take_nearest(
    left: &mut Vec<&(u32, FaceOutcome)>,
    mut places: Vec<&Place>,
) -> Vec<(u32, Option<u32>)> {
    let mut numbers = Vec::new();
    while let Some((at, face)) = nearest(left, &places) {
        let place = places.swap_remove(at);
        numbers.push((place.person, Some(left.swap_remove(face).0)));
    }
    numbers.extend(places.into_iter().map(|place| (place.person, None)));
    numbers
}

/// The pair of a place and a face that are nearest to each other, if they are near enough.
fn nearest(left: &[&(u32, FaceOutcome)], places: &[&Place]) -> Option<(usize, usize)> {
    let distance = |(place, face): (usize, usize)| match &left[face].1 {
        Ok(face) => {
            let place = places[place];
            face.face_box.center().distance(place.center) / place.eyes
        }
        Err(_) => f32::INFINITY,
    };
    let pairs = (0..places.len()).flat_map(|place| (0..left.len()).map(move |face| (place, face)));
    let best = pairs.min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
    best.filter(|&pair| distance(pair) <= NEAR)
}

fn line(name: &str, counts: &Spotting) -> String {
    let share = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
    format!(
        "{name}: F1 {}, precision {}, recall {} (true {}, found {}, made up {})",
        share(counts.f1()),
        share(counts.precision()),
        share(counts.recall()),
        counts.found + counts.missed,
        counts.found,
        counts.made_up
    )
}

fn apexes(seconds: &[f64], rate: f64) -> Option<String> {
    let mut frames: Vec<_> = seconds.iter().map(|s| s * rate).collect();
    frames.sort_by(f64::total_cmp);
    let median = frames.get(frames.len() / 2)?;
    let near = frames.iter().filter(|f| **f <= 2.0 + 1e-6).count();
    let share = 100.0 * near as f64 / frames.len() as f64;
    Some(format!(
        "apex of found movements: {share:.1} % within two frames, {median:.1} off in the middle (n {})",
        frames.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apexes_are_counted_in_frames() {
        let said = apexes(&[0.0, 0.08, 0.2, 0.04], 25.0).unwrap();
        assert!(
            said.contains("75.0 %") && said.contains("2.0 off"),
            "{said}"
        );
        assert!(apexes(&[], 25.0).is_none());
    }
}
