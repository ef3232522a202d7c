//! What somebody does in a clip, in a few sentences.

use std::collections::BTreeMap;

use expllm_core::{ActionUnit, Expression};
use expllm_video::series::{ExpressionSegment, PersonEvents};

/// Micro-expressions whose times are told, at most.
const TOLD: usize = 8;

/// When somebody is in sight, which expressions are seen how long, and what moves.
///
/// `seen` is the time of the first and last frame in seconds.
pub fn summary(seen: (f64, f64), frames: usize, events: &PersonEvents) -> String {
    let (start, end) = seen;
    let mut text = format!("In sight from {start:.2} to {end:.2} s, in {frames} frames. ");
    text.push_str(&expressions(&events.expressions));
    let blinks = events.blinks.len();
    text.push_str(&format!("{}. ", count(blinks, "blink")));
    text.push_str(&movements(events));
    text.push_str(&micro(events));
    text
}

fn count(n: usize, what: &str) -> String {
    match n {
        0 => format!("No {what}s"),
        1 => format!("One {what}"),
        _ => format!("{n} {what}s"),
    }
}

/// Expressions by how long they were the likeliest.
fn expressions(segments: &[ExpressionSegment]) -> String {
    let mut lengths: BTreeMap<Expression, f64> = BTreeMap::new();
    for segment in segments {
        *lengths.entry(segment.expression).or_default() += segment.end - segment.start;
    }
    let all: f64 = lengths.values().sum();
    if all <= 0.0 {
        return String::new();
    }
    let mut longest: Vec<_> = lengths.into_iter().collect();
    longest.sort_by(|a, b| b.1.total_cmp(&a.1));
    let share = |(expression, length): &(Expression, f64)| {
        let name = expression.name().to_lowercase();
        format!("{name} {:.0} %", 100.0 * length / all)
    };
    let shares: Vec<_> = longest.iter().map(share).collect();
    format!("Likeliest expression: {} of the time. ", shares.join(", "))
}

/// How many movements there are, and which units move most often.
fn movements(events: &PersonEvents) -> String {
    let mut counts: BTreeMap<ActionUnit, usize> = BTreeMap::new();
    for movement in &events.movements {
        *counts.entry(movement.unit).or_default() += 1;
    }
    let mut most: Vec<_> = counts.into_iter().collect();
    most.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let all = count(events.movements.len(), "movement");
    let told = |(unit, n): &(ActionUnit, usize)| format!("{} ({n})", unit.name());
    let told: Vec<_> = most.iter().take(3).map(told).collect();
    match told.is_empty() {
        true => format!("{all}. "),
        false => format!("{all}, most often of {}. ", told.join(", ")),
    }
}

fn micro(events: &PersonEvents) -> String {
    let found = &events.micro_expressions;
    let all = count(found.len(), "micro-expression");
    let times = found.iter().take(TOLD).map(|m| format!("{:.2}", m.apex));
    let times: Vec<_> = times.collect();
    let more = if found.len() > TOLD { ", ..." } else { "" };
    match times.is_empty() {
        true => format!("{all}."),
        false => format!("{all}, at {}{more} s.", times.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_longest_comes_first() {
        let segment = |expression, start, end| ExpressionSegment {
            expression,
            start,
            apex: start,
            end,
            probability: 0.8,
        };
        let events = PersonEvents {
            expressions: vec![
                segment(Expression::Happiness, 0.0, 1.0),
                segment(Expression::Neutral, 1.0, 4.0),
            ],
            ..PersonEvents::default()
        };
        let said = summary((0.0, 4.0), 100, &events);
        let wanted = "In sight from 0.00 to 4.00 s, in 100 frames. Likeliest expression: neutral \
                      75 %, happiness 25 % of the time. No blinks. No movements. No \
                      micro-expressions.";
        assert_eq!(said, wanted);
    }
}
