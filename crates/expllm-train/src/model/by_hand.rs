//! Which way gradients of a step are taken: by hand on the processor, by burn elsewhere.

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use expllm_face::device::Backend;
use expllm_model::ExpLlm;

use super::example::MicroBatch;
use super::objective::image_tokens;
use super::parallel::gradients;
use crate::TrainError;
use crate::gradients::llama::{LlamaSteps, Sentence, Target};

/// Takes the gradients of the steps of a run.
#[derive(Debug)]
pub struct StepWays {
    devices: Vec<Device>,
    by_hand: Option<LlamaSteps>,
}

impl StepWays {
    /// By hand where the devices, which track gradients, are the processor; see
    /// [`LlamaSteps::new`].
    #[must_use]
    pub fn new(model: &ExpLlm, devices: Vec<Device>) -> Self {
        let processor = Backend::Cpu.device().ok();
        let here = |device: &Device| processor.as_ref() == Some(&device.clone().inner());
        let by_hand = devices
            .iter()
            .all(here)
            .then(|| LlamaSteps::new(&model.llm));
        Self {
            devices,
            by_hand: by_hand.flatten(),
        }
    }

    /// The device that the model is on.
    #[must_use]
    pub fn main(&self) -> Device {
        self.devices.first().cloned().unwrap_or_default()
    }

    /// The loss of a step and its gradients on the first device.
    ///
    /// # Errors
    ///
    /// As [`gradients`].
    pub fn gradients(
        &mut self,
        model: &ExpLlm,
        parts: &[MicroBatch],
        step: usize,
    ) -> Result<(f32, GradientsParams), TrainError> {
        let device = self.main();
        let records: Option<Vec<_>> = parts.iter().map(|part| part_records(model, part)).collect();
        // What does not fit the model is left to burn, which says why.
        let (Some(steps), Some(records)) = (&mut self.by_hand, records) else {
            return gradients(model, parts, &self.devices, step);
        };
        let mut total = GradientsAccumulator::new();
        let mut sum = 0.0;
        for (index, (part, records)) in parts.iter().zip(records).enumerate() {
            let seed = (step * parts.len() + index) as u64;
            let (loss, found) = run_part(steps, model, (part, records), (&device, step, seed))?;
            sum += loss;
            total.accumulate(model, found);
        }
        Ok((sum, total.grads()))
    }
}

/// Where the image of a record begins, how long the record is, and what of it is trained.
struct Record {
    start: usize,
    length: usize,
    trained: Vec<Target>,
}

/// The records of a part without their padding; `None` when they do not fit the model.
fn part_records(model: &ExpLlm, part: &MicroBatch) -> Option<Vec<Record>> {
    let config = model.config();
    let patches = config.vision.num_patches();
    let longest = part.mask.length();
    let mut records = Vec::new();
    for (tokens, real) in part.tokens.iter().zip(part.mask.rows()) {
        let length = real.iter().take_while(|&&real| real).count();
        let is_image = |&id: &u32| id == config.image_token_id;
        let start = tokens.iter().position(is_image)?;
        let run = tokens.iter().skip(start).take(patches);
        let known = |id: &u32| is_image(id) || (*id as usize) < config.llm.vocab_size;
        let fits = real[length..].iter().all(|real| !real)
            && length <= config.llm.max_positions
            && start + patches <= length
            && run.filter(|id| is_image(id)).count() == patches
            && tokens.iter().filter(|id| is_image(id)).count() == patches
            && tokens.iter().all(known);
        let trained = Vec::new();
        records.push(fits.then_some(Record {
            start,
            length,
            trained,
        })?);
    }
    let targets = part.targets.iter().zip(&part.weights);
    for (&position, (&token, &weight)) in part.positions.iter().zip(targets) {
        let (position, token) = (
            usize::try_from(position).ok()?,
            usize::try_from(token).ok()?,
        );
        let record = records.get_mut(position / longest.max(1))?;
        let position = position % longest;
        if position >= record.length || token >= config.llm.vocab_size {
            return None;
        }
        record.trained.push(Target {
            position,
            token,
            weight,
        });
    }
    Some(records)
}

/// The language model by hand, what comes before it by burn.
fn run_part(
    steps: &mut LlamaSteps,
    model: &ExpLlm,
    (part, records): (&MicroBatch, Vec<Record>),
    (device, step, seed): (&Device, usize, u64),
) -> Result<(f32, GradientsParams), TrainError> {
    let images = image_tokens(model, part, device)?;
    let shape = images.dims();
    let values = images.clone().into_data().convert::<f32>();
    let values: Vec<f32> = values.try_to_vec().unwrap_or_default();
    let size = (shape[1] * shape[2]).max(1);
    let rows = part.tokens.iter().zip(values.chunks_exact(size));
    let sentences: Vec<Sentence<'_>> = rows
        .zip(records)
        .map(|((tokens, image), record)| Sentence {
            tokens: &tokens[..record.length],
            image: Some((record.start, image)),
            trained: record.trained,
        })
        .collect();
    let found = steps.step(&model.llm, &sentences, seed);
    let loss: f32 = found.losses.iter().sum();
    if !loss.is_finite() {
        let spoilt = part.ids.iter().zip(&found.losses);
        let spoilt = spoilt.filter(|(_, loss)| !loss.is_finite());
        return Err(TrainError::DivergedOn {
            step,
            loss,
            records: spoilt.map(|(id, _)| id.clone()).collect(),
        });
    }
    // The sum of the images, each number weighed by its gradient, has that gradient.
    let above = TensorData::new(found.images.concat(), shape);
    let above = Tensor::<3>::from_data(above, device);
    let mut gradients = GradientsParams::from_grads((images * above).sum().backward(), model);
    let plain = device.clone().inner();
    found.gradients.register(&model.llm, &mut gradients, &plain);
    Ok((loss, gradients))
}
