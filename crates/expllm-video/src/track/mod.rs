//! Who is who from frame to frame.

mod appearance;
mod options;
mod person;
mod tracker;

pub use appearance::Appearance;
pub use options::TrackOptions;
pub use tracker::{Tracked, Tracker};

#[cfg(test)]
mod tests;
