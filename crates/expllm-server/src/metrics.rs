//! Counts for Prometheus.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts since the server started.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Requests answered with a status of each hundred, 1xx to 5xx.
    answered: [AtomicU64; 5],
    faces: AtomicU64,
    photos: AtomicU64,
    microseconds: AtomicU64,
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.answered[class].fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(took, Ordering::Relaxed);
    }

    /// Counts a photo and its faces.
    pub fn read(&self, faces: usize) {
        self.photos.fetch_add(1, Ordering::Relaxed);
        self.faces.fetch_add(faces as u64, Ordering::Relaxed);
    }

    /// The text form of Prometheus.
    pub fn text(&self) -> String {
        let mut text = String::from("# TYPE expllm_requests_total counter\n");
        for (class, count) in self.answered.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "expllm_requests_total{{status=\"{}xx\"}} {count}",
                class + 1
            );
        }
        let seconds = self.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        let (photos, faces) = (&self.photos, &self.faces);
        let _ = write!(
            text,
            "# TYPE expllm_request_seconds_total counter\nexpllm_request_seconds_total {seconds}\n\
             # TYPE expllm_photos_total counter\nexpllm_photos_total {}\n\
             # TYPE expllm_faces_total counter\nexpllm_faces_total {}\n",
            photos.load(Ordering::Relaxed),
            faces.load(Ordering::Relaxed),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_by_the_hundred() {
        let metrics = Metrics::default();
        metrics.answered(200, Duration::from_millis(500));
        metrics.answered(404, Duration::from_millis(500));
        metrics.read(3);
        let text = metrics.text();
        for line in [
            "expllm_requests_total{status=\"2xx\"} 1\n",
            "expllm_requests_total{status=\"4xx\"} 1\n",
            "expllm_request_seconds_total 1\n",
            "expllm_faces_total 3\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
