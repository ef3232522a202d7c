//! Face preprocessing: reading photos, detection, landmarks, alignment, drawing.

pub mod backbone;
mod error;
mod grey;
mod landmarks;
mod warp;

pub use error::FaceError;
pub use grey::{GreyImage, standardise};
pub use landmarks::{
    ANGLE_UNIT, LandmarkNet, LandmarkNetwork, LandmarkNetworkConfig, OUTPUTS as LANDMARK_OUTPUTS,
    face_crop, load_weights,
};
pub use warp::{MAX_CROP, warp};
