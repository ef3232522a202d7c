//! Work shared among the threads of rayon.
#![allow(unsafe_code)] // Helpers look at work on the stack of the thread that leads them.

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Looks at a team without work after which a helper lets other threads run each time.
const PATIENCE: u32 = 1 << 12;

/// Runs `work` once for each index below `count`, on all threads of the pool of rayon.
///
/// Threads take one index after another, so that a thread which the system holds up delays the
/// rest by one piece of work and memory is read in order. Nothing is allocated. Within
/// [`on_pool`], the other threads are awake already.
pub fn for_each_index(count: usize, work: &(dyn Fn(usize) + Sync)) {
    let threads = rayon::current_num_threads().min(count);
    if threads < 2 {
        (0..count).for_each(work);
        return;
    }
    let team = TEAM.replace(ptr::null());
    if team.is_null() {
        let next = AtomicUsize::new(0);
        spread(threads, &|| pull(&next, count, work));
        return;
    }
    let _again = Restored(team);
    // SAFETY: the team lives until `lead` returns, which takes it out of the place that it was
    // found in; as it was taken out here too, this thread shares one piece of work at a time.
    unsafe { (*team).share(count, work) };
}

/// Takes one index after another and works on it.
fn pull(next: &AtomicUsize, count: usize, work: &(dyn Fn(usize) + Sync)) {
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return;
        }
        work(index);
    }
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

/// Runs a function on a thread of the pool, while the other threads, as far as they have nothing
/// else to do, wait for the pieces of work that [`for_each_index`] gives them in it: a small model
/// has hundreds of them a token, and waking a thread takes longer than most.
pub fn on_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let team = Team::default();
    let helpers = || {
        // More than there are cores would take the time of the thread that they wait for.
        let count = rayon::current_num_threads().min(cores());
        if count > 1 {
            spread(count - 1, &|| team.help());
        }
    };
    // Helpers that no other thread has begun to run end at once.
    rayon::join(|| team.lead(work), helpers).0
}

thread_local! {
    /// The team that this thread leads, while it shares no work.
    static TEAM: Cell<*const Team> = const { Cell::new(ptr::null()) };
}

/// Puts a team back into its place.
struct Restored(*const Team);

impl Drop for Restored {
    fn drop(&mut self) {
        TEAM.set(self.0);
    }
}

/// A number on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart(AtomicUsize);

/// The turn after the last one.
const OVER: usize = usize::MAX - 1;

/// A thread that leads, and others that wait for its work without going to sleep.
#[derive(Default)]
struct Team {
    /// Odd while there is work, and never the same for two pieces of it.
    turn: Apart,
    /// The next index of the work.
    next: Apart,
    /// Helpers that may look at the work.
    inside: Apart,
    job: UnsafeCell<Option<Job>>,
}

#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    count: usize,
}

// SAFETY: the job is written by the leader alone, while no helper is inside.
unsafe impl Sync for Team {}

impl Team {
    /// Runs a function as the leader; helpers end after it.
    fn lead<R>(&self, work: impl FnOnce() -> R) -> R {
        struct End<'a>(&'a Team);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.turn.0.store(OVER, Ordering::SeqCst);
            }
        }
        let _end = End(self);
        let _before = Restored(TEAM.replace(self));
        work()
    }

    /// Runs work on the helpers that are there and on the leader, which calls this.
    ///
    /// # Safety
    ///
    /// Only the leader calls this, one call at a time.
    unsafe fn share(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        /// Takes the work away from the helpers, so that it may go out of scope.
        struct Close<'a>(&'a Team);
        impl Drop for Close<'_> {
            fn drop(&mut self) {
                self.0.turn.0.fetch_add(1, Ordering::SeqCst);
                let mut waited: u32 = 0;
                while self.0.inside.0.load(Ordering::SeqCst) > 0 {
                    // One that is inside may have no core to go on.
                    waited = waited.saturating_add(1);
                    pause(waited);
                }
            }
        }
        let borrowed: *const (dyn Fn(usize) + Sync + '_) = work;
        // SAFETY: the same pointer with a lifetime that its type does not say; helpers use it
        // before the work is taken away from them, which is before this call ends.
        let work_of_all: *const (dyn Fn(usize) + Sync + 'static) =
            unsafe { std::mem::transmute(borrowed) };
        let job = Job {
            work: work_of_all,
            count,
        };
        // SAFETY: the turn is even, and no helper is inside since the last one was closed.
        unsafe { *self.job.get() = Some(job) };
        self.next.0.store(0, Ordering::Relaxed);
        self.turn.0.fetch_add(1, Ordering::SeqCst);
        let _close = Close(self);
        pull(&self.next.0, count, work);
    }

    /// Takes part in all work until it is over.
    fn help(&self) {
        let mut last = 0;
        let mut waited: u32 = 0;
        loop {
            let turn = self.turn.0.load(Ordering::Acquire);
            if turn == OVER {
                return;
            }
            if turn % 2 == 1 && turn != last {
                last = turn;
                waited = 0;
                self.take_part(turn);
            } else {
                waited = waited.saturating_add(1);
                pause(waited);
                if waited.is_multiple_of(32) {
                    // Work that others wait for.
                    rayon::yield_now();
                }
            }
        }
    }

    fn take_part(&self, turn: usize) {
        struct Leave<'a>(&'a Team);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.inside.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.inside.0.fetch_add(1, Ordering::SeqCst);
        let _leave = Leave(self);
        // Either the leader sees that someone is inside, or this sees that the turn has ended.
        if self.turn.0.load(Ordering::SeqCst) != turn {
            return;
        }
        // SAFETY: the leader does not write the job, nor end the life of its work, while this is
        // inside.
        unsafe {
            if let Some(job) = *self.job.get() {
                pull(&self.next.0, job.count, &*job.work);
            }
        }
    }
}

/// Cores that this process may use.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Waits a moment; other threads of the system go first once it was called often in vain.
fn pause(waited: u32) {
    match waited < PATIENCE {
        true => std::hint::spin_loop(),
        false => std::thread::yield_now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_all(count: usize) -> bool {
        let seen: Vec<_> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        for_each_index(count, &|index| {
            seen[index].fetch_add(1, Ordering::Relaxed);
        });
        seen.iter().all(|times| times.load(Ordering::Relaxed) == 1)
    }

    fn pool(threads: usize) -> rayon::ThreadPool {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        builder.build().unwrap()
    }

    #[test]
    fn every_index_runs_once() {
        for threads in [1, 2, 3, 9] {
            pool(threads).install(|| {
                for count in [0, 1, 2, 3, 100] {
                    assert!(count_all(count));
                    assert!(on_pool(|| (0..20).all(|_| count_all(count))));
                }
            });
        }
    }

    #[test]
    fn work_within_work_and_other_work_of_the_pool_go_on() {
        use rayon::prelude::*;
        let sum = AtomicUsize::new(0);
        let add = |n| {
            sum.fetch_add(n, Ordering::Relaxed);
        };
        pool(3).install(|| {
            (0..8_usize).into_par_iter().for_each(|_| {
                on_pool(|| {
                    for_each_index(5, &|_| on_pool(|| for_each_index(4, &|_| add(1))));
                    add((0..10_usize).into_par_iter().sum());
                });
            });
        });
        assert_eq!(sum.load(Ordering::Relaxed), 8 * (20 + 45));
    }

    #[test]
    fn a_panic_ends_the_work_and_leaves_the_pool_in_order() {
        pool(2).install(|| {
            for _ in 0..20 {
                let fault = || on_pool(|| for_each_index(40, &|index| assert_ne!(index, 7)));
                assert!(std::panic::catch_unwind(fault).is_err());
                assert!(on_pool(|| count_all(40)));
            }
        });
    }
}
