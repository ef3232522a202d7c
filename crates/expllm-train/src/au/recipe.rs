//! The run that teaches one look everything: units, expressions, and what helps on the way.

use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, MultiGradientsParams};
use burn::store::ModuleRecord;
use burn::tensor::activation::{log_softmax, relu, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};
use expllm_core::{ActionUnit, Expression, LANDMARK_COUNT};
use expllm_face::backbone::{Backbone, BackboneConfig};
use expllm_face::device::Backend;
use rand::RngExt;
use rayon::prelude::*;

use super::gather::TaughtFaces;
use super::lesson::{Bounds, Lesson, Opinion};
use super::looks::look;
use super::mesh::BLENDSHAPES;
use super::panel::{MOVEMENT_COUNT, MOVEMENTS};
use crate::augment::push;
use crate::backbone_steps::BackboneSteps;
use crate::landmarks::{pseudo_huber, target};
use crate::model::Average;
use crate::run::{Flow, Steps, drive, row_rng};
use crate::{Progress, RunConfig, TrainError};

/// Of every 64 faces of a batch: renders, rated faces, others of `wild`, others of FER2013.
const SHARES: [usize; 4] = [11, 15, 9, 29];

/// Weights of the parts of the loss, beside 1 for the expression that people see.
const LABEL_WEIGHT: f32 = 0.6;
const UNIT_WEIGHT: f32 = 3.0;
const MOVEMENT_WEIGHT: f32 = 4.0;
const BLENDSHAPE_WEIGHT: f32 = 3.0;
const LANDMARK_WEIGHT: f32 = 2.0;

/// Below this error, in units of the side, the loss of a landmark turns quadratic.
const LANDMARK_BEND: f32 = 0.01;

/// Coordinates of all landmarks.
const COORDINATES: usize = 2 * LANDMARK_COUNT;

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
    dropout: Dropout,
    /// Logits of the 35 units.
    pub units: Linear,
    /// Logits of the expression that people see.
    pub seen: Linear,
    /// Logits of the label that a single person gave.
    pub label: Linear,
    blendshapes: Linear,
    landmarks: Linear,
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

    /// Shown the averaged network now and then.
    ///
    /// # Errors
    ///
    /// When it cannot be judged or kept; the run then ends.
    fn shown(&mut self, pupil: &Pupil, step: usize) -> Result<(), TrainError>;
}

/// Trains a network, resuming from `dir`; the running average of its weights is returned.
///
/// # Errors
///
/// [`TrainError::Diverged`], a backend that the build lacks, or trouble with checkpoints.
pub fn teach(
    faces: &TaughtFaces,
    (sizes, looks): (&BackboneConfig, LookSizes),
    run: &RunConfig,
    dir: &Path,
    backend: Backend,
    witness: &mut dyn Witness,
) -> Result<Pupil, TrainError> {
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
            self.witness.shown(&average.model, done)?;
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

/// What the loss needs of the whole run.
struct Constants {
    /// `[35, movements]`: the movements as means of units.
    means: Tensor<2>,
    /// `[1, 35]`: weights of the units, of mean 1.
    units: Tensor<2>,
    /// `[1, movements]`: weights of the movements, of mean 1.
    movements: Tensor<2>,
}

impl Constants {
    fn new(faces: &TaughtFaces, device: &Device) -> Self {
        let mut means = vec![0.0; ActionUnit::COUNT * MOVEMENT_COUNT];
        for (i, movement) in MOVEMENTS.iter().enumerate() {
            // Where any of the units may show the movement, the first stands for it.
            let units = if movement.strongest {
                &movement.units[..1]
            } else {
                movement.units
            };
            for unit in units {
                means[unit.index() * MOVEMENT_COUNT + i] = 1.0 / units.len() as f32;
            }
        }
        let units = importance(
            faces
                .renders
                .iter()
                .map(|face| (&face.lesson.units[..], &face.lesson.unit_weights[..])),
            ActionUnit::COUNT,
        );
        let movements = importance(
            faces.rated.iter().map(|face| {
                (
                    &face.lesson.movements[..],
                    &face.lesson.movement_weights[..],
                )
            }),
            MOVEMENT_COUNT,
        );
        let tensor = |values: Vec<f32>, rows| {
            let columns = values.len() / rows;
            Tensor::from_data(TensorData::new(values, [rows, columns]), device)
        };
        Self {
            means: tensor(means, ActionUnit::COUNT),
            units: tensor(units, 1),
            movements: tensor(movements, 1),
        }
    }
}

/// Weights of mean 1: what moves little weighs as much as what moves a lot.
fn importance<'a>(
    rows: impl Iterator<Item = (&'a [Bounds], &'a [f32])> + Clone,
    width: usize,
) -> Vec<f32> {
    let weights: Vec<f32> = (0..width)
        .map(|i| {
            let values = || {
                rows.clone()
                    .filter(|(_, w)| w[i] > 0.0)
                    .map(|(b, _)| (b[i][0] + b[i][1]) / 2.0)
            };
            let n = values().count().max(1) as f32;
            let mean = values().sum::<f32>() / n;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            1.0 / (variance + 0.01)
        })
        .collect();
    let mean = weights.iter().sum::<f32>() / width as f32;
    weights.into_iter().map(|w| w / mean).collect()
}

/// Rows of one step; what is not known of a face has weight 0.
#[derive(Default)]
struct Batch {
    rows: usize,
    crops: Vec<f32>,
    units: Ranges,
    movements: Ranges,
    seen: Opinions,
    label: Opinions,
    blendshapes: Vec<f32>,
    blendshape_weights: Vec<f32>,
    landmarks: Vec<f32>,
    landmark_weights: Vec<f32>,
}

/// Lowest and highest values with their weights.
#[derive(Default)]
struct Ranges {
    low: Vec<f32>,
    high: Vec<f32>,
    weights: Vec<f32>,
}

impl Ranges {
    fn extend(&mut self, bounds: &[Bounds], weights: &[f32]) {
        self.low.extend(bounds.iter().map(|b| b[0]));
        self.high.extend(bounds.iter().map(|b| b[1]));
        self.weights.extend(weights);
    }
}

/// Distributions; each is multiplied by its weight.
#[derive(Default)]
struct Opinions {
    shares: Vec<f32>,
    weight: f32,
}

impl Opinions {
    fn push(&mut self, opinion: &Opinion) {
        self.shares
            .extend(opinion.shares.map(|share| share * opinion.weight));
        self.weight += opinion.weight;
    }
}

impl Batch {
    fn push(&mut self, pixels: Vec<f32>, lesson: &Lesson, side: usize) {
        self.rows += 1;
        push(&mut self.crops, pixels);
        self.units.extend(&lesson.units, &lesson.unit_weights);
        self.movements
            .extend(&lesson.movements, &lesson.movement_weights);
        self.seen.push(&lesson.seen);
        self.label.push(&lesson.label);
        self.blendshape_weights.push(known(&lesson.blendshapes));
        self.blendshapes
            .extend(lesson.blendshapes.unwrap_or([0.0; BLENDSHAPES]));
        self.landmark_weights.push(known(&lesson.landmarks));
        let mut marks = match &lesson.landmarks {
            Some(marks) => target(marks, side),
            None => vec![0.0; COORDINATES],
        };
        marks.truncate(COORDINATES);
        self.landmarks.extend(marks);
    }
}

fn known<T>(value: &Option<T>) -> f32 {
    f32::from(u8::from(value.is_some()))
}

/// The batch of a step; the same step always gives the same batch.
fn make_batch(faces: &TaughtFaces, run: &RunConfig, side: usize, step: usize) -> Batch {
    let pools = [&faces.renders, &faces.rated, &faces.wild, &faces.fer];
    let order = order(pools.map(Vec::len));
    let looks: Vec<_> = (0..run.batch)
        .into_par_iter()
        .filter_map(|row| {
            let mut rng = row_rng(run, step, row);
            let pool = *order.get(row % order.len().max(1))?;
            let face = &pools[pool][rng.random_range(0..pools[pool].len())];
            Some(look(face, side, &mut rng))
        })
        .collect();
    let mut batch = Batch::default();
    for (pixels, lesson) in looks {
        batch.push(pixels, &lesson, side);
    }
    batch
}

/// The pools of the rows of a batch, over and over; empty pools give their places to the others.
fn order(sizes: [usize; 4]) -> Vec<usize> {
    let full = (0..4).filter(|&pool| sizes[pool] > 0);
    full.flat_map(|pool| vec![pool; SHARES[pool]]).collect()
}

/// The loss of a batch.
fn loss(pupil: &Pupil, features: Tensor<2>, batch: Batch, constants: &Constants) -> Tensor<1> {
    let device = features.device();
    let rows = batch.rows;
    let tensor = |values: Vec<f32>| {
        let width = values.len() / rows.max(1);
        Tensor::<2>::from_data(TensorData::new(values, [rows, width]), &device)
    };
    let dropped = pupil.dropout.forward(features.clone());
    let opinion = |head: &Linear, said: Opinions| {
        let found = log_softmax(head.forward(dropped.clone()), 1);
        (found * tensor(said.shares)).sum().neg() / said.weight.max(1.0)
    };
    let expressions =
        opinion(&pupil.seen, batch.seen) + opinion(&pupil.label, batch.label) * LABEL_WEIGHT;

    let logits = pupil.units.forward(dropped.clone());
    let found = sigmoid(logits.clone());
    let ranges = |ranges: Ranges| {
        (
            tensor(ranges.low),
            tensor(ranges.high),
            tensor(ranges.weights),
        )
    };
    let (low, high, weights) = ranges(batch.units);
    let wanted = nearest(found.clone(), low, high);
    let surprise =
        relu(logits.clone()) - logits.clone() * wanted + (logits.abs().neg().exp() + 1.0).log();
    let units =
        (surprise * weights.clone() * constants.units.clone()).sum() / (weights.sum() + 1.0);

    let means = found
        .matmul(constants.means.clone())
        .clamp(1e-4, 1.0 - 1e-4);
    let (low, high, weights) = ranges(batch.movements);
    let wanted = nearest(means.clone(), low, high);
    let surprise = (wanted.clone() * means.clone().log()
        + (wanted.neg() + 1.0) * (means.neg() + 1.0).log())
    .neg();
    let movements =
        (surprise * weights.clone() * constants.movements.clone()).sum() / (weights.sum() + 1.0);

    let logits = pupil.blendshapes.forward(features.clone());
    let wanted = tensor(batch.blendshapes);
    let surprise =
        relu(logits.clone()) - logits.clone() * wanted + (logits.abs().neg().exp() + 1.0).log();
    let weights = tensor(batch.blendshape_weights);
    let blendshapes = (surprise.mean_dim(1) * weights.clone()).sum() / (weights.sum() + 1.0);

    let error = pseudo_huber(
        pupil.landmarks.forward(features) - tensor(batch.landmarks),
        LANDMARK_BEND,
    );
    let weights = tensor(batch.landmark_weights);
    let landmarks = (error.mean_dim(1) * weights.clone()).sum() / (weights.sum() + 1.0);

    expressions
        + units * UNIT_WEIGHT
        + movements * MOVEMENT_WEIGHT
        + blendshapes * BLENDSHAPE_WEIGHT
        + landmarks * LANDMARK_WEIGHT
}

/// The value within the bounds that lies nearest to what was found: nothing is learnt from it but
/// the way there.
fn nearest(found: Tensor<2>, low: Tensor<2>, high: Tensor<2>) -> Tensor<2> {
    found.detach().max_pair(low).min_pair(high)
}
