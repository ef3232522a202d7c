//! The recipe of the action unit network.
//!
//! One sharp look at a grey face learns everything at once: 35 units, the expression, and on the
//! way the blendshapes and landmarks that a face mesh gives, which teach where things are. What
//! each source teaches, and why, is written in [`lesson`]; [`teach`] runs it, and
//! [`finish`](fn@finish) makes of its running average the network that ships.

mod batch;
mod cache;
mod calibrate;
mod dev;
mod finish;
mod gather;
mod geometry;
mod groups;
pub mod lesson;
mod london;
mod looks;
mod loss;
mod mesh;
mod mesh_lessons;
pub mod panel;
mod panel_score;
mod path;
mod place;
mod recipe;
mod score;
mod score_panel;
mod score_renders;
mod set_lessons;

pub use calibrate::fit_calibration;
pub use dev::{DevFigures, DevSet, majority};
pub use finish::{Finish, finish};
pub use gather::{RENDERS, Renders, TaughtFace, TaughtFaces, rendered_faces};
pub use geometry::EyesAndJaw;
pub use lesson::{Lesson, Opinion};
pub use london::score_london;
pub use panel_score::{FaceFindings, MovementFigures, PanelFigures, panel_figures};
pub use path::FacePath;
pub use place::{PlacedFace, placed_faces};
pub use recipe::{LookSizes, Pupil, PupilPlan, Witness, averaged, teach};
pub use score::{AuScores, Figure, ScoredFaces, fit_temperature, score_au};
pub use score_panel::score_panel;
