//! What is told about a photo and its faces: the objects that the program, the server and the
//! bindings write as JSON, chains held against the readings, reasons, and drawings.

mod grounding;
mod picture;
mod reasons;
mod report;

pub use grounding::Grounding;
pub use picture::{drawing, picture};
pub use reasons::Reasoner;
pub use report::{FaceReport, FaceRow, PhotoReport};
