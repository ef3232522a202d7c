//! Synthetic faces, augmentation and the training recipes of expllm.

pub mod au;
mod augment;
mod backbone_steps;
mod confidence;
mod detection;
mod error;
mod faces;
pub mod gradients;
mod landmark_changes;
pub mod landmarks;
pub mod model;
mod pose;
mod run;
pub mod synth;
mod training_data;
mod weights;

pub use confidence::score_confidence;
pub use detection::score_detection;
pub use error::TrainError;
pub use faces::{FaceSet, RealFace};
pub use landmark_changes::score_changed_landmarks;
pub use pose::fit_head_pose;
pub use run::{Progress, RunConfig};
pub use training_data::TrainingData;
pub use weights::{read_weights, save_weights};
