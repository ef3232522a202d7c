//! Write, check, repair, keep: the composition of the stages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use expllm_core::{AuVector, Expression, ExpressionSet};
use futures::FutureExt;
#[cfg(feature = "remote")]
use futures::{StreamExt, stream};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::prompt::short_hash;
use crate::resume::{Task, remaining};
use crate::units::WithUnits;
use crate::{
    BuiltRecord, Checked, Checker, Composer, CotError, CotRecord, Draft, Finding, Journal, Message,
    Prompts, Row, Status, Summary, TextWriter, UnitReader, Usage, WriteError, WriteRequest,
};

/// Most records that a local writer takes at once.
const LARGEST_CHUNK: usize = 512;

/// Time that a chunk may take; a slow writer gets smaller ones, so that little is written again
/// when a run is stopped.
const CHUNK_TIME: Duration = Duration::from_secs(1);

/// What happens when a writer never gives a text that passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The composer's text stands in, marked [`Status::Composed`].
    #[default]
    Compose,
    /// The record is kept without a place in the data set, marked [`Status::SetAside`].
    SetAside,
}

/// Settings of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// The checks.
    pub checker: Checker,
    /// How often a text goes back to the writer (default 2).
    pub repairs: u32,
    /// What then.
    pub on_failure: OnFailure,
    /// The expressions in play.
    pub set: ExpressionSet,
    /// Varies the wording; record `n` gets `seed + n`.
    pub seed: u64,
    /// Requests in flight (default 8).
    pub concurrency: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            checker: Checker::default(),
            repairs: 2,
            on_failure: OnFailure::default(),
            set: ExpressionSet::Eight,
            seed: 0,
            concurrency: 8,
        }
    }
}

/// A writer with its prompts and checks.
pub struct Engine {
    writer: Arc<dyn TextWriter>,
    prompts: Option<Prompts>,
    units: Option<Arc<dyn UnitReader>>,
    config: EngineConfig,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let writer = self.writer.name();
        f.debug_struct("Engine")
            .field("writer", &writer)
            .field("config", &self.config)
            .finish()
    }
}

/// What became of the writer's attempts.
#[derive(Default)]
struct Attempts {
    count: u32,
    text: Option<String>,
    findings: Vec<Finding>,
    error: Option<String>,
    model: Option<String>,
    prompt_hash: Option<String>,
    usage: Usage,
}

impl Engine {
    /// Puts the stages together; writers that need no prompt get none.
    #[must_use]
    pub fn new(
        writer: Arc<dyn TextWriter>,
        prompts: Option<Prompts>,
        config: EngineConfig,
    ) -> Self {
        Self {
            writer,
            prompts,
            units: None,
            config,
        }
    }

    /// Adds the stage that reads action units from images, for records without `au` values.
    #[must_use]
    pub fn with_unit_reader(mut self, reader: Arc<dyn UnitReader>) -> Self {
        self.units = Some(reader);
        self
    }

    /// Builds all rows that the journal does not hold yet, with many requests in flight; the
    /// output keeps the order of the input.
    ///
    /// `rows` are the rows of this shard from the first on, each with its index in the input.
    ///
    /// # Errors
    ///
    /// What stops a run as a whole; the same call goes on later.
    #[cfg(feature = "remote")]
    pub async fn run(
        &self,
        rows: impl Iterator<Item = (u64, Row)>,
        journal: &mut Journal,
        mut each: impl FnMut(&BuiltRecord),
    ) -> Result<Summary, CotError> {
        let tasks = rows.map(|(index, row)| self.task(index, row));
        let tasks = WithUnits::new(remaining(tasks, journal)?, self.units.clone());
        let mut summary = Summary::default();
        let built = stream::iter(tasks).map(|task| self.build_task(task));
        // A window wider than the number of requests lets others go on behind a slow one.
        let limit = Arc::new(tokio::sync::Semaphore::new(self.config.concurrency.max(1)));
        let mut built = built
            .map(|record| {
                let limit = Arc::clone(&limit);
                async move {
                    let _permit = limit.acquire().await;
                    record.await
                }
            })
            .buffered(self.config.concurrency.max(1).saturating_mul(4))
            .boxed_local();
        while let Some(record) = built.next().await {
            let record = record?;
            journal.append(std::slice::from_ref(&record))?;
            summary.count(&record);
            each(&record);
        }
        drop(built);
        journal.sync()?;
        Ok(summary)
    }

    /// As [`Engine::run`] for a writer that never waits, on all cores.
    ///
    /// # Errors
    ///
    /// What stops a run as a whole.
    pub fn run_local(
        &self,
        rows: impl Iterator<Item = (u64, Row)>,
        journal: &mut Journal,
        mut each: impl FnMut(&BuiltRecord),
    ) -> Result<Summary, CotError> {
        let tasks = rows.map(|(index, row)| self.task(index, row));
        let mut tasks = WithUnits::new(remaining(tasks, journal)?, self.units.clone());
        let mut summary = Summary::default();
        let mut size = rayon::current_num_threads();
        loop {
            let started = Instant::now();
            let chunk: Vec<_> = tasks.by_ref().take(size).collect();
            if chunk.is_empty() {
                break;
            }
            let built: Vec<_> = chunk
                .into_par_iter()
                .map(|task| match self.build_task(task).now_or_never() {
                    Some(record) => record,
                    None => Err(CotError::Endpoint {
                        endpoint: self.writer.name().to_owned(),
                        reason: "this writer waits; run it with Engine::run (feature `remote`)"
                            .into(),
                    }),
                })
                .collect::<Result<_, _>>()?;
            journal.append(&built)?;
            for record in &built {
                summary.count(record);
                each(record);
            }
            size = match started.elapsed() < CHUNK_TIME / 2 {
                true => (size * 2).min(LARGEST_CHUNK),
                false => (size / 2).max(rayon::current_num_threads()),
            };
        }
        journal.sync()?;
        Ok(summary)
    }

    /// The messages for a record, for a dry run.
    ///
    /// # Errors
    ///
    /// [`CotError::Template`].
    pub fn messages(&self, record: &CotRecord) -> Result<Vec<Message>, CotError> {
        let units = record.units.unwrap_or_default();
        match &self.prompts {
            Some(prompts) => prompts.first(record.label, &units, self.config.set),
            None => Ok(Vec::new()),
        }
    }

    /// Builds one record; bad rows become rejected records.
    ///
    /// # Errors
    ///
    /// What stops a run as a whole.
    pub async fn build(&self, index: u64, row: Row) -> Result<BuiltRecord, CotError> {
        self.build_task(self.task(index, row)).await
    }

    /// A row with a hash of what its text will be made of.
    fn task(&self, index: u64, row: Row) -> Task {
        let image = self.units.as_ref().zip(row.record.as_ref().ok());
        let image = image.and_then(|(reader, record)| {
            let decides = record.units.is_none() || self.writer.looks();
            decides.then(|| reader.bytes(&record.file_name))?
        });
        Task::new(index, row, image.as_deref())
    }

    async fn build_task(&self, task: Task) -> Result<BuiltRecord, CotError> {
        let built = self.build_row(task.index, task.row).await?;
        Ok(BuiltRecord {
            input: Some(task.input),
            ..built
        })
    }

    async fn build_row(&self, index: u64, row: Row) -> Result<BuiltRecord, CotError> {
        let (line, name) = (row.line, row.name().to_owned());
        let record = match row.record {
            Ok(record) => record,
            Err(reason) => return Ok(rejected(index, line, name, &reason)),
        };
        let Some(units) = record.units else {
            let reason = "no au values; give --root, so that they are read from the image";
            return Ok(rejected(index, line, record.file_name, reason));
        };
        if !self.config.set.contains(record.label) {
            let reason = format!("{} is not in the set of labels", record.label);
            return Ok(rejected(index, line, record.file_name, &reason));
        }
        let attempts = self.attempt(index, &record, &units).await?;
        Ok(self.finish(index, record, &units, attempts))
    }

    /// Asks the writer until a text passes or the repairs are used up.
    async fn attempt(
        &self,
        index: u64,
        record: &CotRecord,
        units: &AuVector,
    ) -> Result<Attempts, CotError> {
        let mut tried = Attempts::default();
        let mut messages = self.messages(record)?;
        if !messages.is_empty() {
            let texts = messages.iter().map(|m| m.content.as_bytes());
            tried.prompt_hash = Some(short_hash(texts));
        }
        for round in 0..=self.config.repairs {
            let seed = self.config.seed.wrapping_add(index);
            let request = WriteRequest {
                file_name: &record.file_name,
                label: record.label,
                units,
                set: self.config.set,
                seed: seed.wrapping_add(u64::from(round) << 48),
                messages: &messages,
            };
            tried.count += 1;
            let draft = match self.writer.write(request).await {
                Ok(draft) => draft,
                Err(WriteError::Run(error)) => return Err(error),
                Err(WriteError::Record(reason)) => {
                    tried.error = Some(reason);
                    break;
                }
            };
            if self.passes(record.label, units, draft, &mut tried) || !self.writer.varies() {
                break;
            }
            if let (Some(prompts), Some(text)) = (&self.prompts, &tried.text) {
                messages.truncate(2);
                messages.push(Message::new("assistant", text.clone()));
                messages.push(prompts.repair(&tried.findings)?);
            }
        }
        Ok(tried)
    }

    fn passes(
        &self,
        label: Expression,
        units: &AuVector,
        draft: Draft,
        tried: &mut Attempts,
    ) -> bool {
        let checker = Checker {
            set: self.config.set,
            ..self.config.checker
        };
        let Checked {
            chain, findings, ..
        } = checker.check(&draft.text, label, units);
        tried.usage.add(draft.usage);
        tried.model = draft.model.or(tried.model.take());
        tried.text = Some(chain.map_or(draft.text, |chain| chain.to_string()));
        tried.findings = findings;
        tried.findings.is_empty()
    }

    fn finish(
        &self,
        index: u64,
        record: CotRecord,
        units: &AuVector,
        tried: Attempts,
    ) -> BuiltRecord {
        let passed = tried.text.is_some() && tried.findings.is_empty() && tried.error.is_none();
        let (status, description, writer) = match (passed, self.config.on_failure) {
            (true, _) => (Status::Checked, tried.text, self.writer.name()),
            (false, OnFailure::Compose) => {
                let seed = self.config.seed.wrapping_add(index);
                let chain = Composer.compose(units, record.label, self.config.set, seed);
                (Status::Composed, Some(chain.to_string()), "composer")
            }
            (false, OnFailure::SetAside) => (Status::SetAside, tried.text, self.writer.name()),
        };
        BuiltRecord {
            index,
            file_name: record.file_name,
            emo: Some(record.label),
            au: Some(*units),
            description,
            status,
            writer: writer.to_owned(),
            model: tried.model,
            prompt_hash: tried.prompt_hash,
            input: None,
            attempts: tried.count,
            findings: tried.findings,
            error: tried.error,
            usage: tried.usage,
        }
    }
}

/// A rejected record that says where its row stands: the line, or the name where there are none.
fn rejected(index: u64, line: u64, name: String, reason: &str) -> BuiltRecord {
    let place = match line {
        0 => format!("{name:?}"),
        line => format!("line {line}"),
    };
    BuiltRecord::rejected(index, name, format!("{place}: {reason}"))
}
