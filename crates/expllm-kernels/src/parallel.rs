//! Work shared among the threads of rayon.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `work` once for each index below `count`, on all threads of the pool of rayon.
///
/// Threads take one index after another, so that a thread which the system holds up delays the
/// rest by one piece of work and memory is read in order. Nothing is allocated.
pub fn for_each_index(count: usize, work: &(dyn Fn(usize) + Sync)) {
    let threads = rayon::current_num_threads().min(count);
    if threads < 2 {
        (0..count).for_each(work);
        return;
    }
    let next = AtomicUsize::new(0);
    let pull = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            work(index);
        }
    };
    spread(threads, &pull);
}

/// Runs a function on several threads at once, by halves: the halves live on the stack.
fn spread(threads: usize, run: &(dyn Fn() + Sync)) {
    if threads < 2 {
        run();
    } else {
        let half = threads / 2;
        rayon::join(|| spread(threads - half, run), || spread(half, run));
    }
}

/// Runs a function on a thread of the pool, so that every piece of parallel work in it begins
/// without a change of threads.
pub fn on_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::join(work, || ()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_runs_once() {
        for count in [0, 1, 2, 3, 100] {
            let seen: Vec<_> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            on_pool(|| {
                for_each_index(count, &|index| {
                    seen[index].fetch_add(1, Ordering::Relaxed);
                });
            });
            assert!(seen.iter().all(|times| times.load(Ordering::Relaxed) == 1));
        }
    }
}
