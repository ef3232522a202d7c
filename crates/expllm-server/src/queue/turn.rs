//! A worker's turn at a request, how long turns take, and what ends work early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Until;
use crate::error::Refusal;

/// A worker's turn at one request. It lasts as long as the work, whether or not somebody still
/// waits for the answer, so that there is never more work at a time than the workers take.
#[derive(Debug)]
pub(crate) struct Turn {
    going: Going,
    // The worker is free before the request no longer counts.
    _worker: Arc<Worker>,
    _working: Working,
}

impl Turn {
    pub(super) fn new(going: Going, worker: Arc<Worker>, working: &Arc<AtomicUsize>) -> Self {
        working.fetch_add(1, Ordering::Relaxed);
        Self {
            going,
            _worker: worker,
            _working: Working(Arc::clone(working)),
        }
    }

    /// Whether the work should go on.
    pub fn going(&self) -> &Going {
        &self.going
    }
}

/// A request that is worked on.
#[derive(Debug)]
struct Working(Arc<AtomicUsize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A worker, busy until the last of the requests that it has taken together has ended.
#[derive(Debug)]
pub(super) struct Worker {
    began: Instant,
    requests: u32,
    pace: Arc<Pace>,
    _permit: OwnedSemaphorePermit,
}

impl Worker {
    pub fn new(permit: OwnedSemaphorePermit, requests: usize, pace: &Arc<Pace>) -> Self {
        Self {
            began: Instant::now(),
            requests: u32::try_from(requests).unwrap_or(u32::MAX).max(1),
            pace: Arc::clone(pace),
            _permit: permit,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.pace.took(self.began.elapsed() / self.requests);
    }
}

/// How long a worker took for one request of late.
#[derive(Debug, Default)]
pub(super) struct Pace {
    microseconds: AtomicU64,
}

impl Pace {
    /// Goes a tenth of the way to another time.
    pub fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let old = self.microseconds.load(Ordering::Relaxed);
        let new = if old == 0 {
            time
        } else {
            old - old / 10 + time / 10
        };
        // Of two that end at once one may be forgotten.
        self.microseconds.store(new, Ordering::Relaxed);
    }

    /// How long a request takes, 0 before the first one.
    pub fn turn(&self) -> Duration {
        Duration::from_micros(self.microseconds.load(Ordering::Relaxed))
    }
}

/// Whether work should go on.
#[derive(Debug, Clone)]
pub(crate) struct Going(Arc<State>);

#[derive(Debug)]
struct State {
    gone: AtomicBool,
    until: Until,
}

impl Going {
    /// Work that may take so long.
    pub fn new(until: Until) -> Self {
        Self(Arc::new(State {
            gone: AtomicBool::new(false),
            until,
        }))
    }

    /// Until when the work may take.
    pub fn until(&self) -> Until {
        self.0.until
    }

    /// Between two steps of the work: an error when nobody waits for it any more, or when the time
    /// is over.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.0.gone.load(Ordering::Relaxed) {
            return Err(Refusal::gone());
        }
        if Instant::now() >= self.0.until.0 {
            return Err(Refusal::overdue());
        }
        Ok(())
    }

    /// Held by whoever waits for the work; dropping it ends the work.
    pub fn waiting(&self) -> Waiting {
        Waiting(self.clone())
    }
}

/// Somebody waits for the work.
#[derive(Debug)]
pub(crate) struct Waiting(Going);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.gone.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn the_pace_follows_the_turns() {
        let pace = Pace::default();
        for _ in 0..50 {
            pace.took(Duration::from_secs(1));
        }
        assert!(pace.turn().abs_diff(Duration::from_secs(1)) < Duration::from_millis(1));
        for _ in 0..50 {
            pace.took(Duration::from_millis(100));
        }
        assert!(pace.turn() < Duration::from_millis(110));
    }

    #[tokio::test]
    async fn work_ends_when_nobody_waits_or_the_time_is_over() {
        let going = Going::new(Until::after(Duration::from_secs(5)));
        let waiting = going.waiting();
        assert!(going.check().is_ok());
        drop(waiting);
        assert!(going.check().is_err());
        let going = Going::new(Until::after(Duration::from_millis(20)));
        tokio::time::sleep(Duration::from_millis(40)).await;
        let late = going.check().unwrap_err().status;
        assert_eq!(late, StatusCode::SERVICE_UNAVAILABLE);
    }
}
