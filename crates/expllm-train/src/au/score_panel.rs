//! The figures of rated faces, as rows.

use super::panel::Rating;
use super::panel_score::{MovementFigures, PanelFigures, panel_figures};
use super::path::FacePath;
use super::score::AuScores;
use crate::{RealFace, TrainError};

/// Measures on rated faces: means over the movements, then every movement.
///
/// # Errors
///
/// When a network fails or a figure is not defined on its numbers.
pub fn score_panel(
    path: &FacePath,
    ratings: &[Rating],
    faces: &[RealFace],
) -> Result<AuScores, TrainError> {
    let findings = path.findings(faces)?;
    let mut scores = AuScores::default();
    for (archive, name) in [("wild/", "panel, wild"), ("fer2013/", "panel, FER2013")] {
        let half: Vec<Rating> = (ratings.iter())
            .filter(|rating| rating.file.starts_with(archive))
            .cloned()
            .collect();
        let figures = panel_figures(&half, &findings)?;
        push_panel(name, &figures, &mut scores);
    }
    Ok(scores)
}

/// What is wanted of the means, `wild` and FER2013.
const PANEL_WANTED: [(&str, [&str; 4]); 2] = [
    ("panel, wild", [">= 0.67", ">= 0.96", ">= 0.66", ">= 0.75"]),
    (
        "panel, FER2013",
        [">= 0.73", ">= 0.96", ">= 0.73", ">= 0.74"],
    ),
];

fn push_panel(name: &str, figures: &PanelFigures, scores: &mut AuScores) {
    let wanted = PANEL_WANTED.iter().find(|(known, _)| *known == name);
    let wanted = wanted.map_or([""; 4], |(_, wanted)| *wanted);
    let faces = figures.movements.iter().map(|m| m.n).max().unwrap_or(0);
    type Of = fn(&MovementFigures) -> Option<f64>;
    let means: [(&str, Of, &'static str); 5] = [
        ("mean Spearman", |m| m.spearman, wanted[0]),
        (
            "mean Spearman, raters themselves",
            |m| m.raters_spearman,
            "",
        ),
        ("mean AUC of clear against none", |m| m.auc, wanted[1]),
        ("mean F1 of active", |m| m.f1, wanted[2]),
        ("mean F1 of active, raters themselves", |m| m.raters_f1, ""),
    ];
    for (what, of, wanted) in means {
        let value = figures.mean(of).map(|(mean, _)| mean);
        scores.push(format!("{name}: {what}"), value, wanted, faces);
    }
    let lowest = figures.lowest_auc();
    let which = lowest.map_or("none", |(_, name)| name);
    scores.push(
        format!("{name}: lowest AUC ({which})"),
        lowest.map(|(auc, _)| auc),
        ">= 0.90",
        faces,
    );
    let share = |(n, right): (usize, usize)| (n > 0).then(|| right as f64 / n as f64);
    let (expression, sides) = (figures.expression, figures.sides);
    scores.push(
        format!("{name}: expression on which raters agree"),
        share(expression),
        wanted[3],
        expression.0,
    );
    scores.push(
        format!("{name}: stronger side that raters name"),
        share(sides),
        "",
        sides.0,
    );
    for movement in &figures.movements {
        push_movement(name, movement, scores);
    }
}

fn push_movement(name: &str, movement: &MovementFigures, scores: &mut AuScores) {
    let label = |what: &str| format!("{name}, {}: {what}", movement.name);
    let mut push = |what: &str, value: Option<f64>, n: usize| {
        scores.push(label(what), value, "", n);
    };
    push("Spearman", movement.spearman, movement.n);
    push(
        "Spearman, raters themselves",
        movement.raters_spearman,
        movement.n,
    );
    push("AUC of clear against none", movement.auc, movement.clear);
    push("F1 of active", movement.f1, movement.active);
    push(
        "F1 of active, raters themselves",
        movement.raters_f1,
        movement.active,
    );
    for (step, reading) in ["none", "slight", "clear", "strong"]
        .iter()
        .zip(movement.strength)
    {
        push(&format!("mean reading of {step}"), reading, movement.n);
    }
}
