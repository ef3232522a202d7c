//! The figures by which an action unit network is judged.

use std::collections::HashMap;

use expllm_core::{ActionUnit, AuReading, Expression, ExpressionSet, Photo};
use expllm_metrics::{Bootstrap, Calibration, Confusion, Estimate, MetricError, roc_auc, spearman};

use super::geometry::EyesAndJaw;
use super::path::FacePath;
use super::score_renders::score_synthetic;
use crate::faces::grey_photo;
use crate::synth::FaceSynthesizer;
use crate::{RealFace, TrainError};

/// One figure beside the one asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The figure; NaN when it is undefined.
    pub value: f64,
    /// Its 95 % interval, where one was taken.
    pub interval: Option<[f64; 2]>,
    /// The figure asked for, as text, such as `>= 0.85`; empty when none was.
    pub wanted: &'static str,
    /// Faces measured.
    pub n: usize,
}

/// All figures of a network.
#[derive(Debug, Clone, Default)]
pub struct AuScores {
    /// In the order measured.
    pub figures: Vec<Figure>,
}

impl AuScores {
    pub(crate) fn push(
        &mut self,
        name: impl Into<String>,
        value: Option<f64>,
        wanted: &'static str,
        n: usize,
    ) {
        let value = value.unwrap_or(f64::NAN);
        self.figures.push(Figure {
            name: name.into(),
            value,
            interval: None,
            wanted,
            n,
        });
    }

    /// Adds a figure with its interval; NaN where it is undefined.
    pub(super) fn push_estimate(
        &mut self,
        name: impl Into<String>,
        estimate: Option<Estimate>,
        wanted: &'static str,
    ) {
        let undefined = Estimate {
            value: f64::NAN,
            low: f64::NAN,
            high: f64::NAN,
            n: 0,
        };
        let Estimate {
            value,
            low,
            high,
            n,
        } = estimate.unwrap_or(undefined);
        self.figures.push(Figure {
            name: name.into(),
            value,
            interval: Some([low, high]),
            wanted,
            n: n as usize,
        });
    }
}

/// The photographed faces that a network is measured on.
#[derive(Debug, Clone, Copy)]
pub struct ScoredFaces<'a> {
    /// Of `wild`.
    pub wild: &'a [RealFace],
    /// Of FER2013.
    pub fer: &'a [RealFace],
    /// The expression that most voters of FERPlus see in these, by file.
    pub majorities: &'a HashMap<String, Expression>,
}

/// Measures on synthetic faces of unseen people, on `wild` and on FER2013.
///
/// # Errors
///
/// When a network fails or a figure is not defined on its numbers.
pub fn score_au(
    path: &FacePath,
    synthesizer: &FaceSynthesizer,
    faces: ScoredFaces<'_>,
) -> Result<AuScores, TrainError> {
    let ScoredFaces {
        wild,
        fer,
        majorities,
    } = faces;
    let mut scores = AuScores::default();
    score_synthetic(path, synthesizer, &mut scores)?;
    let photos: Vec<_> = wild.iter().map(|face| grey_photo(&face.image)).collect();
    let readings = path.read(&photos)?;
    score_wild(wild, &readings, &mut scores)?;
    score_mirror(path, &photos, &readings, &mut scores)?;
    let photos: Vec<_> = fer.iter().map(|face| grey_photo(&face.image)).collect();
    let readings = path.read(&photos)?;
    score_fer(fer, &readings, &mut scores)?;
    let voted: Vec<RealFace> = (fer.iter())
        .map(|face| RealFace {
            expression: majorities.get(&face.file).copied(),
            ..face.clone()
        })
        .collect();
    let set = ExpressionSet::Eight;
    expression_figures("FERPlus", set, &voted, &readings, &mut scores, ">= 0.84")?;
    Ok(scores)
}

fn score_wild(
    faces: &[RealFace],
    readings: &[AuReading],
    scores: &mut AuScores,
) -> Result<(), TrainError> {
    let smile = |r: &AuReading| {
        mean(
            r,
            &[
                ActionUnit::LeftLipCornerPull,
                ActionUnit::RightLipCornerPull,
            ],
        )
    };
    let (auc, n) = auc(faces, readings, Expression::Happiness, smile)?;
    scores.push("wild: AUC happiness by lip corner pull", auc, ">= 0.93", n);
    let measured: Vec<_> = faces
        .iter()
        .zip(readings)
        .filter_map(|(face, reading)| Some((EyesAndJaw::measure(face.mesh.as_deref()?)?, reading)))
        .collect();
    type Pair = (fn(&EyesAndJaw) -> f32, fn(&AuReading) -> f64);
    let pairs: [(&str, Pair, &'static str); 3] = [
        (
            "wild: Spearman jaw drop, lip gap",
            (|g| g.lip_gap, |r| of(r, ActionUnit::JawDrop)),
            ">= 0.85",
        ),
        (
            "wild: Spearman left eye close - lid raise, closedness",
            (
                |g| -g.left_eye,
                |r| of(r, ActionUnit::LeftEyeClose) - of(r, ActionUnit::LeftLidRaise),
            ),
            ">= 0.70",
        ),
        (
            "wild: Spearman right eye close - lid raise, closedness",
            (
                |g| -g.right_eye,
                |r| of(r, ActionUnit::RightEyeClose) - of(r, ActionUnit::RightLidRaise),
            ),
            ">= 0.70",
        ),
    ];
    for (name, (truth, found), wanted) in pairs {
        let a: Vec<f64> = measured.iter().map(|(g, _)| f64::from(truth(g))).collect();
        let b: Vec<f64> = measured.iter().map(|(_, r)| found(r)).collect();
        scores.push(name, spearman(&a, &b)?, wanted, a.len());
    }
    expression_figures("wild", ExpressionSet::Eight, faces, readings, scores, "")
}

fn score_mirror(
    path: &FacePath,
    photos: &[Photo],
    readings: &[AuReading],
    scores: &mut AuScores,
) -> Result<(), TrainError> {
    let mirrored: Vec<_> = photos.iter().map(Photo::mirrored).collect();
    let (mut sum, mut n) = (0.0f64, 0usize);
    for (plain, mirrored) in readings.iter().zip(path.read(&mirrored)?) {
        let back = mirrored.action_units.mirrored().feafa();
        for (a, b) in plain.action_units.feafa().into_iter().zip(back) {
            sum += f64::from((a - b).abs());
            n += 1;
        }
    }
    scores.push(
        "wild: difference to the mirrored photo",
        Some(sum / n as f64),
        "<= 0.03",
        photos.len(),
    );
    Ok(())
}

fn score_fer(
    faces: &[RealFace],
    readings: &[AuReading],
    scores: &mut AuScores,
) -> Result<(), TrainError> {
    use ActionUnit as U;
    let surprise = |r: &AuReading| {
        mean(r, &[U::LeftLidRaise, U::RightLidRaise])
            .max(mean(r, &[U::LeftBrowRaise, U::RightBrowRaise]))
            .max(of(r, U::JawDrop))
    };
    let (value, n) = auc(faces, readings, Expression::Surprise, surprise)?;
    scores.push(
        "FER2013: AUC surprise by lids, brows, jaw",
        value,
        ">= 0.85",
        n,
    );
    let anger = |r: &AuReading| mean(r, &[U::LeftBrowLower, U::RightBrowLower]);
    let (value, n) = auc(faces, readings, Expression::Anger, anger)?;
    scores.push("FER2013: AUC anger by brow lower", value, ">= 0.75", n);
    let disgust = |r: &AuReading| of(r, U::NoseWrinkle).max(of(r, U::UpperLipRaise));
    let (value, n) = auc(faces, readings, Expression::Disgust, disgust)?;
    scores.push(
        "FER2013: AUC disgust by nose wrinkle, upper lip raise",
        value,
        ">= 0.75",
        n,
    );
    expression_figures(
        "FER2013",
        ExpressionSet::Seven,
        faces,
        readings,
        scores,
        ">= 0.70",
    )
}

fn expression_figures(
    set_name: &str,
    set: ExpressionSet,
    faces: &[RealFace],
    readings: &[AuReading],
    scores: &mut AuScores,
    wanted: &'static str,
) -> Result<(), TrainError> {
    let classes = set.expressions().len();
    let mut confusion = Confusion::new(classes);
    let mut calibration = Calibration::new(15);
    for (face, reading) in faces.iter().zip(readings) {
        let Some(truth) = face.expression else {
            continue;
        };
        let Some(within) = reading.probabilities.map(|all| all.within(set)) else {
            continue;
        };
        confusion.add(truth.index(), Some(within.top().index()))?;
        let values: Vec<f64> = within.values()[..classes]
            .iter()
            .map(|&p| f64::from(p))
            .collect();
        calibration.add(truth.index(), &values)?;
    }
    let n = confusion.total() as usize;
    let accuracy = Bootstrap::default().confusion(&confusion, Confusion::accuracy);
    scores.push_estimate(format!("{set_name}: expression accuracy"), accuracy, wanted);
    scores.push(
        format!("{set_name}: mean class recall"),
        confusion.uar(),
        "",
        n,
    );
    scores.push(
        format!("{set_name}: expected calibration error"),
        calibration.ece(),
        "",
        n,
    );
    Ok(())
}

/// AUC of an expression against neutral.
fn auc(
    faces: &[RealFace],
    readings: &[AuReading],
    expression: Expression,
    score: impl Fn(&AuReading) -> f64,
) -> Result<(Option<f64>, usize), MetricError> {
    let (mut positive, mut values) = (Vec::new(), Vec::new());
    for (face, reading) in faces.iter().zip(readings) {
        if face.expression == Some(expression) || face.expression == Some(Expression::Neutral) {
            positive.push(face.expression == Some(expression));
            values.push(score(reading));
        }
    }
    Ok((roc_auc(&positive, &values)?, values.len()))
}

fn of(reading: &AuReading, unit: ActionUnit) -> f64 {
    f64::from(reading.action_units[unit].get())
}

fn mean(reading: &AuReading, units: &[ActionUnit]) -> f64 {
    units.iter().map(|&unit| of(reading, unit)).sum::<f64>() / units.len() as f64
}

/// The temperature, from 0.5 to 3, that makes labelled faces likeliest.
///
/// # Errors
///
/// When a network fails.
pub fn fit_temperature(path: &FacePath, faces: &[RealFace]) -> Result<f32, TrainError> {
    let photos: Vec<_> = faces.iter().map(|face| grey_photo(&face.image)).collect();
    let readings = path.read(&photos)?;
    let loss = |temperature: f32| -> f64 {
        let rows = faces.iter().zip(&readings).filter_map(|(face, reading)| {
            let raised = reading
                .probabilities?
                .values()
                .map(|p| p.max(1e-9).powf(1.0 / temperature));
            let sum: f32 = raised.iter().sum();
            Some(-f64::from(raised[face.expression?.index()] / sum).ln())
        });
        rows.sum()
    };
    let candidates = (10..=60).map(|i| i as f32 * 0.05);
    let best = candidates
        .map(|t| (t, loss(t)))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    Ok(best.map_or(1.0, |(t, _)| t))
}
