//! Running stages over a data set: predictions that survive a stop, figures with intervals, and
//! a report in one HTML file. Bring your own stages; the program's `eval` command is one caller.

mod error;
mod explanations;
mod figures;
mod imported;
mod intervention;
mod prediction;
mod report;
mod review;
mod run;
mod stages;

pub use error::EvaluationError;
pub use explanations::judge_explanations;
pub use figures::{Figures, UnitFigures};
pub use imported::{Imported, read_predictions};
pub use intervention::{InterventionFigures, Interventions, LabelFidelity, MovementFidelity};
pub use prediction::{Journal, Prediction, Setup};
pub use report::Report;
pub use review::{Review, ReviewFigures, ReviewSheet, read_reviews, review_form, review_sheets};
pub use run::predict_all;
pub use stages::{Judge, Stages, View};
