//! What all requests share: the networks, the queue and the counts.

use std::sync::Arc;
use std::time::Duration;

use expllm_au::FaceReader;
use expllm_core::Explainer;
use expllm_cot::Composer;
use tokio::sync::Semaphore;

use crate::error::Refusal;
use crate::metrics::Metrics;
use crate::{ServerConfig, ServerError};

/// The networks behind a server with its queue; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    config: ServerConfig,
    reader: FaceReader,
    explainer: Box<dyn Explainer>,
    /// Requests that are waited for or worked on.
    places: Semaphore,
    workers: Semaphore,
    metrics: Metrics,
}

impl App {
    /// The weights that ship; chains are composed from the action units.
    ///
    /// # Errors
    ///
    /// [`ServerError::Config`] for settings that are unsafe, [`ServerError::Face`] when the
    /// weights cannot be loaded.
    pub fn new(config: ServerConfig) -> Result<Self, ServerError> {
        Self::with_explainer(config, Box::new(Composer))
    }

    /// The same with chains of another explainer.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_explainer(
        config: ServerConfig,
        explainer: Box<dyn Explainer>,
    ) -> Result<Self, ServerError> {
        config.validate()?;
        Ok(Self(Arc::new(Shared {
            reader: FaceReader::pretrained()?,
            explainer,
            places: Semaphore::new(config.workers + config.queue),
            workers: Semaphore::new(config.workers),
            metrics: Metrics::default(),
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

    pub(crate) fn explainer(&self) -> &dyn Explainer {
        self.0.explainer.as_ref()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.0.config.deadline
    }

    /// Does work on a thread of its own when a worker is free: refused at once when too many wait,
    /// and when the deadline passes.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = self.0.places.try_acquire().map_err(|_| Refusal::busy())?;
        let app = self.clone();
        let done = async {
            let worker = self.0.workers.acquire().await;
            let worker = worker.map_err(|_| Refusal::late())?;
            let done = tokio::task::spawn_blocking(move || job(&app)).await;
            drop(worker);
            done.unwrap_or_else(|_| {
                let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
                Err(Refusal::new(status, "the work on the photo broke off"))
            })
        };
        let done = tokio::time::timeout(self.deadline(), done).await;
        drop(place);
        done.unwrap_or_else(|_| Err(Refusal::late()))
    }
}
