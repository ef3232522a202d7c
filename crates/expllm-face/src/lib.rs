//! Face preprocessing: reading photos, detection, landmarks, alignment, drawing.

mod align;
pub mod au;
pub mod backbone;
mod detect;
pub mod device;
mod draw;
mod error;
mod grey;
mod jpeg;
mod landmarks;
mod orientation;
mod read;
mod reference;
mod simd;
mod warp;

pub use align::{ALIGNED_SIZE, SimilarityAligner, TEMPLATE};
pub use detect::{CenterFaceDetector, DetectorOptions};
pub use draw::{FaceDrawing, annotate, encode_png, is_drawing, write_png};
pub use error::FaceError;
pub use grey::{GreyImage, standardise};
pub use landmarks::{
    ANGLE_UNIT, LandmarkNet, LandmarkNetwork, LandmarkNetworkConfig, OUTPUTS as LANDMARK_OUTPUTS,
    face_crop, load_weights,
};
pub use read::PhotoReader;
pub use reference::{REFERENCE_SIZE, ReferenceInput};
pub use warp::{MAX_CROP, warp};
