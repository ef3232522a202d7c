//! 68 landmarks and head pose by a small network.

mod detector;
mod network;

pub use detector::{LandmarkNet, load_weights};
pub use network::{ANGLE_UNIT, LandmarkNetwork, LandmarkNetworkConfig, OUTPUTS, face_crop};
