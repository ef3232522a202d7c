//! The run that teaches one look everything: units, expressions, and what helps on the way.

use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, MultiGradientsParams};
use burn::store::ModuleRecord;
use burn::tensor::Device;
use expllm_core::{ActionUnit, Expression};
use expllm_face::backbone::{Backbone, BackboneConfig};
use expllm_face::device::{Backend, reading_device};

use super::batch::{Batch, COORDINATES, make_batch};
use super::gather::TaughtFaces;
use super::loss::{Constants, loss};
use super::mesh::BLENDSHAPES;
use crate::backbone_steps::BackboneSteps;
use crate::model::Average;
use crate::run::{Checkpoint, Flow, Steps, drive};
use crate::{Progress, RunConfig, TrainError};

/// What the running average of the weights keeps of itself per step.
const AVERAGE_DECAY: f64 = 0.999;

/// Share of the features dropped before the heads.
const DROPOUT: f64 = 0.3;

/// Steps between two looks at the averaged network.
const LOOK_EVERY: usize = 500;

/// The network while it learns.
#[derive(Module, Debug)]
pub struct Pupil {
    /// From looks to features.
    pub backbone: Backbone,
    pub(super) dropout: Dropout,
    /// Logits of the 35 units.
    pub units: Linear,
    /// Logits of the expression that people see.
    pub seen: Linear,
    /// Logits of the label that a single person gave.
    pub label: Linear,
    pub(super) blendshapes: Linear,
    pub(super) landmarks: Linear,
}

impl Pupil {
    /// A pupil that knows nothing.
    #[must_use]
    pub fn new(sizes: &BackboneConfig, device: &Device) -> Self {
        let head = |outputs| LinearConfig::new(sizes.features(), outputs).init(device);
        Self {
            backbone: sizes.init(device),
            dropout: DropoutConfig::new(DROPOUT).init(),
            units: head(ActionUnit::COUNT),
            seen: head(Expression::COUNT),
            label: head(Expression::COUNT),
            blendshapes: head(BLENDSHAPES),
            landmarks: head(COORDINATES),
        }
    }
}

/// Sides of the looks, in pixels: the first one until a share of the steps is done. Small looks
/// cost half as much, and teach nearly all that large ones do.
#[derive(Debug, Clone, Copy)]
pub struct LookSizes {
    /// Side of the first looks.
    pub first: usize,
    /// Side of the later looks, which is that of the finished network.
    pub last: usize,
    /// Share of the steps with the first side.
    pub share: f64,
}

/// Sizes of the network and of what it looks at.
#[derive(Debug, Clone, Copy)]
pub struct PupilPlan<'a> {
    /// Sizes of the backbone.
    pub sizes: &'a BackboneConfig,
    /// Sides of its looks.
    pub looks: LookSizes,
}

impl LookSizes {
    fn side(&self, step: usize, steps: usize) -> usize {
        match (step as f64) < self.share * steps as f64 {
            true => self.first,
            false => self.last,
        }
    }
}

/// What is told of a run on its way.
pub trait Witness {
    /// Told of the mean loss now and then.
    fn progress(&mut self, progress: &Progress);

    /// Shown the averaged network now and then, with the side of the looks that it learns from.
    ///
    /// # Errors
    ///
    /// When it cannot be judged or kept; the run then ends.
    fn shown(&mut self, pupil: &Pupil, step: usize, side: usize) -> Result<(), TrainError>;
}

/// Trains a network, resuming from `dir`; the running average of its weights is returned.
///
/// # Errors
///
/// [`TrainError::Diverged`], a backend that the build lacks, or trouble with checkpoints.
pub fn teach(
    faces: &TaughtFaces,
    plan: PupilPlan<'_>,
    run: &RunConfig,
    dir: &Path,
    backend: Backend,
    witness: &mut dyn Witness,
) -> Result<Pupil, TrainError> {
    let PupilPlan { sizes, looks } = plan;
    let by_side = [looks.first, looks.last].map(|side| BackboneSteps::new(sizes, side, backend));
    let [first, last] = by_side;
    let (first, last) = (first?, last?);
    let device = first.device().clone();
    let pupil = Pupil::new(sizes, &device);
    let optimiser = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(run.weight_decay)
        .init();
    let mut steps = TeachingSteps {
        by_side: [first, last],
        looks,
        run,
        constants: Constants::new(faces, &device),
        average: Some(Average::new(&pupil, AVERAGE_DECAY)),
        witness,
        clock: Instant::now(),
        begun: None,
        sum: 0.0,
        count: 0,
    };
    let make = |step| Ok(make_batch(faces, run, looks.side(step, run.steps), step));
    let pupil = drive((pupil, optimiser), run, dir, &make, &mut steps)?;
    let average = steps.average.take().map(|average| average.model);
    Ok(average.unwrap_or(pupil.valid()))
}

/// The running average of the last checkpoint of a run.
///
/// # Errors
///
/// When there is no checkpoint of a pupil of these sizes in `dir`.
pub fn averaged(dir: &Path, sizes: &BackboneConfig) -> Result<Pupil, TrainError> {
    let Some(checkpoint) = Checkpoint::latest(dir)? else {
        return Err(unreadable(dir, &"there is no checkpoint of a run here"));
    };
    let folder = &checkpoint.path;
    let record = ModuleRecord::load(folder.join(AVERAGE_FILE));
    let record = record.map_err(|e| unreadable(folder, &e))?;
    Ok(Pupil::new(sizes, &reading_device()).load_record(record))
}

/// The steps of this recipe.
struct TeachingSteps<'a> {
    by_side: [BackboneSteps; 2],
    looks: LookSizes,
    run: &'a RunConfig,
    constants: Constants,
    average: Option<Average<Pupil>>,
    witness: &'a mut dyn Witness,
    clock: Instant,
    begun: Option<usize>,
    sum: f32,
    count: u32,
}

impl Steps<Pupil, Batch> for TeachingSteps<'_> {
    fn gradients(
        &mut self,
        pupil: &Pupil,
        mut batch: Batch,
        step: usize,
    ) -> Result<(f32, MultiGradientsParams), TrainError> {
        if self.begun.is_none() {
            (self.begun, self.clock) = (Some(step), Instant::now());
        }
        let crops = std::mem::take(&mut batch.crops);
        let is_last = self.looks.side(step, self.run.steps) == self.looks.last;
        let steps = &mut self.by_side[usize::from(is_last)];
        let device = steps.device().clone();
        let constants = &self.constants;
        let loss = |features| loss(pupil, features, batch, constants);
        let (value, gradients) = steps.step((pupil, &pupil.backbone), crops, loss);
        let gradients = MultiGradientsParams {
            grads: vec![(gradients, device.inner())],
        };
        Ok((value, gradients))
    }

    fn after(&mut self, pupil: &Pupil, step: usize, loss: f32) -> Result<Flow, TrainError> {
        self.average = self
            .average
            .take()
            .map(|average| average.follow(pupil, step));
        (self.sum, self.count) = (self.sum + loss, self.count + 1);
        let done = step + 1;
        if done.is_multiple_of(50) || done == self.run.steps {
            let taken = done - self.begun.unwrap_or(step);
            self.witness.progress(&Progress {
                step: done,
                steps: self.run.steps,
                loss: self.sum / self.count as f32,
                rate: (taken * self.run.batch) as f64 / self.clock.elapsed().as_secs_f64(),
            });
            (self.sum, self.count) = (0.0, 0);
        }
        if done.is_multiple_of(LOOK_EVERY)
            && let Some(average) = &self.average
        {
            let side = self.looks.side(step, self.run.steps);
            self.witness.shown(&average.model, done, side)?;
        }
        Ok(Flow::Continue)
    }

    fn save(&mut self, folder: &Path) -> Result<(), TrainError> {
        let Some(average) = &self.average else {
            return Ok(());
        };
        let record = average.model.clone().into_record();
        let saved = record.save(folder.join(AVERAGE_FILE));
        saved.map_err(|e| unreadable(folder, &e))
    }

    fn resume(&mut self, folder: &Path) -> Result<(), TrainError> {
        let record = ModuleRecord::load(folder.join(AVERAGE_FILE));
        let record = record.map_err(|e| unreadable(folder, &e))?;
        self.average = self.average.take().map(|mut average| {
            average.model = average.model.load_record(record);
            average
        });
        Ok(())
    }
}

/// The averaged weights within a checkpoint.
const AVERAGE_FILE: &str = "average.bpk";

fn unreadable(folder: &Path, error: &impl ToString) -> TrainError {
    TrainError::Checkpoint {
        path: folder.join(AVERAGE_FILE),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::faces;
    use super::*;

    /// Remembers the losses that it is told.
    #[derive(Default)]
    struct Losses(Vec<f32>);

    impl Witness for Losses {
        fn progress(&mut self, progress: &Progress) {
            self.0.push(progress.loss);
        }

        fn shown(&mut self, _: &Pupil, _: usize, _: usize) -> Result<(), TrainError> {
            Ok(())
        }
    }

    #[test]
    fn a_run_learns_and_its_average_is_found_again() {
        let sizes = BackboneConfig::new(vec![8], vec![16], vec![1]).with_grid(2);
        let looks = LookSizes {
            first: 16,
            last: 24,
            share: 0.5,
        };
        let run = RunConfig::new(100, 8, 5e-3);
        let (dir, mut losses) = (tempfile::tempdir().unwrap(), Losses::default());
        let pupil = teach(
            &faces(),
            PupilPlan {
                sizes: &sizes,
                looks,
            },
            &run,
            dir.path(),
            Backend::Cpu,
            &mut losses,
        );
        let [first, last] = losses.0[..] else {
            panic!("two reports: {:?}", losses.0)
        };
        assert!(last < first, "{first} {last}");
        let found = averaged(dir.path(), &sizes).unwrap();
        let numbers = |pupil: &Pupil| pupil.units.weight.val().into_data();
        assert_eq!(numbers(&found), numbers(&pupil.unwrap()));
        let none = averaged(Path::new("no/such/folder"), &sizes).unwrap_err();
        assert!(none.to_string().contains("no checkpoint"), "{none}");
    }
}
