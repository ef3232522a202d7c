//! The recipes of the language model: alignment, instruction tuning, and full training of small
//! models.
//!
//! A run is described by a [`TrainConfig`]. Its records become conversations ([`Example`]), the
//! conversations parts of a step ([`MicroBatch`]), and [`train_model`] takes the steps, measures
//! on records kept back, and writes checkpoints from which a stopped run goes on as if it had
//! never been stopped.

mod annotations;
mod augment;
mod average;
mod by_hand;
mod chains;
mod claim;
mod config;
mod events;
mod example;
mod faces;
mod features;
mod imagined;
mod judge;
mod objective;
mod parallel;
mod plan;
mod readings;
mod sides;
mod start;
mod trainer;
mod writer;

pub use annotations::AnnotatedExamples;
pub use augment::Augmentation;
pub use average::Average;
pub use by_hand::StepWays;
pub use config::{
    AnnotationsConfig, Data, FacesConfig, NewModel, OptimiserConfig, Precision, ReadingsConfig,
    RecordMix, SetViews, Start, StepsConfig, TrainConfig, TrainStage, ValidationConfig,
};
pub use example::{Example, ExampleImage, ExampleSource, Language, MicroBatch};
pub use faces::{FaceExamples, FaceSets, JudgedFace, Reader};
pub use judge::{Judgement, SampleChain};
pub use objective::part_loss;
pub use parallel::{clip, gradients};
pub use plan::RunPlan;
pub use readings::ReadingExamples;
pub use sides::swap_sides;
pub use trainer::{Observer, StepReport, train_model};
