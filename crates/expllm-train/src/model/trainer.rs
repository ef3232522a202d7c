//! A run from its configuration to the finished model.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::optim::{AdamWConfig, MultiGradientsParams};
use burn::store::ModuleRecord;
use burn::tensor::{Device, ElementConversion};
use expllm_model::ExpLlm;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::average::Average;
use super::by_hand::StepWays;
use super::claim::{check_claim, claim};
use super::config::{TrainConfig, TrainStage};
use super::events::Events;
use super::example::{Example, ExampleSource, MicroBatch};
use super::judge::{Judgement, judge};
use super::objective::part_loss;
use super::parallel::clip;
use super::start::{Prepared, prepare, training_device};
use super::writer::Writer;
use crate::TrainError;
use crate::run::{Flow, Steps, drive};

/// Records tried in the place of one that cannot be read.
const TRIES: usize = 20;

/// Steps between reports.
const REPORT_EVERY: usize = 10;

const AVERAGE_FILE: &str = "average.bpk";
const STATE_FILE: &str = "state.json";

/// Told what happens in a run.
pub trait Observer {
    /// Something that takes a while has begun.
    fn begins(&mut self, what: &str);

    /// Some steps were taken.
    fn steps(&mut self, report: &StepReport);

    /// A record could not be used and another took its place.
    fn skipped(&mut self, reason: &str);

    /// The model was validated after a step: the loss on records kept back, and what it says of
    /// faces where they have readings.
    fn validated(&mut self, step: usize, loss: f64, judgement: Option<&Judgement>);
}

/// State of a run after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Mean loss since the last report, in nats per token.
    pub loss: f64,
    /// Length of the last gradient before it was clipped.
    pub gradient: f32,
    /// Records per second since the run (or its resumption) began.
    pub rate: f64,
    /// Seconds left at that rate.
    pub seconds_left: f64,
}

/// Trains a model and writes it to `model` in the folder of the run, the best one by validation
/// to `best`; a run that was stopped goes on from its last checkpoint. Stage 2 also writes its
/// adapters to `adapter`.
///
/// # Errors
///
/// [`TrainError::Config`] when the folder holds another run; [`TrainError::DivergedOn`]; whatever
/// keeps model, records or files from being read or written. What was written before stays.
pub fn train_model(
    config: &TrainConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    config.check_device(device)?;
    check_claim(config)?;
    let prepared = prepare(config, device, &mut |what| observer.begins(what))?;
    // What could not be prepared leaves no folder behind that refuses the corrected run.
    claim(config)?;
    let Prepared {
        model,
        language,
        generation,
        train,
        valid,
        judged,
    } = prepared;
    let optimiser = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(config.optimiser.weight_decay)
        .init();
    let on = training_device(config, device);
    let ema = config.optimiser.ema;
    let make = |step| {
        make_batch(train.as_ref(), config, step).and_then(|(examples, skipped)| {
            let rows = config.run.micro_batch;
            let parts = language.parts(examples, rows, config.records.by_record)?;
            Ok(Batch { parts, skipped })
        })
    };
    let valid = validation_parts(valid.as_ref(), config, &language)?;
    let mut steps = ModelSteps {
        config,
        ways: StepWays::new(&model, vec![on; config.run.devices]),
        average: (ema > 0.0).then(|| Average::new(&model, ema)),
        valid,
        judged,
        writer: Writer {
            folder: config.output.clone(),
            language: &language,
            generation,
            halve: config.stage == TrainStage::Full,
        },
        events: Events::open(&config.output)?,
        observer,
        state: State::default(),
        meter: Meter::default(),
    };
    let run = config.output.join("run");
    let trained = drive(
        (model, optimiser),
        &config.schedule(),
        &run,
        &make,
        &mut steps,
    )?;
    let trained = steps.shown(&trained);
    steps.writer.write("model", &trained)?;
    if config.stage == TrainStage::Instruction {
        steps.writer.write_adapter(&trained)?;
    }
    Ok(())
}

/// The parts of a step and why some records are not among them.
struct Batch {
    parts: Vec<MicroBatch>,
    skipped: Vec<String>,
}

/// The records of a step; the same step always gives the same ones.
fn make_batch(
    source: &dyn ExampleSource,
    config: &TrainConfig,
    step: usize,
) -> Result<(Vec<Example>, Vec<String>), TrainError> {
    let mut skipped = Vec::new();
    let mut examples = Vec::with_capacity(config.run.batch);
    for row in 0..config.run.batch {
        let mut rng = ChaCha8Rng::seed_from_u64(config.run.seed);
        rng.set_stream((step * config.run.batch + row) as u64);
        examples.push(pick(source, &mut rng, &mut skipped, &config.output)?);
    }
    Ok((examples, skipped))
}

/// A record by chance; one that cannot be read is passed over.
fn pick(
    source: &dyn ExampleSource,
    rng: &mut ChaCha8Rng,
    skipped: &mut Vec<String>,
    folder: &Path,
) -> Result<Example, TrainError> {
    for _ in 0..TRIES {
        let index = rng.random_range(0..source.len().max(1));
        match source.example(index, rng) {
            Ok(example) => return Ok(example),
            Err(error) => skipped.push(error.to_string()),
        }
    }
    Err(TrainError::Record {
        id: folder.display().to_string(),
        reason: format!(
            "{TRIES} records one after the other cannot be used, the last one: {}",
            skipped.last().map_or("", String::as_str)
        ),
    })
}

/// The records that a run is validated by, always the same ones.
fn validation_parts(
    source: &dyn ExampleSource,
    config: &TrainConfig,
    language: &super::Language,
) -> Result<Vec<MicroBatch>, TrainError> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let count = config.validation.records.min(source.len());
    let examples = (0..count)
        .filter_map(|index| {
            let index = index * source.len() / count;
            source.example(index, &mut rng).ok()
        })
        .collect();
    language.parts(examples, config.run.micro_batch, config.records.by_record)
}

/// What a checkpoint keeps beside model and optimiser.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    best: Option<f64>,
    /// Validations since the best one.
    since: usize,
}

/// Sums since the last report.
#[derive(Debug, Default)]
struct Meter {
    begun: Option<(Instant, usize)>,
    loss: f64,
    steps: usize,
    gradient: f32,
}

struct ModelSteps<'a> {
    config: &'a TrainConfig,
    ways: StepWays,
    average: Option<Average<ExpLlm>>,
    valid: Vec<MicroBatch>,
    judged: Option<super::FaceExamples>,
    writer: Writer<'a>,
    events: Events,
    observer: &'a mut dyn Observer,
    state: State,
    meter: Meter,
}

impl Steps<ExpLlm, Batch> for ModelSteps<'_> {
    fn gradients(
        &mut self,
        model: &ExpLlm,
        batch: Batch,
        step: usize,
    ) -> Result<(f32, MultiGradientsParams), TrainError> {
        self.meter.begun.get_or_insert((Instant::now(), step));
        for reason in &batch.skipped {
            self.observer.skipped(reason);
        }
        let (loss, found) = self.ways.gradients(model, &batch.parts, step)?;
        let (length, clipped) = clip(model, found, self.config.optimiser.clip_norm);
        if !length.is_finite() {
            return Err(TrainError::DivergedOn {
                step,
                loss: length,
                records: batch.parts.into_iter().flat_map(|part| part.ids).collect(),
            });
        }
        self.meter.gradient = length;
        let on = self.ways.main().inner();
        let gradients = MultiGradientsParams {
            grads: vec![(clipped, on)],
        };
        Ok((loss, gradients))
    }

    fn after(&mut self, model: &ExpLlm, step: usize, loss: f32) -> Result<Flow, TrainError> {
        if let Some(average) = self.average.take() {
            self.average = Some(average.follow(model, step));
        }
        self.meter.loss += f64::from(loss);
        self.meter.steps += 1;
        let done = step + 1;
        if done.is_multiple_of(REPORT_EVERY) || done == self.config.run.steps {
            self.report(done)?;
        }
        let last = done == self.config.run.steps;
        if done.is_multiple_of(self.config.validation.every) || last {
            return self.validate(model, done);
        }
        Ok(Flow::Continue)
    }

    fn save(&mut self, folder: &Path) -> Result<(), TrainError> {
        let failed = |path: PathBuf, reason: String| TrainError::Checkpoint { path, reason };
        if let Some(average) = &self.average {
            let path = folder.join(AVERAGE_FILE);
            let record = average.model.clone().into_record();
            record
                .save(&path)
                .map_err(|e| failed(path, e.to_string()))?;
        }
        let path = folder.join(STATE_FILE);
        let text =
            serde_json::to_string(&self.state).map_err(|e| failed(path.clone(), e.to_string()))?;
        fs::write(&path, text).map_err(|e| TrainError::file(path, e))
    }

    fn resume(&mut self, folder: &Path) -> Result<(), TrainError> {
        let failed = |path: PathBuf, reason: String| TrainError::Checkpoint { path, reason };
        if let Some(average) = &mut self.average {
            let path = folder.join(AVERAGE_FILE);
            let record = ModuleRecord::load(&path).map_err(|e| failed(path, e.to_string()))?;
            average.model = average.model.clone().load_record(record);
        }
        let path = folder.join(STATE_FILE);
        let text = fs::read_to_string(&path).map_err(|e| TrainError::file(path.clone(), e))?;
        self.state = serde_json::from_str(&text).map_err(|e| failed(path, e.to_string()))?;
        Ok(())
    }
}

impl ModelSteps<'_> {
    /// The model that is validated and written: the average where there is one.
    fn shown(&self, model: &ExpLlm) -> ExpLlm {
        match &self.average {
            Some(average) => average.model.clone(),
            None => model.valid(),
        }
    }

    fn report(&mut self, done: usize) -> Result<(), TrainError> {
        let (begun, first) = self.meter.begun.unwrap_or((Instant::now(), done));
        let seconds = begun.elapsed().as_secs_f64();
        let taken = (done - first).max(1) as f64;
        let report = StepReport {
            step: done,
            steps: self.config.run.steps,
            loss: self.meter.loss / self.meter.steps.max(1) as f64,
            gradient: self.meter.gradient,
            rate: taken * self.config.run.batch as f64 / seconds,
            seconds_left: seconds / taken * (self.config.run.steps - done) as f64,
        };
        (self.meter.loss, self.meter.steps) = (0.0, 0);
        let rate = self.config.schedule().learning_rate(done - 1);
        self.events.write(
            done,
            &[
                ("train/loss", report.loss),
                ("train/gradient", f64::from(report.gradient)),
                ("train/learning_rate", rate),
                ("train/records_per_second", report.rate),
            ],
        )?;
        self.observer.steps(&report);
        Ok(())
    }

    fn validate(&mut self, model: &ExpLlm, done: usize) -> Result<Flow, TrainError> {
        let model = self.shown(model);
        let device = model.llm.device();
        let mut loss = 0.0;
        for part in &self.valid {
            let value = part_loss(&model, part, &device)?;
            loss += f64::from(value.into_scalar::<f32>().elem::<f32>());
        }
        let mut values = vec![("valid/loss", loss)];
        let settings = self.config.validation;
        let judgement = match &self.judged {
            Some(faces) if settings.chains > 0 => Some(judge(
                &model,
                self.writer.language,
                &self.writer.generation,
                faces,
                (settings.chains, settings.shown),
            )?),
            _ => None,
        };
        if let Some(found) = &judgement {
            values.extend([
                ("valid/accuracy", found.accuracy),
                ("valid/detector_accuracy", found.detector_accuracy),
                ("valid/chain_parsed", found.parsed),
                ("valid/label_in_conclusion", found.label_in_conclusion),
                ("valid/grounding_precision", found.precision),
                ("valid/grounding_recall", found.recall),
                (
                    "valid/grounding_precision_shuffled",
                    found.precision_shuffled,
                ),
                ("valid/grounding_recall_shuffled", found.recall_shuffled),
            ]);
        }
        values.retain(|(_, value)| value.is_finite());
        self.events.write(done, &values)?;
        self.observer.validated(done, loss, judgement.as_ref());
        if self.state.best.is_none_or(|best| loss < best) {
            self.state = State {
                best: Some(loss),
                since: 0,
            };
            self.writer.write("best", &model)?;
        } else {
            self.state.since += 1;
        }
        let patience = self.config.validation.patience;
        Ok(match patience > 0 && self.state.since >= patience {
            true => Flow::Stop,
            false => Flow::Continue,
        })
    }
}
