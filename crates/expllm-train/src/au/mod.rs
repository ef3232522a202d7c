//! The recipe of the action unit network.
//!
//! Two networks look at a face. The fine look learns units: from synthetic faces with exact
//! intensities and landmarks, from photographed ones with an expression and a face mesh, and from
//! small grey ones with an expression alone. Where real intensities are missing, two weak teachers
//! stand in: the geometry of the mesh for eyes and jaw, and the units that FACS links to an
//! expression (see [`weak`]). The coarse look learns expressions from both kinds of photographs;
//! it is coarse because most of the labelled ones hold no more detail (see
//! [`deblurred`](crate::deblurred)). A last step learns what the units add to that.

mod calibrate;
mod data;
mod dev;
mod evidence;
mod expressions;
mod gather;
mod geometry;
mod groups;
mod lesson;
mod london;
mod looks;
mod mesh;
pub mod panel;
mod panel_score;
mod recipe;
mod score;
mod small;
mod units;
pub mod weak;

use std::path::Path;

use burn::module::Module;
use expllm_au::{AuNetwork, AuNetworkConfig};
use expllm_face::device::{Backend, reading_device};

use crate::{Progress, RunConfig, TrainError};

pub use calibrate::fit_calibration;
pub use data::{AuFace, AuFaces, real_faces, synthetic_faces};
pub use dev::{DevFigures, DevSet};
pub use gather::{Source, TaughtFace, TaughtFaces, rendered_faces};
pub use geometry::EyesAndJaw;
pub use lesson::{Lesson, Opinion};
pub use london::{LondonFigures, score_london};
pub use panel_score::{FaceFindings, MovementFigures, PanelFigures, panel_figures};
pub use recipe::{LookSizes, Pupil, Witness, teach};
pub use score::{AuScores, FacePath, Figure, fit_temperature, score_au, score_panel};
pub use units::FineStart;

/// Lengths and rates of the two halves of the recipe.
#[derive(Debug, Clone)]
pub struct AuRun {
    /// The run of the coarse look.
    pub expressions: RunConfig,
    /// The run of the fine look.
    pub units: RunConfig,
    /// What both run on.
    pub backend: Backend,
}

/// Trains an action unit network, resuming from the folders `expressions` and `units` of `dir`.
///
/// The fine look goes on from `start`: a network that was trained on landmarks, or an earlier one
/// of this recipe.
///
/// # Errors
///
/// [`TrainError::Diverged`], a backend that the build lacks, or trouble with checkpoints.
pub fn train_au(
    faces: &AuFaces,
    network: &AuNetworkConfig,
    run: &AuRun,
    dir: &Path,
    start: &FineStart,
    mut report: impl FnMut(&str, &Progress),
) -> Result<AuNetwork, TrainError> {
    let coarse = expressions::train_expressions(
        faces,
        network,
        &run.expressions,
        &dir.join("expressions"),
        run.backend,
        |progress| report("expressions", progress),
    )?;
    let fine = units::train_units(
        faces,
        network,
        &run.units,
        &dir.join("units"),
        (start, run.backend),
        |progress| report("units", progress),
    )?;
    let encoder = network
        .encoder
        .init(&run.backend.device()?.autodiff())
        .with_backbones(fine.backbone, coarse.backbone);
    let trained = AuNetwork::new(encoder, fine.head, coarse.head).valid();
    let trained = trained.to_device(&reading_device());
    Ok(evidence::learn(trained, &faces.wild, network))
}
