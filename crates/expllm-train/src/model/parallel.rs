//! Gradients of a step: parts run one after the other or side by side, then added up.
//!
//! burn's distributed training of several devices in one machine comes in two forms: an
//! all-reduce among CUDA devices, and gradients that are moved to a main device and added there
//! before the optimiser's step. The second works on every backend and is the one used here.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, ElementConversion, Tensor};
use expllm_model::ExpLlm;

use super::example::MicroBatch;
use super::objective::part_loss;
use crate::TrainError;

/// The loss of a step and its gradients on the first device, which also holds the model.
///
/// Part `i` runs on device `i % devices.len()`. The result does not depend on how many devices
/// there are, up to the order of sums.
///
/// # Errors
///
/// As [`part_loss`]; [`TrainError::DivergedOn`] with the records whose loss is not a number.
pub fn gradients(
    model: &ExpLlm,
    parts: &[MicroBatch],
    devices: &[Device],
    step: usize,
) -> Result<(f32, GradientsParams), TrainError> {
    let Some((main, others)) = devices.split_first() else {
        return Ok((0.0, GradientsParams::new()));
    };
    let share = |number: usize| parts.iter().skip(number).step_by(devices.len());
    let mut total = GradientsAccumulator::new();
    let mut loss = 0.0;
    std::thread::scope(|scope| {
        let workers: Vec<_> = others
            .iter()
            .enumerate()
            .map(|(index, device)| {
                let copy = model.clone().fork(device);
                let parts = share(index + 1);
                scope.spawn(move || run_parts(&copy, parts, device, step))
            })
            .collect();
        let (own, gradients) = run_parts(model, share(0), main, step)?;
        loss += own;
        total.accumulate(model, gradients);
        for worker in workers {
            let result = worker.join().unwrap_or_else(|panic| {
                // A panic of a worker is one of this thread.
                std::panic::resume_unwind(panic)
            });
            let (theirs, gradients) = result?;
            loss += theirs;
            total.accumulate(model, gradients.to_device(&main.clone().inner(), model));
        }
        Ok((loss, total.grads()))
    })
}

fn run_parts<'a>(
    model: &ExpLlm,
    parts: impl Iterator<Item = &'a MicroBatch>,
    device: &Device,
    step: usize,
) -> Result<(f32, GradientsParams), TrainError> {
    let mut total = GradientsAccumulator::new();
    let mut sum = 0.0;
    for part in parts {
        let loss = part_loss(model, part, device)?;
        let value: f32 = loss.clone().into_scalar::<f32>().elem();
        if !value.is_finite() {
            let records = culprits(model, part, device)?;
            return Err(TrainError::DivergedOn {
                step,
                loss: value,
                records,
            });
        }
        sum += value;
        total.accumulate(model, GradientsParams::from_grads(loss.backward(), model));
    }
    Ok((sum, total.grads()))
}

/// The records of a part whose loss alone is not a number; all of them when none is.
fn culprits(model: &ExpLlm, part: &MicroBatch, device: &Device) -> Result<Vec<String>, TrainError> {
    let mut found = Vec::new();
    for row in 0..part.ids.len() {
        let loss = part_loss(model, &part.row(row), device)?;
        if !loss.into_scalar::<f32>().elem::<f32>().is_finite() {
            found.push(part.ids[row].clone());
        }
    }
    if found.is_empty() {
        found.clone_from(&part.ids);
    }
    Ok(found)
}

/// Scales all gradients down together when their common length is above `longest`; 0 leaves
/// them as they are. Returns the length before.
pub fn clip(model: &ExpLlm, gradients: GradientsParams, longest: f32) -> (f32, GradientsParams) {
    let mut squares = Squares {
        gradients: &gradients,
        sum: 0.0,
    };
    model.visit(&mut squares);
    let length = squares.sum.sqrt() as f32;
    if longest <= 0.0 || length <= longest {
        return (length, gradients);
    }
    let mut scale = Scale {
        gradients,
        factor: longest / (length + 1e-6),
        scaled: GradientsParams::new(),
    };
    model.visit(&mut scale);
    (length, scale.scaled)
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = (gradient.clone() * gradient).sum();
            self.sum += f64::from(square.into_scalar::<f32>().elem::<f32>());
        }
    }
}

struct Scale {
    gradients: GradientsParams,
    factor: f32,
    scaled: GradientsParams,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.scaled.register(param.id, gradient * self.factor);
        }
    }
}
