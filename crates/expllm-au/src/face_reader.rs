//! The whole reading path with the weights that ship.

use std::ops::Deref;

use expllm_core::FaceReader as Stages;
use expllm_face::device::{Backend, default_device};
use expllm_face::{CenterFaceDetector, FaceError, LandmarkNet, SimilarityAligner};
use serde::{Deserialize, Serialize};

use crate::AuNet;

/// How a [`FaceReader`] is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaceReaderConfig {
    /// Where the networks run; `None` takes the first backend of the build.
    pub device: Option<Backend>,
}

/// Reads every face of a photo: box, landmarks, head pose, action units and expression.
///
/// It is the reader of [`expllm_core`] with the stages and weights of this project.
///
/// ```no_run
/// use expllm_au::{FaceReader, PhotoReader};
///
/// let photo = PhotoReader::default().read("photo.jpg")?;
/// for face in FaceReader::pretrained()?.read(&photo)? {
///     match face {
///         Ok(reading) => println!("{reading}"),
///         Err(unread) => println!("not read: {unread}"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FaceReader(Stages<CenterFaceDetector, LandmarkNet, SimilarityAligner, AuNet>);

impl FaceReader {
    /// The reader with the weights that are part of these crates, on the first backend of the
    /// build.
    ///
    /// # Errors
    ///
    /// [`FaceError::Weights`] when an embedded file does not fit its network.
    pub fn pretrained() -> Result<Self, FaceError> {
        Self::with_config(&FaceReaderConfig::default())
    }

    /// The reader with the weights that are part of these crates.
    ///
    /// # Errors
    ///
    /// As [`pretrained`](Self::pretrained), and when the build lacks the backend.
    pub fn with_config(config: &FaceReaderConfig) -> Result<Self, FaceError> {
        let device = match config.device {
            Some(backend) => backend.device()?,
            None => default_device(),
        };
        Ok(Self(Stages {
            detector: CenterFaceDetector::new()?,
            landmarks: LandmarkNet::pretrained(&device)?,
            aligner: SimilarityAligner,
            units: AuNet::pretrained(&device)?,
        }))
    }
}

impl FaceReader {
    /// The same stages boxed, so that each can be replaced by another implementation.
    #[must_use]
    pub fn boxed(self) -> Stages {
        Stages {
            detector: Box::new(self.0.detector),
            landmarks: Box::new(self.0.landmarks),
            aligner: Box::new(self.0.aligner),
            units: Box::new(self.0.units),
        }
    }
}

impl Deref for FaceReader {
    type Target = Stages<CenterFaceDetector, LandmarkNet, SimilarityAligner, AuNet>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_survive_json_and_refuse_what_they_do_not_know() {
        let config = FaceReaderConfig {
            device: Some(Backend::Cpu),
        };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<FaceReaderConfig>(&json).unwrap(),
            config
        );
        let unknown = serde_json::from_str::<FaceReaderConfig>(r#"{"devise": "cpu"}"#);
        assert!(unknown.is_err());
        assert_eq!(
            serde_json::from_str::<FaceReaderConfig>("{}").unwrap(),
            FaceReaderConfig::default()
        );
    }
}
