//! The server over loopback, as its clients see it.

#![allow(clippy::unwrap_used)] // A failure ends the test.

mod answers;
mod batches;
mod common;
mod hostile;
mod limits;
mod openapi;
mod schema;
