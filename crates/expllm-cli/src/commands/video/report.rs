//! One HTML file: the people of clips over time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expllm_core::ActionUnit;
use expllm_video::series::{ExpressionSegment, SeriesOptions, UnitMovement};
use minijinja::{Environment, context};
use serde::Serialize;

use super::story::{Part, Told};
use crate::CliError;

const PAGE: &str = include_str!("report.html");
/// Width of the time line in units of the drawing.
const WIDTH: f64 = 1000.0;
/// Height of a unit's line.
const HEIGHT: f32 = 32.0;
/// Points of a line, at most about.
const POINTS: usize = 1000;
/// Height above rest from which a unit is worth a line.
const WORTH: f32 = 0.1;

/// Collects people; the page is rendered at the end.
#[derive(Default)]
pub struct Report {
    people: Vec<Person>,
}

#[derive(Debug, Serialize)]
struct Person {
    title: String,
    summary: String,
    pictures: Vec<Picture>,
    segments: Vec<Segment>,
    blinks: Vec<String>,
    micro: Vec<Mark>,
    lines: Vec<Line>,
    ticks: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Picture {
    x: String,
    time: String,
    data: String,
}

#[derive(Debug, Serialize)]
struct Segment {
    x: String,
    width: String,
    name: String,
    class: String,
    title: String,
    chain: Option<String>,
}

#[derive(Debug, Serialize)]
struct Mark {
    x: String,
    width: String,
    apex: String,
    title: String,
}

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    points: String,
    marks: Vec<Mark>,
}

/// From seconds to the drawing.
struct Axis {
    start: f64,
    length: f64,
}

impl Axis {
    fn x(&self, time: f64) -> String {
        format!("{:.1}", WIDTH * (time - self.start) / self.length)
    }

    fn width(&self, from: f64, to: f64) -> String {
        format!("{:.1}", (WIDTH * (to - from) / self.length).max(2.0))
    }
}

impl Report {
    /// Adds a person.
    pub fn add(&mut self, told: &Told<'_>, part: &Part) {
        let (start, end) = told.seen;
        let axis = Axis {
            start,
            length: (end - start).max(1e-3),
        };
        let events = &told.events;
        let chains = told
            .explanations
            .iter()
            .map(Some)
            .chain(std::iter::repeat(None));
        let segments = events.expressions.iter().zip(chains);
        let brief = events.micro_expressions.iter().map(|m| Mark {
            x: axis.x(m.onset),
            width: axis.width(m.onset, m.offset),
            apex: axis.x(m.apex),
            title: format!("micro-expression, {:.2} to {:.2} s", m.onset, m.offset),
        });
        self.people.push(Person {
            title: format!("{}: person {}", told.file, told.person),
            summary: told.summary.clone(),
            pictures: part.pictures.iter().map(|p| picture(p, &axis)).collect(),
            segments: segments
                .map(|(s, chain)| segment(s, chain, &axis))
                .collect(),
            blinks: events
                .blinks
                .iter()
                .map(|blink| axis.x(blink.apex))
                .collect(),
            micro: brief.collect(),
            lines: lines(part, &events.movements, &axis),
            ticks: ticks(&axis),
        });
    }

    /// The page.
    pub fn render(self) -> Result<String, CliError> {
        let mut templates = Environment::new();
        templates
            .add_template("report.html", PAGE)
            .map_err(CliError::library)?;
        let people = minijinja::Value::from(minijinja::value::Serde(self.people));
        let page = templates.get_template("report.html");
        page.and_then(|page| page.render(context! { people }))
            .map_err(CliError::library)
    }
}

fn picture((time, jpeg): &(f64, Vec<u8>), axis: &Axis) -> Picture {
    Picture {
        x: axis.x(*time),
        time: format!("{time:.2} s"),
        data: STANDARD.encode(jpeg),
    }
}

fn segment(segment: &ExpressionSegment, chain: Option<&String>, axis: &Axis) -> Segment {
    let ExpressionSegment {
        expression,
        start,
        end,
        probability,
        ..
    } = segment;
    let share = 100.0 * probability;
    Segment {
        x: axis.x(*start),
        width: axis.width(*start, *end),
        name: expression.name().to_owned(),
        class: expression.name().to_lowercase(),
        title: format!("{expression}, {start:.2} to {end:.2} s, {share:.0} %"),
        // The page has its own bold print.
        chain: chain.map(|chain| chain.replace("**", "")),
    }
}

/// The units that move, each as a line above its rest.
fn lines(part: &Part, movements: &[UnitMovement], axis: &Axis) -> Vec<Line> {
    let options = SeriesOptions::default();
    let line = |unit: ActionUnit| {
        let heights = part.series.above_rest(unit, &options)?;
        heights
            .iter()
            .any(|height| *height >= WORTH)
            .then_some(())?;
        let own = movements.iter().filter(|m| m.unit == unit);
        Some(Line {
            name: unit.name().to_owned(),
            points: points(&part.series.times, &heights, axis),
            marks: own.map(|m| mark(m, axis)).collect(),
        })
    };
    ActionUnit::ALL.into_iter().filter_map(line).collect()
}

fn mark(UnitMovement { unit, movement }: &UnitMovement, axis: &Axis) -> Mark {
    let m = movement;
    Mark {
        x: axis.x(m.onset),
        width: axis.width(m.onset, m.offset),
        apex: axis.x(m.apex),
        title: format!(
            "{unit}: onset {:.2} s, apex {:.2} s (+{:.2}), offset {:.2} s",
            m.onset, m.apex, m.height, m.offset
        ),
    }
}

/// The corners of a line; the highest of neighbours where there are too many.
fn points(times: &[f64], heights: &[f32], axis: &Axis) -> String {
    let step = times.len().div_ceil(POINTS).max(1);
    let corner = |(times, heights): (&[f64], &[f32])| {
        let top = heights.iter().copied().fold(0.0_f32, f32::max).min(1.0);
        format!("{},{:.1}", axis.x(times[0]), HEIGHT * (1.0 - top))
    };
    let corners: Vec<_> = times
        .chunks(step)
        .zip(heights.chunks(step))
        .map(corner)
        .collect();
    corners.join(" ")
}

/// Places and names of round times: about ten.
fn ticks(axis: &Axis) -> Vec<(String, String)> {
    let rough = axis.length / 10.0;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let first = (axis.start / step).ceil() as i64;
    let last = ((axis.start + axis.length) / step).floor() as i64;
    let digits = usize::from(step < 1.0) + usize::from(step < 0.1);
    let tick = |i: i64| {
        let time = i as f64 * step;
        (axis.x(time), format!("{time:.digits$} s"))
    };
    (first..=last).map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let axis = Axis {
            start: 0.3,
            length: 6.4,
        };
        let ticks = ticks(&axis);
        assert!((5..=11).contains(&ticks.len()));
        assert_eq!(ticks[0].1, "1 s");
        assert_eq!(axis.x(3.5), "500.0");
    }

    #[test]
    fn long_lines_keep_their_peaks() {
        let axis = Axis {
            start: 0.0,
            length: 400.0,
        };
        let times: Vec<_> = (0..10_000).map(|i| f64::from(i) / 25.0).collect();
        let mut heights = vec![0.0; 10_000];
        heights[5003] = 1.0;
        let drawn = points(&times, &heights, &axis);
        assert!(drawn.split(' ').count() <= 1000);
        assert!(drawn.contains(",0.0"));
    }
}
