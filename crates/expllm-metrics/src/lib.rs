//! Metrics of facial expression, action unit, calibration and text quality.
//!
//! Pure functions and accumulators from arrays to numbers. Every definition states formula,
//! averaging, threshold, and what happens without samples; a metric that is undefined on sound
//! input is `None`, unsound input is an error. `docs/metrics.md` lists them with their sources.

mod agreement;
mod bootstrap;
mod calibration;
mod confusion;
mod error;
mod groups;
mod occurrence;
mod official;
mod rank_correlation;
mod ranking;
mod spotting;
mod text;
mod tracking;

pub use agreement::Agreement;
pub use bootstrap::{Bootstrap, Estimate, mcnemar};
pub use calibration::{Calibration, ReliabilityBin};
pub use confusion::Confusion;
pub use error::MetricError;
pub use groups::{Groups, check_folds};
pub use occurrence::{Occurrence, mean_f1};
pub use official::{
    LABEL_TASK, OfficialAccuracy, OfficialRow, Offset, Rege, constrained_confusion,
    strict_accuracy, without_repeats,
};
pub use rank_correlation::spearman;
pub use ranking::{average_precision, roc_auc, top_k_accuracy};
pub use spotting::{MEGC_OVERLAP, Spotting, matched_intervals};
pub use text::{Overlap, Rouge, bleu, distinct_n, rouge, self_bleu};
pub use tracking::Tracking;
