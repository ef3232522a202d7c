//! The bounded queue before the workers, who take together what waits at the same time.

mod line;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::Refusal;
use line::{Line, Place};
use turn::{Pace, Worker};

pub(crate) use turn::{Going, Turn, Waiting};

/// Until when a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until(pub Instant);

impl Until {
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }
}

/// What a queue takes at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Workers at a time.
    pub workers: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Requests that a worker takes together.
    pub batch: usize,
    /// How long a request waits.
    pub max_wait: Duration,
}

/// What decides whether requests are taken together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Pixels of the photo.
    pub pixels: u64,
    /// Whether the work that follows is done for one request at a time.
    pub one_by_one: bool,
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiter<J> {
    pub job: J,
    pub going: Going,
    pub size: Size,
}

/// A request whose turn it is.
#[derive(Debug)]
pub(crate) struct Taken<J> {
    pub job: J,
    pub turn: Turn,
}

/// The workers, and the line of those who wait for one.
#[derive(Debug)]
pub(crate) struct Queue<J> {
    line: Line<J>,
    workers: Arc<Semaphore>,
    limits: Limits,
    working: Arc<AtomicUsize>,
    pace: Arc<Pace>,
}

impl<J> Queue<J> {
    pub fn new(limits: Limits) -> Self {
        Self {
            line: Line::default(),
            workers: Arc::new(Semaphore::new(limits.workers)),
            limits,
            working: Arc::default(),
            pace: Arc::default(),
        }
    }

    /// Waits for a worker: what it takes, the request itself first and others that wait; nothing
    /// where the worker of another has taken this one along. Refused at once when too many wait, or
    /// too long. Whoever stops waiting leaves the line.
    pub async fn turn(&self, waiter: Waiter<J>) -> Result<Vec<Taken<J>>, Refusal> {
        let until = waiter.going.until();
        let mut place = self.enter(waiter)?;
        let end = until.0.min(Instant::now() + self.limits.max_wait);
        let worker = tokio::time::timeout_at(end, Arc::clone(&self.workers).acquire_owned());
        tokio::select! {
            // A worker that comes too late is the next one's.
            biased;
            _ = &mut place.taken => Ok(Vec::new()),
            worker = worker => match worker {
                Ok(Ok(worker)) => Ok(self.take(&place, worker)),
                Ok(Err(_)) | Err(_) => Err(self.late(until)),
            },
        }
    }

    fn enter(&self, waiter: Waiter<J>) -> Result<Place<J>, Refusal> {
        let most = self.limits.waiting + self.workers.available_permits();
        let place = self.line.enter(waiter, most);
        let wait = self.wait();
        match place {
            Some(place) if wait <= self.limits.max_wait => Ok(place),
            _ => Err(Refusal::busy(wait)),
        }
    }

    fn take(&self, place: &Place<J>, permit: OwnedSemaphorePermit) -> Vec<Taken<J>> {
        let together = self.line.take(place, self.limits.batch);
        if together.is_empty() {
            return Vec::new();
        }
        let worker = Arc::new(Worker::new(permit, together.len(), &self.pace));
        let taken = |waiter: Waiter<J>| Taken {
            job: waiter.job,
            turn: Turn::new(waiter.going, Arc::clone(&worker), &self.working),
        };
        together.into_iter().map(taken).collect()
    }

    /// Why a request has waited in vain.
    fn late(&self, until: Until) -> Refusal {
        match Instant::now() < until.0 {
            true => Refusal::busy(self.wait()),
            false => Refusal::overdue(),
        }
    }

    /// How long the last in the line will wait, by how long requests took of late.
    fn wait(&self) -> Duration {
        if self.workers.available_permits() > 0 {
            return Duration::ZERO;
        }
        let share = self.line.len() as f64 / self.limits.workers.max(1) as f64;
        self.pace.turn().mul_f64(share)
    }

    /// Requests that wait, and requests that are worked on.
    pub fn load(&self) -> (usize, usize) {
        (self.line.len(), self.working.load(Ordering::Relaxed))
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

    fn queue(waiting: usize, batch: usize, max_wait: Duration) -> Queue<u32> {
        Queue::new(Limits {
            workers: 1,
            waiting,
            batch,
            max_wait,
        })
    }

    fn waiter(job: u32, until: Until) -> Waiter<u32> {
        let going = Going::new(until);
        let size = Size {
            pixels: 1,
            one_by_one: false,
        };
        Waiter { job, going, size }
    }

    /// The requests that a worker has taken, by their jobs.
    fn jobs(taken: &[Taken<u32>]) -> Vec<u32> {
        taken.iter().map(|taken| taken.job).collect()
    }

    #[tokio::test]
    async fn places_are_bounded_and_come_back() {
        let queue = queue(1, 1, LONG);
        let first = queue.turn(waiter(1, soon())).await.unwrap();
        let second = queue.turn(waiter(2, Until::after(Duration::from_millis(20))));
        let (second, third) = tokio::join!(second, queue.turn(waiter(3, soon())));
        assert_eq!(second.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(third.unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(queue.load(), (0, 1));
        drop(first);
        assert_eq!(queue.load(), (0, 0));
        assert_eq!(queue.turn(waiter(4, soon())).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn whoever_waits_is_taken_together_by_the_next_free_worker() {
        let queue = queue(9, 3, LONG);
        let busy = queue.turn(waiter(0, soon())).await.unwrap();
        let free = async {
            while queue.load().0 < 5 {
                tokio::task::yield_now().await;
            }
            drop(busy);
        };
        // Each is worked on at once, and frees the worker for the next ones.
        let turn = async |job| jobs(&queue.turn(waiter(job, soon())).await.unwrap());
        let (one, two, three, four, five, ()) =
            tokio::join!(turn(1), turn(2), turn(3), turn(4), turn(5), free);
        assert_eq!(one, [1, 2, 3]);
        assert!(two.is_empty() && three.is_empty());
        assert_eq!((four, five), (vec![4, 5], vec![]));
        assert_eq!(queue.load(), (0, 0));
    }

    #[tokio::test]
    async fn a_worker_is_free_when_the_last_request_has_ended() {
        let queue = queue(9, 2, LONG);
        let busy = queue.turn(waiter(0, soon())).await.unwrap();
        let free = async { drop(busy) };
        let turns = [1, 2].map(|job| queue.turn(waiter(job, soon())));
        let [one, two] = turns;
        let (taken, other, ()) = tokio::join!(one, two, free);
        assert!(other.unwrap().is_empty());
        let mut taken = taken.unwrap();
        assert_eq!(queue.load(), (0, 2));
        taken.pop();
        assert_eq!(queue.load(), (0, 1));
        assert_eq!(queue.workers.available_permits(), 0);
        taken.pop();
        assert_eq!(queue.workers.available_permits(), 1);
    }

    #[tokio::test]
    async fn whoever_goes_away_is_not_taken_and_holds_nobody() {
        let queue = queue(9, 3, LONG);
        let busy = queue.turn(waiter(0, soon())).await.unwrap();
        let short = Until::after(Duration::from_millis(20));
        let (first, second) = tokio::join!(queue.turn(waiter(1, short)), async {
            let second = queue.turn(waiter(2, soon()));
            let free = async {
                tokio::time::sleep(Duration::from_millis(40)).await;
                drop(busy);
            };
            tokio::join!(second, free).0
        });
        assert!(first.is_err());
        assert_eq!(jobs(&second.unwrap()), [2]);
    }

    #[tokio::test]
    async fn whoever_would_wait_too_long_is_told_at_once_when_to_come_again() {
        let queue = queue(9, 1, LONG);
        queue.pace.took(Duration::from_secs(12));
        let first = queue.turn(waiter(1, soon())).await.unwrap();
        let refused = queue.turn(waiter(2, soon())).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.retry_after, 12);
        drop(first);
        assert!(queue.turn(waiter(3, soon())).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_is_allowed() {
        let queue = queue(9, 1, Duration::from_millis(20));
        let _first = queue.turn(waiter(1, soon())).await.unwrap();
        let refused = queue.turn(waiter(2, soon())).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(queue.load(), (0, 1));
    }
}
