//! A training run: schedule, steps, checkpoints, resume.

mod checkpoint;

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use burn::config::Config;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::TrainError;
pub(crate) use checkpoint::Checkpoint;

/// Length, rate and checkpoints of a run.
#[derive(Config, Debug)]
pub struct RunConfig {
    /// Optimiser steps in all.
    pub steps: usize,
    /// Faces per step.
    pub batch: usize,
    /// Highest learning rate, reached after the warm-up; it then falls to 0 along a cosine.
    pub rate: f64,
    /// Share of the steps that warm up.
    #[config(default = 0.03)]
    pub warmup: f64,
    /// Decoupled weight decay.
    #[config(default = 0.02)]
    pub weight_decay: f32,
    /// Steps between checkpoints.
    #[config(default = 500)]
    pub checkpoint_every: usize,
    /// Seed of everything random in the run.
    #[config(default = 1)]
    pub seed: u64,
}

/// State of a run after a step.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Mean loss since the last report.
    pub loss: f32,
    /// Faces per second since the run (or its resumption) began.
    pub rate: f64,
}

impl RunConfig {
    /// The learning rate of a step, counted from 0.
    #[must_use]
    pub fn learning_rate(&self, step: usize) -> f64 {
        let warm = (self.steps as f64 * self.warmup).max(1.0);
        let step = step as f64 + 1.0;
        if step < warm {
            return self.rate * step / warm;
        }
        let done = (step - warm) / (self.steps as f64 - warm).max(1.0);
        self.rate * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
    }
}

/// The random numbers of one row of the batch of a step.
pub(crate) fn row_rng(run: &RunConfig, step: usize, row: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(run.seed);
    rng.set_stream((step * run.batch + row) as u64);
    rng
}

/// The parts of a run that differ between recipes.
pub(crate) struct Recipe<B, F, L> {
    /// Makes the batch of a step; the same step always gives the same batch.
    pub batch: F,
    /// The loss of a batch and its gradients.
    pub gradients: L,
    /// Marks the batch type.
    pub marker: std::marker::PhantomData<B>,
}

/// Trains a module, continuing from the last checkpoint in `dir` when there is one.
///
/// Batches are made on another thread, a few ahead of the steps that use them.
pub(crate) fn train<M, B, F, L>(
    model: M,
    config: &RunConfig,
    dir: &Path,
    recipe: Recipe<B, F, L>,
    report: impl FnMut(&Progress),
) -> Result<M, TrainError>
where
    M: Module,
    B: Send,
    F: Fn(usize) -> B + Sync,
    L: FnMut(&M, B) -> (f32, GradientsParams),
{
    let optimiser = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(config.weight_decay)
        .init();
    let mut steps = PlainSteps {
        gradients: recipe.gradients,
        device: model
            .devices()
            .into_iter()
            .next()
            .unwrap_or_default()
            .inner(),
        config,
        report,
        clock: Instant::now(),
        begun: None,
        sum: 0.0,
        count: 0,
        marker: std::marker::PhantomData,
    };
    let make = |step| Ok((recipe.batch)(step));
    drive((model, optimiser), config, dir, &make, &mut steps)
}

/// What a step does with its batch and what happens after it.
pub(crate) trait Steps<M, B> {
    /// The loss of a batch, and its gradient for every optimiser that has one.
    fn gradients(
        &mut self,
        model: &M,
        batch: B,
        step: usize,
    ) -> Result<(f32, MultiGradientsParams), TrainError>;

    /// Told of every step that was taken, counted from 0; says whether to go on.
    fn after(&mut self, model: &M, step: usize, loss: f32) -> Result<Flow, TrainError>;

    /// Writes what it needs for going on into the folder of a checkpoint.
    fn save(&mut self, _folder: &Path) -> Result<(), TrainError> {
        Ok(())
    }

    /// Goes on from what [`save`](Self::save) wrote.
    fn resume(&mut self, _folder: &Path) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Whether a run goes on after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// To the next step.
    Continue,
    /// To the end, with a checkpoint.
    Stop,
}

/// Takes the steps of a run, continuing from the last checkpoint in `dir` when there is one.
///
/// The loss of every step is checked before its gradient is used, so that the last checkpoint
/// is always a good one.
pub(crate) fn drive<M: Module, B: Send>(
    (mut model, mut optimiser): (M, ModuleOptimizer),
    config: &RunConfig,
    dir: &Path,
    make: &(dyn Fn(usize) -> Result<B, TrainError> + Sync),
    steps: &mut impl Steps<M, B>,
) -> Result<M, TrainError> {
    let start = match Checkpoint::latest(dir)? {
        Some(checkpoint) => {
            (model, optimiser) = checkpoint.load(model, optimiser)?;
            steps.resume(&checkpoint.path)?;
            checkpoint.step
        }
        None => 0,
    };
    let (sender, receiver) = sync_channel(3);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for step in start..config.steps {
                // The receiver is gone when training failed.
                if sender.send(make(step)).is_err() {
                    break;
                }
            }
        });
        for (step, batch) in (start..config.steps).zip(receiver) {
            let (loss, gradients) = steps.gradients(&model, batch?, step)?;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step, loss });
            }
            model = optimiser.step_multi(config.learning_rate(step), model, gradients);
            let flow = steps.after(&model, step, loss)?;
            let done = step + 1;
            // The last step is kept too: a longer run goes on from it.
            let due = done.is_multiple_of(config.checkpoint_every) || done == config.steps;
            if due || flow == Flow::Stop {
                Checkpoint::save(dir, done, (&model, &optimiser), &mut |at| steps.save(at))?;
            }
            if flow == Flow::Stop {
                break;
            }
        }
        Ok(model)
    })
}

/// The steps of a recipe that has nothing but a loss.
struct PlainSteps<'a, L, R, B> {
    gradients: L,
    /// Where the gradients lie.
    device: Device,
    config: &'a RunConfig,
    report: R,
    clock: Instant,
    /// The first step since the run (or its resumption) began.
    begun: Option<usize>,
    sum: f32,
    count: u32,
    marker: std::marker::PhantomData<B>,
}

impl<M, B, L, R> Steps<M, B> for PlainSteps<'_, L, R, B>
where
    M: Module,
    L: FnMut(&M, B) -> (f32, GradientsParams),
    R: FnMut(&Progress),
{
    fn gradients(
        &mut self,
        model: &M,
        batch: B,
        step: usize,
    ) -> Result<(f32, MultiGradientsParams), TrainError> {
        if self.begun.is_none() {
            self.begun = Some(step);
            self.clock = Instant::now();
        }
        let (value, gradients) = (self.gradients)(model, batch);
        let gradients = MultiGradientsParams {
            grads: vec![(gradients, self.device.clone())],
        };
        Ok((value, gradients))
    }

    fn after(&mut self, _model: &M, step: usize, loss: f32) -> Result<Flow, TrainError> {
        (self.sum, self.count) = (self.sum + loss, self.count + 1);
        let done = step + 1;
        if done.is_multiple_of(100) || done == self.config.steps {
            let seconds = self.clock.elapsed().as_secs_f64();
            let taken = done - self.begun.unwrap_or(step);
            (self.report)(&Progress {
                step: done,
                steps: self.config.steps,
                loss: self.sum / self.count as f32,
                rate: (taken * self.config.batch) as f64 / seconds,
            });
            (self.sum, self.count) = (0.0, 0);
        }
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, ElementConversion, Tensor};
    use expllm_face::device::default_device;

    use super::*;

    /// The value of a loss, and its gradients for a module.
    fn step_of<M: Module>(loss: Tensor<1>, model: &M) -> (f32, GradientsParams) {
        let value: f32 = loss.clone().into_scalar::<f32>().elem();
        (value, GradientsParams::from_grads(loss.backward(), model))
    }

    /// How far a line is from half the sum of its inputs.
    fn example_step(model: &Linear, x: f32, device: &Device) -> (f32, GradientsParams) {
        let x = Tensor::<2>::from_floats([[x, 1.0, x * x]], device);
        let target = x.clone().sum_dim(1) * 0.5;
        step_of((model.forward(x) - target).powi_scalar(2).mean(), model)
    }

    fn fit(model: Linear, config: &RunConfig, dir: &Path, device: &Device) -> (Linear, Vec<usize>) {
        let mut reports = Vec::new();
        let recipe = Recipe {
            batch: |step: usize| (step as f32 * 0.37).sin(),
            gradients: |model: &Linear, x: f32| example_step(model, x, device),
            marker: PhantomData,
        };
        let trained = train(model, config, dir, recipe, |p| reports.push(p.step)).unwrap();
        (trained, reports)
    }

    fn numbers(model: &Linear) -> Vec<f32> {
        model
            .weight
            .val()
            .into_data()
            .convert::<f32>()
            .try_to_vec()
            .unwrap()
    }

    #[test]
    fn a_resumed_run_equals_an_uninterrupted_one() {
        let device = default_device().autodiff();
        let model = LinearConfig::new(3, 1).init(&device);
        let (whole_dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let config = RunConfig::new(120, 1, 0.05).with_checkpoint_every(50);
        let (whole, _) = fit(model.clone(), &config, whole_dir.path(), &device);
        // Another run is stopped by a loss that is no number after its checkpoint of step 100.
        let broken = Recipe {
            batch: |step: usize| {
                if step == 110 {
                    f32::NAN
                } else {
                    (step as f32 * 0.37).sin()
                }
            },
            gradients: |model: &Linear, x: f32| example_step(model, x, &device),
            marker: PhantomData,
        };
        let stopped = train(model, &config, other_dir.path(), broken, |_| ());
        assert!(matches!(
            stopped,
            Err(TrainError::Diverged { step: 110, .. })
        ));
        let other = LinearConfig::new(3, 1).init(&device);
        let (resumed, reports) = fit(other.clone(), &config, other_dir.path(), &device);
        assert_eq!(reports, [120]);
        assert_eq!(numbers(&whole), numbers(&resumed));
        assert_ne!(numbers(&other), numbers(&resumed));
    }

    #[test]
    fn a_finished_run_is_kept_and_a_longer_one_goes_on_from_it() {
        let device = default_device().autodiff();
        let dir = tempfile::tempdir().unwrap();
        let fresh = || LinearConfig::new(3, 1).init(&device);
        let (first, _) = fit(fresh(), &RunConfig::new(100, 1, 0.05), dir.path(), &device);
        let (again, reports) = fit(fresh(), &RunConfig::new(100, 1, 0.05), dir.path(), &device);
        assert!(reports.is_empty());
        assert_eq!(numbers(&first), numbers(&again));
        let (_, reports) = fit(fresh(), &RunConfig::new(300, 1, 0.05), dir.path(), &device);
        assert_eq!(reports, [200, 300]);
    }

    #[test]
    fn the_rate_rises_then_falls_to_nothing() {
        let config = RunConfig::new(100, 1, 1.0).with_warmup(0.1);
        assert!(config.learning_rate(0) < config.learning_rate(5));
        assert!((config.learning_rate(9) - 1.0).abs() < 1e-6);
        assert!(config.learning_rate(99) < 1e-3);
    }
}
