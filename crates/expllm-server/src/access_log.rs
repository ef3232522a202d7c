//! One line of JSON for every request, without anything that was in it.

use std::io::Write;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::ServerError;

/// Lines that may wait to be written; further ones are dropped rather than waited for.
const WAITING: usize = 4096;
/// Longest time for the last lines when the server ends.
const LAST_WITHIN: Duration = Duration::from_secs(1);
/// Longest path that is written down, in bytes.
const LONGEST: usize = 200;

/// What is known of a request once it is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// When it came, in seconds since 1970.
    pub time: f64,
    pub client: Option<IpAddr>,
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Null where the client went away before.
    pub status: Option<u16>,
    /// Until the answer began.
    pub seconds: f64,
    /// What the request says of its body.
    pub bytes: Option<usize>,
}

/// Writes lines on a thread of its own, so that a slow disk or pipe holds no request up.
#[derive(Debug)]
pub(crate) struct AccessLog {
    lines: Option<SyncSender<Line>>,
    /// In a lock, so that many threads may share the log.
    ended: Mutex<Receiver<()>>,
}

impl AccessLog {
    pub fn new(output: Box<dyn Write + Send>) -> Result<Self, ServerError> {
        let (lines, waiting) = sync_channel(WAITING);
        let (end, ended) = sync_channel(1);
        let writer = move || {
            write_all(&waiting, output);
            // Nobody may listen any more.
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new().name("access log".to_owned());
        thread.spawn(writer).map_err(ServerError::Log)?;
        Ok(Self {
            lines: Some(lines),
            ended: Mutex::new(ended),
        })
    }

    pub fn write(&self, line: Line) {
        if let Some(lines) = &self.lines {
            // A log that nobody reads must not stop the server.
            let _ = lines.try_send(line);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.lines = None;
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(LAST_WITHIN);
    }
}

/// Writes lines until there are no more; an output that fails gets no further ones.
fn write_all(waiting: &Receiver<Line>, mut output: Box<dyn Write + Send>) {
    while let Ok(mut line) = waiting.recv() {
        let end = line.path.floor_char_boundary(LONGEST);
        line.path.truncate(end);
        let Ok(mut text) = serde_json::to_string(&line) else {
            continue;
        };
        text.push('\n');
        let written = output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush());
        if written.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_json_and_the_last_ones_are_written() {
        let kept = Kept::default();
        let log = AccessLog::new(Box::new(kept.clone())).unwrap();
        for status in [Some(200), None] {
            log.write(Line {
                time: 1.5,
                client: None,
                method: "GET".to_owned(),
                path: "/ü\"\n".repeat(1000),
                status,
                seconds: 0.25,
                bytes: None,
            });
        }
        drop(log);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line["path"].as_str().unwrap().len() <= LONGEST);
        }
    }
}
