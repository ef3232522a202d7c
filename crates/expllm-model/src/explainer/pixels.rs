//! From an aligned face to the pixels that a vision encoder was trained with.

use expllm_core::Photo;
use expllm_face::au::face_look;
use expllm_face::{ALIGNED_SIZE, ReferenceInput};

use crate::VisionConfig;

/// Turns an aligned face into the pixels that the model was trained with:
/// `[channels, side, side]`, normalised, row by row from the top.
pub trait PreparePixels: Send + Sync {
    /// The numbers for an image of `side` x `side` pixels.
    fn prepare(&self, face: &Photo, side: usize) -> Vec<f32>;

    /// Side of the crop that is best prepared for an encoder of `side` pixels; any is legal.
    fn crop_side(&self, side: usize) -> u32 {
        u32::try_from(side).unwrap_or(ALIGNED_SIZE)
    }
}

impl<F: Fn(&Photo, usize) -> Vec<f32> + Send + Sync> PreparePixels for F {
    fn prepare(&self, face: &Photo, side: usize) -> Vec<f32> {
        self(face, side)
    }
}

/// The preprocessing of each kind of vision encoder.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum FacePixels {
    /// RGB as the official model sees it, see [`ReferenceInput`].
    Reference,
    /// The look of the action unit detector, see [`face_look`].
    StandardisedGrey,
}

impl FacePixels {
    /// The preprocessing that an encoder was made for.
    #[must_use]
    pub const fn of(config: &VisionConfig) -> Self {
        match config {
            VisionConfig::Dinov2(_) => Self::Reference,
            VisionConfig::Convolutional(_) => Self::StandardisedGrey,
        }
    }
}

impl PreparePixels for FacePixels {
    /// The official model gets its own pixels from the photo; the encoder that looks as the action
    /// unit detector does gets a crop of the detector's size.
    fn crop_side(&self, side: usize) -> u32 {
        match self {
            Self::Reference => u32::try_from(side).unwrap_or(ALIGNED_SIZE),
            Self::StandardisedGrey => ALIGNED_SIZE,
        }
    }

    fn prepare(&self, face: &Photo, side: usize) -> Vec<f32> {
        match self {
            Self::Reference => ReferenceInput::with_side(face, side).into_values(),
            Self::StandardisedGrey => face_look(face, side),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelConfig;

    #[test]
    fn every_kind_gives_the_numbers_that_its_encoder_takes() {
        let pixels = (0..3 * 128 * 128).map(|i| (i * 31 % 251) as u8).collect();
        let face = Photo::new(128, 128, pixels).unwrap();
        let reference = FacePixels::of(&ModelConfig::expllm_7b().vision);
        assert_eq!(reference.prepare(&face, 224).len(), 3 * 224 * 224);
        let grey = FacePixels::StandardisedGrey.prepare(&face, 64);
        let mean = grey.iter().sum::<f32>() / grey.len() as f32;
        let square = grey.iter().map(|v| v * v).sum::<f32>() / grey.len() as f32;
        assert!(
            mean.abs() < 1e-3 && (square - 1.0).abs() < 0.2,
            "{mean} {square}"
        );
    }
}
