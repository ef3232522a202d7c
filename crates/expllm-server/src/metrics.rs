//! Counts for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Bounds of the times that answers took, in seconds.
const BOUNDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts since the server started.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Requests answered, by route and status; few of each exist.
    answered: Mutex<BTreeMap<(String, u16), u64>>,
    /// Answers within each bound and above the one before; the last ones took longer than all.
    took: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
    gone: AtomicU64,
    faces: AtomicU64,
    photos: AtomicU64,
    batches: AtomicU64,
}

/// What is so at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    pub waiting: usize,
    pub working: usize,
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, route: &str, status: u16, took: Duration) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        *answered.entry((route.to_owned(), status)).or_default() += 1;
        drop(answered);
        let seconds = took.as_secs_f64();
        let place = BOUNDS.iter().position(|bound| seconds <= *bound);
        self.took[place.unwrap_or(BOUNDS.len())].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts a client that went away before its answer.
    pub fn gone(&self) {
        self.gone.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a photo and its faces.
    pub fn read(&self, faces: usize) {
        self.photos.fetch_add(1, Ordering::Relaxed);
        self.faces.fetch_add(faces as u64, Ordering::Relaxed);
    }

    /// Counts photos that are read together as one, however many they are.
    pub fn batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// The text form of Prometheus.
    pub fn text(&self, load: Load) -> String {
        let mut text = String::from("# TYPE expllm_requests_total counter\n");
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, status), count) in answered.iter() {
            let labels = format!("route=\"{route}\",status=\"{status}\"");
            let _ = writeln!(text, "expllm_requests_total{{{labels}}} {count}");
        }
        drop(answered);
        self.times(&mut text);
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        for (name, kind, value) in [
            ("expllm_clients_gone_total", "counter", of(&self.gone)),
            ("expllm_photos_total", "counter", of(&self.photos)),
            ("expllm_batches_total", "counter", of(&self.batches)),
            ("expllm_faces_total", "counter", of(&self.faces)),
            ("expllm_requests_waiting", "gauge", load.waiting as u64),
            ("expllm_requests_working", "gauge", load.working as u64),
        ] {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
        }
        text
    }

    fn times(&self, text: &mut String) {
        text.push_str("# TYPE expllm_request_seconds histogram\n");
        let bounds = BOUNDS.iter().map(ToString::to_string);
        let mut sum = 0;
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&self.took) {
            sum += count.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "expllm_request_seconds_bucket{{le=\"{bound}\"}} {sum}"
            );
        }
        let seconds = self.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(text, "expllm_request_seconds_sum {seconds}");
        let _ = writeln!(text, "expllm_request_seconds_count {sum}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_by_route_and_time() {
        let metrics = Metrics::default();
        metrics.answered("/api/au", 200, Duration::from_millis(500));
        metrics.answered("/api/au", 200, Duration::from_millis(20));
        metrics.answered("none", 404, Duration::from_secs(11));
        metrics.read(3);
        metrics.batch();
        metrics.gone();
        let text = metrics.text(Load {
            waiting: 4,
            working: 2,
        });
        for line in [
            "expllm_requests_total{route=\"/api/au\",status=\"200\"} 2\n",
            "expllm_requests_total{route=\"none\",status=\"404\"} 1\n",
            "expllm_request_seconds_bucket{le=\"0.025\"} 1\n",
            "expllm_request_seconds_bucket{le=\"0.5\"} 2\n",
            "expllm_request_seconds_bucket{le=\"+Inf\"} 3\n",
            "expllm_request_seconds_count 3\n",
            "expllm_clients_gone_total 1\n",
            "expllm_batches_total 1\n",
            "expllm_faces_total 3\n",
            "expllm_requests_waiting 4\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
