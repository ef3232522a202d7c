//! Reading frames on a thread of their own.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::{Frame, Start};
use crate::VideoError;

/// Frames that another thread reads, a few ahead of who wants them. Dropping this ends the thread
/// with its next frame.
pub struct Ahead(Receiver<Result<Frame, VideoError>>);

impl Ahead {
    /// Begins to read, `count` frames ahead at most.
    pub fn new(start: Start, count: usize) -> Self {
        let (sender, receiver) = sync_channel(count);
        thread::spawn(move || {
            for frame in start() {
                if sender.send(frame).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }
}

impl Iterator for Ahead {
    type Item = Result<Frame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.recv().ok()
    }
}
