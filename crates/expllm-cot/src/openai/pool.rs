//! Endpoints that share the work, each with its limit and circuit breaker.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Url;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::OpenAiConfig;

/// One server.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Where requests go.
    pub url: Url,
    slots: Semaphore,
    waiting: AtomicUsize,
    failures: AtomicU32,
    /// Whether it ever gave an answer.
    answered: AtomicBool,
    /// Milliseconds after the pool's start until which the breaker is open.
    rests_until: AtomicU64,
    started: Instant,
}

impl Endpoint {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn rest(&self) -> Duration {
        let until = self.rests_until.load(Ordering::Relaxed);
        Duration::from_millis(until.saturating_sub(self.now()))
    }

    /// Closes the breaker.
    pub(super) fn succeeded(&self) {
        self.answered.store(true, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        self.rests_until.store(0, Ordering::Relaxed);
    }

    /// Counts a failure; enough in a row open the breaker. After the rest every further failure
    /// opens it again at once, until a request succeeds.
    pub(super) fn failed(&self, config: &OpenAiConfig) {
        let failures = self
            .failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        if failures >= config.breaker_failures.max(1) {
            let until = self.now().saturating_add(config.breaker_rest_ms);
            self.rests_until.store(until, Ordering::Relaxed);
        }
    }
}

/// All endpoints of a writer.
#[derive(Debug)]
pub(super) struct Pool {
    endpoints: Vec<Endpoint>,
}

/// The right to send one request to an endpoint.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    pub endpoint: &'a Endpoint,
    _slot: Option<SemaphorePermit<'a>>,
    _load: Load<'a>,
}

/// Counts a request as load while it waits or runs, also when it is dropped half-way.
#[derive(Debug)]
struct Load<'a>(&'a AtomicUsize);

impl<'a> Load<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(urls: Vec<Url>, config: &OpenAiConfig) -> Self {
        let endpoint = |url| Endpoint {
            url,
            slots: Semaphore::new(config.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            answered: AtomicBool::new(false),
            rests_until: AtomicU64::new(0),
            started: Instant::now(),
        };
        Self {
            endpoints: urls.into_iter().map(endpoint).collect(),
        }
    }

    #[cfg(test)]
    pub(super) fn urls(&self) -> impl Iterator<Item = &Url> {
        self.endpoints.iter().map(|endpoint| &endpoint.url)
    }

    /// Whether any endpoint ever gave an answer.
    pub(super) fn has_answered(&self) -> bool {
        let mut endpoints = self.endpoints.iter();
        endpoints.any(|endpoint| endpoint.answered.load(Ordering::Relaxed))
    }

    /// Waits for a slot of the endpoint that rests shortest and has least to do.
    pub(super) async fn lease(&self) -> Lease<'_> {
        loop {
            let load = |e: &&Endpoint| (e.rest(), e.waiting.load(Ordering::Relaxed));
            // `OpenAiWriter::new` refuses an empty list.
            let Some(endpoint) = self.endpoints.iter().min_by_key(load) else {
                std::future::pending::<()>().await;
                continue;
            };
            let rest = endpoint.rest();
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
                continue;
            }
            let load = Load::new(&endpoint.waiting);
            let slot = endpoint.slots.acquire().await.ok();
            if endpoint.rest().is_zero() {
                return Lease {
                    endpoint,
                    _slot: slot,
                    _load: load,
                };
            }
        }
    }
}
