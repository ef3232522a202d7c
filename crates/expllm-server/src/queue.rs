//! The bounded queue before the workers, and what ends work early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::Refusal;

/// Until when a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until(pub Instant);

impl Until {
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }
}

/// Places for requests that are waited for or worked on, and the workers among them.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    sizes: [usize; 2],
    max_wait: Duration,
    pace: Arc<Pace>,
}

impl Queue {
    /// So many workers, and places for so many requests that wait, none longer than `max_wait`.
    pub fn new(workers: usize, waiting: usize, max_wait: Duration) -> Self {
        let sizes = [workers + waiting, workers];
        let [places, workers] = sizes.map(|size| Arc::new(Semaphore::new(size)));
        Self {
            places,
            workers,
            sizes,
            max_wait,
            pace: Arc::default(),
        }
    }

    /// A turn as soon as a worker is free; whoever stops waiting for it gives the place back.
    pub async fn turn(&self, until: Until) -> Result<Turn, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Refusal::busy(self.wait()))?;
        Ok(Turn {
            _worker: self.worker(until).await?,
            _place: place,
            began: Instant::now(),
            pace: Arc::clone(&self.pace),
            going: Going(Arc::new(State {
                gone: AtomicBool::new(false),
                until,
            })),
        })
    }

    /// A worker, in the order of asking; refused at once when that would take too long.
    async fn worker(&self, until: Until) -> Result<OwnedSemaphorePermit, Refusal> {
        let wait = self.wait();
        if wait > self.max_wait {
            return Err(Refusal::busy(wait));
        }
        let end = until.0.min(Instant::now() + self.max_wait);
        let worker = Arc::clone(&self.workers).acquire_owned();
        let worker = tokio::time::timeout_at(end, worker).await;
        let late = || match Instant::now() < until.0 {
            true => Refusal::busy(self.wait()),
            false => Refusal::overdue(),
        };
        worker.ok().and_then(Result::ok).ok_or_else(late)
    }

    /// How long the last in the queue will wait, by how long turns took of late.
    fn wait(&self) -> Duration {
        if self.workers.available_permits() > 0 {
            return Duration::ZERO;
        }
        let (waiting, working) = self.load();
        self.pace
            .turn()
            .mul_f64(waiting as f64 / working.max(1) as f64)
    }

    /// Requests that wait, and requests that are worked on.
    pub fn load(&self) -> (usize, usize) {
        let taken = self.sizes[0].saturating_sub(self.places.available_permits());
        let working = self.sizes[1].saturating_sub(self.workers.available_permits());
        (taken.saturating_sub(working), working)
    }
}

/// A worker's turn at one request. It lasts as long as the work, whether or not somebody still
/// waits for the answer, so that there is never more work at a time than there are workers.
#[derive(Debug)]
pub(crate) struct Turn {
    going: Going,
    began: Instant,
    pace: Arc<Pace>,
    _worker: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Turn {
    /// Whether the work should go on. A closure that asks holds the whole turn; of a field that it
    /// read it would hold the field alone, and worker and place would be free before the work ends.
    pub fn going(&self) -> &Going {
        &self.going
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pace.took(self.began.elapsed());
    }
}

/// How long turns took of late.
#[derive(Debug, Default)]
struct Pace {
    microseconds: AtomicU64,
}

impl Pace {
    /// Goes a tenth of the way to another turn's time.
    fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let old = self.microseconds.load(Ordering::Relaxed);
        let new = if old == 0 {
            time
        } else {
            old - old / 10 + time / 10
        };
        // Of two turns that end at once one may be forgotten.
        self.microseconds.store(new, Ordering::Relaxed);
    }

    /// How long a turn takes, 0 before the first one.
    fn turn(&self) -> Duration {
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

    const LONG: Duration = Duration::from_secs(5);

    fn soon() -> Until {
        Until::after(LONG)
    }

    #[tokio::test]
    async fn places_are_bounded_and_come_back() {
        let queue = Queue::new(1, 1, LONG);
        let first = queue.turn(soon()).await.unwrap();
        let second = queue.turn(Until::after(Duration::from_millis(20)));
        let (second, third) = tokio::join!(second, queue.turn(soon()));
        assert_eq!(second.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(third.unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(queue.load(), (0, 1));
        drop(first);
        assert_eq!(queue.load(), (0, 0));
        assert!(queue.turn(soon()).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_would_wait_too_long_is_told_at_once_when_to_come_again() {
        let queue = Queue::new(1, 9, LONG);
        queue.pace.took(Duration::from_secs(12));
        let first = queue.turn(soon()).await.unwrap();
        let refused = queue.turn(soon()).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.retry_after, 12);
        drop(first);
        assert!(queue.turn(soon()).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_is_allowed() {
        let queue = Queue::new(1, 9, Duration::from_millis(20));
        let _first = queue.turn(soon()).await.unwrap();
        let refused = queue.turn(soon()).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(queue.load(), (0, 1));
    }

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
        let queue = Queue::new(1, 0, LONG);
        let turn = queue.turn(soon()).await.unwrap();
        let waiting = turn.going().waiting();
        assert!(turn.going().check().is_ok());
        drop(waiting);
        assert!(turn.going().check().is_err());
        drop(turn);
        let turn = queue
            .turn(Until::after(Duration::from_millis(20)))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(40)).await;
        let late = turn.going().check().unwrap_err().status;
        assert_eq!(late, StatusCode::SERVICE_UNAVAILABLE);
    }
}
