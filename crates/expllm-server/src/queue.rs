//! The bounded queue before the workers, and what ends work early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
}

impl Queue {
    pub fn new(workers: usize, waiting: usize) -> Self {
        let sizes = [workers + waiting, workers];
        let [places, workers] = sizes.map(|size| Arc::new(Semaphore::new(size)));
        Self {
            places,
            workers,
            sizes,
        }
    }

    /// A turn as soon as a worker is free; whoever stops waiting for it gives the place back.
    pub async fn turn(&self, until: Until) -> Result<Turn, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Refusal::busy())?;
        let worker = Arc::clone(&self.workers).acquire_owned();
        let worker = tokio::time::timeout_at(until.0, worker).await;
        let worker = worker.ok().and_then(Result::ok);
        Ok(Turn {
            _worker: worker.ok_or_else(Refusal::overdue)?,
            _place: place,
            going: Going(Arc::new(State {
                gone: AtomicBool::new(false),
                until,
            })),
        })
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

    fn soon() -> Until {
        Until::after(Duration::from_secs(5))
    }

    #[tokio::test]
    async fn places_are_bounded_and_come_back() {
        let queue = Queue::new(1, 1);
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
    async fn work_ends_when_nobody_waits_or_the_time_is_over() {
        let queue = Queue::new(1, 0);
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
