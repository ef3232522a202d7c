//! Action unit detection with embedded weights: intensities and expression probabilities per face.
//!
//! This crate is all that a product needs to read action units from photos: the weights are part
//! of it, nothing is fetched, and everything needed is re-exported.
//!
//! ```
//! use expllm_au::{FaceReader, PhotoReader};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/photos/astronaut.png");
//! let photo = PhotoReader::default().read(path)?;
//! let faces = FaceReader::pretrained()?.read(&photo)?;
//! let reading = faces[0].as_ref().expect("the face of a portrait can be read");
//! assert_eq!(reading.to_string().split(' ').next(), Some("Happiness"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod detector;
mod face_reader;

pub use detector::AuNet;
pub use expllm_core::{
    ActionUnit, AlignedFace, AuDetector, AuReading, AuVector, Expression, ExpressionProbabilities,
    FaceBox, FaceOutcome, FaceReading, HeadPose, Intensity, Landmarks, Photo, Point, Probability,
    Side, StageError, UnreadFace,
};
pub use expllm_face::au::{
    AuNetwork, AuNetworkConfig, AuOutput, Calibration, Curve, LEVELS, face_crop,
};
pub use expllm_face::device::Backend;
pub use expllm_face::{FaceError, PhotoReader};
pub use face_reader::{FaceReader, FaceReaderConfig};
