//! The figures by which an action unit network is judged.

use std::collections::HashMap;

use expllm_au::AuNet;
use expllm_core::{
    ActionUnit, AlignedFace, AuDetector, AuReading, Expression, ExpressionSet, FaceAligner,
    FaceBox, LandmarkDetector, Photo,
};
use expllm_face::{ALIGNED_SIZE, GreyImage, LandmarkNet, SimilarityAligner};
use expllm_metrics::{Calibration, Confusion, MetricError, roc_auc, spearman};
use rayon::prelude::*;

use super::geometry::EyesAndJaw;
use super::groups::{ReadRender, correlations, groups, mean_error};
use super::panel::Rating;
use super::panel_score::{FaceFindings, MovementFigures, PanelFigures, panel_figures};
use crate::synth::{FaceSynthesizer, seed_of};
use crate::{RealFace, TrainError};

/// Series of seeds that no training face is drawn from.
const TEST_SERIES: u64 = 0x7e57;

/// Faces read at once.
const BATCH: usize = 64;

/// One figure beside the one asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The figure; NaN when it is undefined.
    pub value: f64,
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
    fn push(
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
            wanted,
            n,
        });
    }
}

/// The networks under test.
#[derive(Debug, Clone, Copy)]
pub struct FacePath<'a> {
    /// Finds landmarks; the whole image is the face's box.
    pub landmarks: &'a LandmarkNet,
    /// Reads units.
    pub units: &'a AuNet,
}

impl FacePath<'_> {
    fn align(&self, photo: &Photo) -> Result<AlignedFace, TrainError> {
        self.align_box(photo, &FaceBox::whole(photo.width(), photo.height()))
    }

    fn align_box(&self, photo: &Photo, face: &FaceBox) -> Result<AlignedFace, TrainError> {
        let landmarks = self
            .landmarks
            .landmarks(photo, std::slice::from_ref(face))?;
        Ok(SimilarityAligner
            .align(photo, &landmarks, ALIGNED_SIZE)?
            .swap_remove(0))
    }

    /// Reads the face in a box.
    ///
    /// # Errors
    ///
    /// When a network fails.
    pub fn read_box(&self, photo: &Photo, face: &FaceBox) -> Result<AuReading, TrainError> {
        let aligned = self.align_box(photo, face)?;
        Ok(self.units.detect_units(&[aligned])?.swap_remove(0))
    }

    /// Reads photos of one face each.
    ///
    /// # Errors
    ///
    /// When a network fails.
    pub fn read(&self, photos: &[Photo]) -> Result<Vec<AuReading>, TrainError> {
        let mut readings = Vec::with_capacity(photos.len());
        for batch in photos.chunks(BATCH) {
            let faces: Result<Vec<_>, _> =
                batch.par_iter().map(|photo| self.align(photo)).collect();
            readings.extend(self.units.detect_units(&faces?)?);
        }
        Ok(readings)
    }
}

impl FacePath<'_> {
    /// What is read from pictures of one face each, by file.
    ///
    /// # Errors
    ///
    /// When a network fails.
    pub fn findings(
        &self,
        faces: &[RealFace],
    ) -> Result<HashMap<String, FaceFindings>, TrainError> {
        let photos: Vec<_> = faces.iter().map(|face| photo(&face.image)).collect();
        let readings = self.read(&photos)?;
        let named = faces.iter().zip(readings).map(|(face, reading)| {
            let findings = FaceFindings {
                units: reading.action_units,
                expression: reading.probabilities.map(|p| p.top()),
            };
            (face.file.clone(), findings)
        });
        Ok(named.collect())
    }
}

/// Measures on rated faces: means over the movements, then every movement.
///
/// # Errors
///
/// When a network fails or a figure is not defined on its numbers.
pub fn score_panel(
    path: FacePath<'_>,
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

/// Measures on synthetic faces of unseen people, on `wild` and on FER2013.
///
/// # Errors
///
/// When a network fails or a figure is not defined on its numbers.
pub fn score_au(
    path: FacePath<'_>,
    synthesizer: &FaceSynthesizer,
    wild: &[RealFace],
    fer: &[RealFace],
) -> Result<AuScores, TrainError> {
    let mut scores = AuScores::default();
    score_synthetic(path, synthesizer, &mut scores)?;
    let photos: Vec<_> = wild.iter().map(|face| photo(&face.image)).collect();
    let readings = path.read(&photos)?;
    score_wild(wild, &readings, &mut scores)?;
    score_mirror(path, &photos, &readings, &mut scores)?;
    let photos: Vec<_> = fer.iter().map(|face| photo(&face.image)).collect();
    let readings = path.read(&photos)?;
    score_fer(fer, &readings, &mut scores)?;
    Ok(scores)
}

fn score_synthetic(
    path: FacePath<'_>,
    synthesizer: &FaceSynthesizer,
    scores: &mut AuScores,
) -> Result<(), TrainError> {
    let faces: Vec<_> = (0..2000u64)
        .into_par_iter()
        .map(|index| synthesizer.render(seed_of(TEST_SERIES, index)))
        .collect();
    let mut read = Vec::with_capacity(faces.len());
    for batch in faces.chunks(BATCH) {
        // Landmarks are given: what is judged here is the reading of units.
        let aligned: Result<Vec<_>, _> = batch
            .iter()
            .map(|face| {
                let marks = std::slice::from_ref(&face.landmarks);
                SimilarityAligner.align(&face.photo, marks, ALIGNED_SIZE)
            })
            .collect();
        let aligned: Vec<_> = aligned?.into_iter().flatten().collect();
        let readings = path.units.detect_units(&aligned)?;
        read.extend(
            batch
                .iter()
                .zip(readings)
                .map(|(face, reading)| ReadRender {
                    traits: face.traits,
                    truth: face.action_units.feafa(),
                    found: reading.action_units.feafa(),
                }),
        );
    }
    let correlations = correlations(&read)?;
    let mean = correlations.iter().sum::<f64>() / correlations.len() as f64;
    let lowest = correlations.iter().copied().fold(f64::INFINITY, f64::min);
    scores.push(
        "synthetic: mean Pearson r of 24 units",
        Some(mean),
        ">= 0.85",
        faces.len(),
    );
    scores.push(
        "synthetic: lowest Pearson r",
        Some(lowest),
        ">= 0.60",
        faces.len(),
    );
    for (unit, r) in ActionUnit::FEAFA.into_iter().zip(correlations) {
        scores.push(
            format!("synthetic: Pearson r of {}", unit.snake_case()),
            Some(r),
            "",
            faces.len(),
        );
    }
    score_groups(&read, scores)
}

/// The figures of rendered people who look differently.
fn score_groups(read: &[ReadRender], scores: &mut AuScores) -> Result<(), TrainError> {
    for (name, members) in groups(read) {
        let r = correlations(members.iter().copied())?;
        let mean = r.iter().sum::<f64>() / r.len() as f64;
        let (error, n) = (mean_error(&members), members.len());
        scores.push(
            format!("synthetic, {name}: mean Pearson r"),
            Some(mean),
            "",
            n,
        );
        scores.push(
            format!("synthetic, {name}: mean absolute error"),
            Some(error),
            "",
            n,
        );
    }
    Ok(())
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
    path: FacePath<'_>,
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
        ">= 0.66",
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
    scores.push(
        format!("{set_name}: expression accuracy"),
        confusion.accuracy(),
        wanted,
        n,
    );
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

fn photo(image: &GreyImage) -> Photo {
    let pixels = image.pixels().iter().flat_map(|&v| [v, v, v]).collect();
    let (width, height) = (image.width() as u32, image.height() as u32);
    Photo::new(width, height, pixels).unwrap_or_else(|_| unreachable!("sizes were checked"))
}

/// The temperature, from 0.5 to 3, that makes labelled faces likeliest.
///
/// # Errors
///
/// When a network fails.
pub fn fit_temperature(path: FacePath<'_>, faces: &[RealFace]) -> Result<f32, TrainError> {
    let photos: Vec<_> = faces.iter().map(|face| photo(&face.image)).collect();
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
