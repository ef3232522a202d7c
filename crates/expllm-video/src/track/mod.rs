//! Who is who from frame to frame.

mod appearance;
mod person;
mod tracker;

pub use appearance::Appearance;
pub use tracker::{TrackOptions, Tracked, Tracker};

#[cfg(test)]
mod tests;
