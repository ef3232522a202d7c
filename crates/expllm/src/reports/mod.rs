//! What is told about a photo and its faces: the objects that the program, the server and the
//! bindings write as JSON, chains held against the readings, and drawings.

mod grounding;
mod picture;
mod report;

pub use grounding::Grounding;
pub use picture::{drawing, picture};
pub use report::{FaceReport, PhotoReport};
