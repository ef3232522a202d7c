//! What a photo is read from.

use std::ffi::OsString;

use expllm_au::{FaceError, Photo, PhotoReader};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// A photo as Python hands it over.
#[derive(FromPyObject)]
pub enum Source {
    /// The bytes of an image file.
    Encoded(PyBackedBytes),
    /// Width, height and interleaved RGB bytes.
    Pixels(u32, u32, PyBackedBytes),
    /// The path of an image file.
    File(OsString),
}

/// Why there is no photo: what to tell, and the error number where the system refuses a file.
pub type Refusal = (String, Option<i32>);

impl Source {
    /// Decodes the photo.
    pub fn photo(&self) -> Result<Photo, Refusal> {
        let reader = PhotoReader::default();
        match self {
            Self::Encoded(bytes) => reader.decode(bytes).map_err(refusal),
            Self::File(path) => reader.read(path).map_err(refusal),
            Self::Pixels(width, height, bytes) => {
                let photo = Photo::new(*width, *height, bytes.to_vec());
                photo.map_err(|error| (error.to_string(), None))
            }
        }
    }
}

/// The reason without the path, which the caller knows.
fn refusal(error: FaceError) -> Refusal {
    match error {
        FaceError::InFile { source, .. } => refusal(*source),
        FaceError::Io(error) => (error.to_string(), error.raw_os_error()),
        other => (other.to_string(), None),
    }
}
