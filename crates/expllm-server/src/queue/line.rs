//! Who waits for a worker, and who is taken together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Waiter;

/// Most pixels of photos that are taken together: neither memory nor time of a small photo should
/// be a matter of large ones. A photo of more is taken alone.
const PIXELS: u64 = 3_000_000;

/// Everybody who waits, in the order of coming.
#[derive(Debug)]
pub(super) struct Line<J>(Arc<Mutex<Waiting<J>>>);

#[derive(Debug)]
struct Waiting<J> {
    /// The number of the next one.
    next: u64,
    entries: Vec<Entry<J>>,
}

#[derive(Debug)]
struct Entry<J> {
    number: u64,
    waiter: Waiter<J>,
    /// Hears that the request has been taken.
    taken: oneshot::Sender<()>,
}

/// A place in the line; whoever drops it leaves.
#[derive(Debug)]
pub(super) struct Place<J> {
    number: u64,
    /// Done when the request has been taken.
    pub taken: oneshot::Receiver<()>,
    line: Line<J>,
}

impl<J> Drop for Place<J> {
    fn drop(&mut self) {
        let number = self.number;
        self.line
            .lock()
            .entries
            .retain(|entry| entry.number != number);
    }
}

impl<J> Default for Line<J> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Waiting {
            next: 0,
            entries: Vec::new(),
        })))
    }
}

impl<J> Line<J> {
    fn lock(&self) -> MutexGuard<'_, Waiting<J>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// A place at the end, unless so many wait already.
    pub fn enter(&self, waiter: Waiter<J>, most: usize) -> Option<Place<J>> {
        let mut waiting = self.lock();
        if waiting.entries.len() >= most {
            return None;
        }
        let number = waiting.next;
        waiting.next += 1;
        let (sender, taken) = oneshot::channel();
        waiting.entries.push(Entry {
            number,
            waiter,
            taken: sender,
        });
        Some(Place {
            number,
            taken,
            line: Self(Arc::clone(&self.0)),
        })
    }

    /// Takes the request of a place and, in their order, up to `most` with it that go well
    /// together; none where that one has been taken already.
    pub fn take(&self, place: &Place<J>, most: usize) -> Vec<Waiter<J>> {
        let mut waiting = self.lock();
        let entries = &mut waiting.entries;
        let Some(own) = entries.iter().position(|e| e.number == place.number) else {
            return Vec::new();
        };
        let mut together = vec![told(entries.remove(own))];
        let mut index = 0;
        while together.len() < most && index < entries.len() {
            if fits(&together, &entries[index].waiter) {
                together.push(told(entries.remove(index)));
            } else {
                // It has its own turn.
                index += 1;
            }
        }
        together
    }
}

fn told<J>(entry: Entry<J>) -> Waiter<J> {
    // Who has stopped waiting in this moment is noticed by the work.
    let _ = entry.taken.send(());
    entry.waiter
}

/// Whether a request goes well with others.
fn fits<J>(together: &[Waiter<J>], other: &Waiter<J>) -> bool {
    let pixels = together.iter().map(|waiter| waiter.size.pixels);
    let pixels = pixels.fold(other.size.pixels, u64::saturating_add);
    let one_by_one = |waiter: &Waiter<J>| waiter.size.one_by_one;
    pixels <= PIXELS && !(one_by_one(other) && together.iter().any(one_by_one))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Going, Size, Until};
    use super::*;

    fn waiter(job: u32, pixels: u64, one_by_one: bool) -> Waiter<u32> {
        let going = Going::new(Until::after(Duration::from_secs(5)));
        let size = Size { pixels, one_by_one };
        Waiter { job, going, size }
    }

    /// A line of requests with their places, numbered from 0.
    fn line(sizes: &[(u64, bool)]) -> (Line<u32>, Vec<Place<u32>>) {
        let line = Line::default();
        let enter = |(job, &(pixels, one_by_one)): (usize, &(u64, bool))| {
            line.enter(waiter(job as u32, pixels, one_by_one), usize::MAX)
        };
        let places = sizes.iter().enumerate().filter_map(enter).collect();
        (line, places)
    }

    fn taken(line: &Line<u32>, place: &Place<u32>, most: usize) -> Vec<u32> {
        line.take(place, most).iter().map(|w| w.job).collect()
    }

    #[tokio::test]
    async fn whoever_waits_is_taken_once_and_in_order() {
        let (line, mut places) = line(&[(1, false); 6]);
        assert_eq!(taken(&line, &places[1], 3), [1, 0, 2]);
        assert!(places[0].taken.try_recv().is_ok());
        assert!(places[3].taken.try_recv().is_err());
        assert!(taken(&line, &places[0], 3).is_empty());
        drop(places.remove(4));
        assert_eq!(line.len(), 2);
        assert_eq!(taken(&line, &places[3], 1), [3]);
        assert_eq!(taken(&line, &places[4], 9), [5]);
    }

    #[tokio::test]
    async fn large_photos_are_taken_alone_and_lose_no_turn() {
        let sizes = [(PIXELS, false), (1, false), (u64::MAX, false), (1, false)];
        let (line, places) = line(&sizes);
        assert_eq!(taken(&line, &places[1], 9), [1, 3]);
        assert_eq!(taken(&line, &places[2], 9), [2]);
        assert_eq!(taken(&line, &places[0], 9), [0]);
    }

    #[tokio::test]
    async fn what_is_done_one_by_one_is_not_taken_together() {
        let (line, places) = line(&[(1, true), (1, false), (1, true)]);
        assert_eq!(taken(&line, &places[0], 9), [0, 1]);
        assert_eq!(taken(&line, &places[2], 9), [2]);
    }

    #[test]
    fn a_full_line_takes_nobody() {
        let (line, places) = line(&[(1, false)]);
        assert!(line.enter(waiter(1, 1, false), 1).is_none());
        drop(places);
        assert!(line.enter(waiter(1, 1, false), 1).is_some());
    }
}
