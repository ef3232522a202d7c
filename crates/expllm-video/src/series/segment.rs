//! Stretches of one expression.

use expllm_core::{Expression, ExpressionProbabilities, ExpressionSet};
use serde::Serialize;

use super::smoothed;

/// Standard deviation in seconds of the Gaussian over probabilities.
const SIGMA: f64 = 0.15;
/// Seconds that an expression lasts at least.
const SHORTEST: f64 = 0.3;

/// A stretch in which one expression is the likeliest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExpressionSegment {
    /// The expression.
    pub expression: Expression,
    /// Time in seconds of its first frame.
    pub start: f64,
    /// Time in seconds of the frame in which it is likeliest.
    pub apex: f64,
    /// Time in seconds of its last frame.
    pub end: f64,
    /// Its mean probability.
    pub probability: f32,
}

/// Cuts a series of probabilities into stretches of one expression.
///
/// Probabilities are smoothed by a Gaussian of 0.15 s, then the likeliest expression of each frame
/// is taken; a stretch shorter than 0.3 s goes to the one before it, the first to the one after.
#[must_use]
pub fn segments(
    times: &[f64],
    probabilities: &[ExpressionProbabilities],
    set: ExpressionSet,
) -> Vec<ExpressionSegment> {
    let likely: Vec<_> = probabilities.iter().map(|p| p.within(set)).collect();
    let over_time = |expression: &Expression| {
        let values: Vec<_> = likely.iter().map(|p| p.get(*expression).get()).collect();
        smoothed(times, &values, SIGMA)
    };
    let smooth: Vec<_> = Expression::ALL.iter().map(over_time).collect();
    let count = times.len().min(probabilities.len());
    let top = |frame: usize| {
        let best = (0..smooth.len()).max_by(|&a, &b| smooth[a][frame].total_cmp(&smooth[b][frame]));
        best.unwrap_or(0)
    };
    let tops: Vec<_> = (0..count).map(top).collect();
    let runs = long_enough(runs(&tops), times);
    runs.into_iter()
        .map(|run| segment(run, times, &smooth))
        .collect()
}

/// Index of an expression, and the first and last frame of its stretch.
type Run = (usize, usize, usize);

fn runs(tops: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (frame, &top) in tops.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.0 == top => run.2 = frame,
            _ => runs.push((top, frame, frame)),
        }
    }
    runs
}

/// Gives short runs to their neighbours.
fn long_enough(runs: Vec<Run>, times: &[f64]) -> Vec<Run> {
    let is_long = |run: &Run| times[run.2] - times[run.1] >= SHORTEST;
    let mut kept: Vec<Run> = Vec::new();
    for run in runs {
        match kept.last_mut() {
            Some(before) if before.0 == run.0 || !is_long(&run) => before.2 = run.2,
            Some(first) if !is_long(first) => *first = (run.0, first.1, run.2),
            _ => kept.push(run),
        }
    }
    kept
}

fn segment((index, first, last): Run, times: &[f64], smooth: &[Vec<f32>]) -> ExpressionSegment {
    let values = &smooth[index][first..=last];
    let apex = (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]));
    ExpressionSegment {
        expression: Expression::ALL[index],
        start: times[first],
        apex: times[first + apex.unwrap_or(0)],
        end: times[last],
        probability: values.iter().sum::<f32>() / values.len() as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sure(of: Expression) -> ExpressionProbabilities {
        let share = |e: Expression| if e == of { 0.9 } else { 0.1 / 7.0 };
        ExpressionProbabilities::from_scores(Expression::ALL.map(share))
    }

    #[test]
    fn a_flicker_is_no_stretch() {
        let (calm, glad) = (sure(Expression::Neutral), sure(Expression::Happiness));
        let mut series = vec![calm; 50];
        series[10] = sure(Expression::Anger);
        series[30..50].fill(glad);
        let times: Vec<_> = (0..50).map(|i| f64::from(i) / 25.0).collect();
        let found = segments(&times, &series, ExpressionSet::Eight);
        let names: Vec<_> = found.iter().map(|s| s.expression).collect();
        assert_eq!(names, [Expression::Neutral, Expression::Happiness]);
        assert!((found[1].start - 1.2).abs() < 0.09, "{}", found[1].start);
        assert!(found[1].apex > found[1].start && found[1].end == times[49]);
        assert!(segments(&[], &[], ExpressionSet::Seven).is_empty());
    }
}
