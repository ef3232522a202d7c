//! Figures of spotting against the truth.

use std::collections::BTreeMap;

use expllm_core::ActionUnit;
use expllm_metrics::{MEGC_OVERLAP, Spotting, matched_intervals};
use expllm_train::synth::clip::ClipEventKind;
use expllm_video::series::PersonEvents;

use super::truth::{Event, Truth};
use crate::CliError;

/// Height above which a true movement must be found.
const WANTED: f32 = 0.3;
/// Height from which a spotted one counts: half of that.
const COUNTED: f32 = 0.15;

type Span = (f64, f64);

/// Counts over all people.
#[derive(Debug, Default)]
pub struct Figures {
    /// Movements of each unit.
    pub units: BTreeMap<ActionUnit, Spotting>,
    /// Micro-expressions.
    pub micro: Spotting,
    /// Blinks.
    pub blinks: Spotting,
    /// Distances in seconds of the apexes of found movements to the true ones.
    pub apexes: Vec<f64>,
}

impl Figures {
    /// Adds what was spotted of a true person. What happens while the face is hidden counts for
    /// nothing, and so do movements of the mouth while it speaks.
    pub fn add(
        &mut self,
        truth: &Truth,
        person: u32,
        spotted: &PersonEvents,
    ) -> Result<(), CliError> {
        let events = truth.events.get(&person).map_or(&[][..], Vec::as_slice);
        let seen: Vec<_> = events
            .iter()
            .filter(|e| !truth.is_hidden(person, e.span))
            .collect();
        let in_sight = |span: &Span| !truth.is_hidden(person, *span);
        for unit in ActionUnit::ALL {
            self.unit(unit, events, &seen, (spotted, &in_sight))?;
        }
        let of_kind = |kind| spans(seen.iter().filter(|e| e.kind == kind));
        let micro = spotted
            .micro_expressions
            .iter()
            .map(|m| (m.onset, m.offset));
        let micro: Vec<_> = micro.filter(in_sight).collect();
        let blinks = spotted.blinks.iter().map(|b| (b.onset, b.offset));
        let blinks: Vec<_> = blinks.filter(in_sight).collect();
        add(&mut self.micro, &of_kind(ClipEventKind::Micro), &micro)?;
        add(&mut self.blinks, &of_kind(ClipEventKind::Blink), &blinks)
    }

    fn unit(
        &mut self,
        unit: ActionUnit,
        events: &[Event],
        seen: &[&Event],
        (spotted, in_sight): (&PersonEvents, &dyn Fn(&Span) -> bool),
    ) -> Result<(), CliError> {
        use ClipEventKind::{Micro, Movement};
        let wanted = |e: &&&Event| {
            matches!(e.kind, Movement | Micro) && e.units.contains(&unit) && e.height > WANTED
        };
        let wanted: Vec<_> = seen.iter().filter(wanted).collect();
        let distracts = |span: &Span| {
            let other = |e: &&Event| !matches!(e.kind, Movement | Micro) && e.units.contains(&unit);
            let mut others = events.iter().filter(other);
            others.any(|e| e.span.0 <= span.1 && span.0 <= e.span.1)
        };
        let own = spotted.movements.iter().filter(|m| m.unit == unit);
        let high = own.filter(|m| m.movement.height >= COUNTED);
        let span = |m: &&expllm_video::series::UnitMovement| (m.movement.onset, m.movement.offset);
        let found: Vec<_> = high
            .filter(|m| in_sight(&span(m)) && !distracts(&span(m)))
            .collect();
        let (truth, found_spans) = (
            spans(wanted.iter().copied()),
            found.iter().map(span).collect::<Vec<_>>(),
        );
        for (t, f) in matched_intervals(&truth, &found_spans, MEGC_OVERLAP) {
            let apex = found[f].movement.apex - wanted[t].apex;
            self.apexes.push(apex.abs());
        }
        add(self.units.entry(unit).or_default(), &truth, &found_spans)
    }

    /// Movements of all units together.
    pub fn movements(&self) -> Spotting {
        let mut all = Spotting::default();
        self.units.values().for_each(|unit| all.merge(unit));
        all
    }
}

fn spans<'a>(events: impl Iterator<Item = &'a &'a Event>) -> Vec<Span> {
    events.map(|event| event.span).collect()
}

fn add(counts: &mut Spotting, truth: &[Span], spotted: &[Span]) -> Result<(), CliError> {
    counts
        .add(truth, spotted, MEGC_OVERLAP)
        .map_err(CliError::library)
}

#[cfg(test)]
mod tests {
    use expllm_video::series::{Movement, UnitMovement};

    use super::*;

    fn event(kind: ClipEventKind, unit: ActionUnit, span: Span) -> Event {
        Event {
            kind,
            units: vec![unit],
            apex: (span.0 + span.1) / 2.0,
            span,
            height: 0.6,
        }
    }

    #[test]
    fn speech_hides_movements_of_its_units_only() {
        let (jaw, brow) = (ActionUnit::JawDrop, ActionUnit::LeftBrowRaise);
        let truth = Truth {
            events: BTreeMap::from([(
                0,
                vec![
                    event(ClipEventKind::Speech, jaw, (1.0, 3.0)),
                    event(ClipEventKind::Movement, brow, (5.0, 6.0)),
                ],
            )]),
            ..Truth::default()
        };
        let moved = |unit, (onset, offset): Span| UnitMovement {
            unit,
            movement: Movement {
                onset,
                apex: onset + 0.5,
                offset,
                height: 0.4,
            },
        };
        let spotted = PersonEvents {
            movements: vec![
                moved(jaw, (1.5, 2.0)),
                moved(brow, (1.5, 2.0)),
                moved(brow, (5.1, 6.0)),
            ],
            ..PersonEvents::default()
        };
        let mut figures = Figures::default();
        figures.add(&truth, 0, &spotted).unwrap();
        let all = figures.movements();
        assert_eq!((all.found, all.made_up, all.missed), (1, 1, 0));
        assert_eq!(figures.apexes.len(), 1);
        assert!((figures.apexes[0] - 0.1).abs() < 1e-9);
    }
}
