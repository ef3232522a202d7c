//! What all requests share: the networks, the queue and the counts.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expllm_au::FaceReader;
use expllm_core::Explainer;
use expllm_cot::Composer;
use expllm_face::PhotoReader;

use crate::access_log::AccessLog;
use crate::analysis::Analysis;
use crate::error::Refusal;
use crate::fetch::Fetcher;
use crate::metrics::{Load, Metrics};
use crate::queue::{Limits, Queue};
use crate::reading::{Asked, Unread};
use crate::room::Room;
use crate::{ServerConfig, ServerError};

/// The networks behind a server with its queue; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What a server works with, beside its settings.
pub struct Parts {
    /// Writes the chains; composed from the action units by default.
    pub explainer: Box<dyn Explainer>,
    /// Where one line of JSON is written for every request; nowhere by default.
    pub access_log: Option<Box<dyn Write + Send>>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            explainer: Box::new(Composer),
            access_log: None,
        }
    }
}

struct Shared {
    config: ServerConfig,
    reader: FaceReader,
    photos: PhotoReader,
    explainer: Box<dyn Explainer>,
    /// Held while a chain is written by an explainer that writes one at a time.
    one_chain: Mutex<()>,
    fetcher: Fetcher,
    queue: Queue<Unread>,
    room: Room,
    metrics: Metrics,
    log: Option<AccessLog>,
    stopping: AtomicBool,
}

impl App {
    /// The weights that ship; chains are composed from the action units, and nothing is logged.
    ///
    /// # Errors
    ///
    /// [`ServerError::Config`] for settings that are unsafe, [`ServerError::Face`] when the
    /// weights cannot be loaded.
    pub fn new(config: ServerConfig) -> Result<Self, ServerError> {
        Self::with_parts(config, Parts::default())
    }

    /// The same with other parts.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_parts(config: ServerConfig, parts: Parts) -> Result<Self, ServerError> {
        config.validate()?;
        let max_pixels = config.max_pixels;
        Ok(Self(Arc::new(Shared {
            reader: FaceReader::pretrained()?,
            photos: PhotoReader {
                max_pixels,
                ..PhotoReader::default()
            },
            explainer: parts.explainer,
            one_chain: Mutex::new(()),
            fetcher: Fetcher::new(&config)?,
            queue: Queue::new(Limits {
                workers: config.workers,
                waiting: config.queue,
                batch: config.batch,
                max_wait: config.max_wait,
            }),
            room: Room::new(config.max_memory, config.max_body),
            metrics: Metrics::default(),
            log: parts.access_log.map(AccessLog::new).transpose()?,
            stopping: AtomicBool::new(false),
            config,
        })))
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &ServerConfig {
        &self.0.config
    }

    pub(crate) fn reader(&self) -> &FaceReader {
        &self.0.reader
    }

    pub(crate) fn photos(&self) -> &PhotoReader {
        &self.0.photos
    }

    pub(crate) fn explainer(&self) -> &dyn Explainer {
        self.0.explainer.as_ref()
    }

    pub(crate) fn one_chain(&self) -> &Mutex<()> {
        &self.0.one_chain
    }

    pub(crate) fn fetcher(&self) -> &Fetcher {
        &self.0.fetcher
    }

    pub(crate) fn queue(&self) -> &Queue<Unread> {
        &self.0.queue
    }

    pub(crate) fn room(&self) -> &Room {
        &self.0.room
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn log(&self) -> Option<&AccessLog> {
        self.0.log.as_ref()
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.0.config.deadline
    }

    pub(crate) fn load(&self) -> Load {
        let (waiting, working) = self.0.queue.load();
        Load { waiting, working }
    }

    /// From now on `GET /health` says that no more requests should come.
    pub(crate) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// Reads a photo as [`read`](Self::read) does, and does work with it on a thread of its own. The
    /// work ends early when nobody waits for it any more.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        asked: Asked,
        job: impl FnOnce(&mut Analysis) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let until = asked.until;
        let (mut analysis, _waiting) = self.read(asked).await?;
        let done = tokio::task::spawn_blocking(move || job(&mut analysis));
        match tokio::time::timeout_at(until.0, done).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Refusal::internal("the work on the photo broke off")),
            Err(_) => Err(Refusal::overdue()),
        }
    }
}
