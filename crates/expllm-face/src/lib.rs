//! Face preprocessing: reading photos, detection, landmarks, alignment, drawing.

mod warp;

pub use warp::{MAX_CROP, warp};
