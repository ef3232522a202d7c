//! How well units are read from renders of unseen people, whose units are known exactly.

use expllm_core::ActionUnit;
use rayon::prelude::*;

use super::groups::{ReadRender, correlations, groups, mean_error};
use super::path::{BATCH, FacePath, whole};
use super::score::AuScores;
use crate::TrainError;
use crate::synth::{FaceSynthesizer, SynthFace, seed_of};

/// Series of seeds that no training face is drawn from.
const TEST_SERIES: u64 = 0x7e57;

/// Renders that are read.
const COUNT: u64 = 2000;

/// Pearson r of every unit, and of groups of people.
///
/// # Errors
///
/// When a network fails, or reads what is not a number.
pub(super) fn score_synthetic(
    path: &FacePath,
    synthesizer: &FaceSynthesizer,
    scores: &mut AuScores,
) -> Result<(), TrainError> {
    let faces: Vec<_> = (0..COUNT)
        .into_par_iter()
        .map(|index| synthesizer.render(seed_of(TEST_SERIES, index)))
        .collect();
    let read = read_renders(path, &faces)?;
    let correlations = correlations(&read)?;
    let n = read.len();
    let (mean, lowest) = mean_and_lowest(&correlations);
    scores.push(
        "synthetic: mean Pearson r of 35 units",
        Some(mean),
        ">= 0.85",
        n,
    );
    scores.push("synthetic: lowest Pearson r", Some(lowest), ">= 0.65", n);
    let (mean, lowest) = mean_and_lowest(&correlations[..ActionUnit::FEAFA_COUNT]);
    scores.push(
        "synthetic: mean Pearson r of the 24 of FEAFA",
        Some(mean),
        "",
        n,
    );
    scores.push("synthetic: lowest Pearson r of these", Some(lowest), "", n);
    for (unit, r) in ActionUnit::ALL.into_iter().zip(correlations) {
        let name = format!("synthetic: Pearson r of {}", unit.snake_case());
        scores.push(name, Some(r), "", n);
    }
    score_groups(&read, scores)
}

fn mean_and_lowest(values: &[f64]) -> (f64, f64) {
    let sum: f64 = values.iter().sum();
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    (sum / values.len() as f64, lowest)
}

fn read_renders(path: &FacePath, faces: &[SynthFace]) -> Result<Vec<ReadRender>, TrainError> {
    let mut read = Vec::with_capacity(faces.len());
    for batch in faces.chunks(BATCH) {
        // Landmarks are given: what is judged here is the reading of units.
        let place = |face: &SynthFace| {
            let (bounds, marks) = (whole(&face.photo), face.landmarks.clone());
            path.reader().place_marked(&face.photo, bounds, marks)
        };
        let readings = path.read_placed(batch.iter().map(place).collect())?;
        read.extend(
            batch
                .iter()
                .zip(readings)
                .map(|(face, reading)| ReadRender {
                    traits: face.traits,
                    truth: face.action_units.values(),
                    found: reading.action_units.values(),
                }),
        );
    }
    Ok(read)
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
