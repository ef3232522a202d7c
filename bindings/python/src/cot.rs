//! The Exp-CoT engine with a function of Python as its writer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use expllm_cot::{
    Checker, CotError, CotRecord, Draft, Engine, EngineConfig, Journal, OnFailure, PromptFiles,
    Prompts, Row, TextWriter, WriteError, WriteRequest, read_rows,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::stages::SIGNALS;
use crate::values::{expression_set, named_units, wrong};

/// Settings of a run.
#[derive(FromPyObject)]
pub struct Settings {
    name: String,
    classes: u8,
    repairs: u32,
    seed: u64,
    word_limit: usize,
    compose: bool,
    threads: usize,
}

/// Records to write chains for.
#[derive(FromPyObject)]
pub enum Records {
    /// A file of records.
    File(PathBuf),
    /// One JSON text per record.
    Given(Vec<String>),
}

/// How many records there are, how many ended how, and how often each check failed.
type Built = (u64, Vec<(String, u64)>, Vec<(String, u64)>);

/// A function of Python that writes texts.
struct Callable {
    name: String,
    call: Arc<Py<PyAny>>,
    /// What it raised, which ends the run.
    raised: Arc<Mutex<Option<PyErr>>>,
}

/// What the function is called with.
struct Call {
    file_name: String,
    label: &'static str,
    units: Vec<(&'static str, f32)>,
    seed: u64,
    messages: Vec<(String, String)>,
}

impl Call {
    fn of(request: &WriteRequest<'_>) -> Self {
        let messages = request.messages.iter();
        Self {
            file_name: request.file_name.to_owned(),
            label: request.label.snake_case(),
            units: named_units(request.units),
            seed: request.seed,
            messages: messages
                .map(|m| (m.role.clone(), m.content.clone()))
                .collect(),
        }
    }

    /// The text, or why this record cannot be written.
    fn run(self, call: &Py<PyAny>) -> PyResult<Result<String, String>> {
        Python::attach(|py| {
            let arguments = (
                self.file_name,
                self.label,
                self.units,
                self.seed,
                self.messages,
            );
            let answer: (Option<String>, Option<String>) =
                call.call1(py, arguments)?.extract(py)?;
            match answer {
                (Some(text), _) => Ok(Ok(text)),
                (None, Some(reason)) => Ok(Err(reason)),
                (None, None) => Err(PyTypeError::new_err("a writer must return a text")),
            }
        })
    }
}

impl Callable {
    /// Keeps what was raised and stops the run.
    fn stop(&self, error: PyErr) -> WriteError {
        let reason = error.to_string();
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        WriteError::Run(CotError::Endpoint {
            endpoint: self.name.clone(),
            reason,
        })
    }
}

#[async_trait]
impl TextWriter for Callable {
    fn name(&self) -> &str {
        &self.name
    }

    async fn write(&self, request: WriteRequest<'_>) -> Result<Draft, WriteError> {
        let (asked, call) = (Call::of(&request), Arc::clone(&self.call));
        let answered = tokio::task::spawn_blocking(move || asked.run(&call)).await;
        match answered.map_err(wrong).and_then(|answer| answer) {
            Ok(Ok(text)) => Ok(Draft {
                text,
                ..Draft::default()
            }),
            Ok(Err(reason)) => Err(WriteError::Record(reason)),
            Err(error) => Err(self.stop(error)),
        }
    }
}

impl Settings {
    fn config(&self) -> PyResult<EngineConfig> {
        let set = expression_set(self.classes)?;
        Ok(EngineConfig {
            checker: Checker {
                word_limit: self.word_limit,
                set,
                ..Checker::default()
            },
            repairs: self.repairs,
            on_failure: match self.compose {
                true => OnFailure::Compose,
                false => OnFailure::SetAside,
            },
            set,
            seed: self.seed,
            concurrency: self.threads,
        })
    }

    /// What decides the texts, for the journal.
    fn lines(&self, records: &Records, prompts: &Prompts) -> String {
        let source = match records {
            Records::File(path) => path.display().to_string(),
            Records::Given(_) => "records of a Python program".to_owned(),
        };
        let Self {
            name,
            classes,
            repairs,
            seed,
            word_limit,
            compose,
            threads: _,
        } = self;
        format!(
            "expllm python 1\nsource {source}\nwriter {name}\nlabels {classes}\nseed {seed}\n\
             repairs {repairs}\ncompose {compose}\nword_limit {word_limit}\nprompts {}\n",
            prompts.hash()
        )
    }
}

impl Records {
    fn rows(self) -> Result<Box<dyn Iterator<Item = Row> + Send>, CotError> {
        match self {
            Self::File(path) => read_rows(&path),
            Self::Given(texts) => Ok(Box::new(texts.into_iter().map(|text| row(&text)))),
        }
    }
}

fn row(text: &str) -> Row {
    let raw: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    Row {
        line: 0,
        record: CotRecord::from_json(&raw),
        raw,
    }
}

/// Builds the records that `out` does not hold yet; gives how many there are, how many ended how,
/// and how often each check failed on the last texts.
///
/// `writer` is called with file name, label, units by name, seed and messages by role, and gives
/// a text and `None`, or `None` and why there is none. What it raises ends the run; what was
/// finished stays in `out`, and the same call goes on there.
#[pyfunction]
pub fn build(
    py: Python<'_>,
    records: Records,
    writer: Py<PyAny>,
    out: PathBuf,
    settings: Settings,
) -> PyResult<Built> {
    let raised = Arc::new(Mutex::new(None));
    let callable = Callable {
        name: settings.name.clone(),
        call: Arc::new(writer),
        raised: Arc::clone(&raised),
    };
    let ended = py.detach(|| run(records, callable, &out, &settings));
    let raised = raised.lock().unwrap_or_else(PoisonError::into_inner).take();
    match raised {
        Some(error) => Err(error),
        None => ended,
    }
}

fn run(records: Records, writer: Callable, out: &Path, settings: &Settings) -> PyResult<Built> {
    let config = settings.config()?;
    let prompts = Prompts::new(&PromptFiles::default(), settings.word_limit).map_err(wrong)?;
    let mut journal = Journal::open(out, &settings.lines(&records, &prompts)).map_err(wrong)?;
    let rows = (0..).zip(records.rows().map_err(wrong)?);
    let engine = Engine::new(Arc::new(writer), Some(prompts), config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(settings.threads.max(1))
        .build()?;
    let summary = runtime.block_on(async {
        tokio::select! {
            summary = engine.run(rows, &mut journal, |_| {}) => summary.map_err(wrong),
            error = interruption() => Err(error),
        }
    });
    // A text that is still being written is not waited for.
    runtime.shutdown_background();
    let summary = summary?;
    let statuses = summary.by_status.into_iter().collect();
    Ok((
        journal.done(),
        statuses,
        summary.findings.into_iter().collect(),
    ))
}

/// Ends when a handler of a signal raises, as on Ctrl-C.
async fn interruption() -> PyErr {
    loop {
        tokio::time::sleep(SIGNALS).await;
        if let Err(error) = Python::attach(|py| py.check_signals()) {
            return error;
        }
    }
}
