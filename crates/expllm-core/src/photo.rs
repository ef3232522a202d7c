//! Pixels: photos and aligned faces.

use std::fmt;
use std::num::NonZeroU32;

use crate::{CoreError, Landmarks, Similarity};

/// An upright RGB image, eight bits a channel, row by row from the top.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Photo {
    /// A photo from interleaved RGB bytes.
    ///
    /// # Errors
    ///
    /// [`CoreError::PixelCount`] unless there are `3 * width * height` bytes and both sides are
    /// at least one pixel.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, CoreError> {
        let expected = 3 * u64::from(width) * u64::from(height);
        let found = pixels.len() as u64;
        if expected == 0 || found != expected {
            return Err(CoreError::PixelCount {
                width,
                height,
                expected,
                found,
            });
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// A photo whose colours are computed, row by row from the top: `colour(x, y)` is called
    /// once per pixel.
    #[must_use]
    pub fn from_fn(
        width: NonZeroU32,
        height: NonZeroU32,
        mut colour: impl FnMut(u32, u32) -> [u8; 3],
    ) -> Self {
        let (width, height) = (width.get(), height.get());
        let mut pixels = Vec::with_capacity(3 * width as usize * height as usize);
        for y in 0..height {
            for x in 0..width {
                pixels.extend_from_slice(&colour(x, y));
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Width in pixels, at least 1.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The interleaved RGB bytes.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The interleaved RGB bytes, without the size.
    #[must_use]
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// The colour at a place; coordinates beyond an edge give the nearest pixel.
    #[must_use]
    pub fn pixel_clamped(&self, x: i64, y: i64) -> [u8; 3] {
        let x = x.clamp(0, i64::from(self.width) - 1) as usize;
        let y = y.clamp(0, i64::from(self.height) - 1) as usize;
        let at = 3 * (y * self.width as usize + x);
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }

    /// The photo with left and right exchanged.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let row = 3 * self.width as usize;
        let pixels = self
            .pixels
            .chunks_exact(row)
            .flat_map(|line| line.chunks_exact(3).rev().flatten().copied())
            .collect();
        Self {
            width: self.width,
            height: self.height,
            pixels,
        }
    }
}

impl fmt::Debug for Photo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Photo({} x {})", self.width, self.height)
    }
}

/// One face turned upright and cut out at the size that its aligner chose.
#[derive(Debug, Clone)]
pub struct AlignedFace {
    /// The square cut-out.
    pub image: Photo,
    /// From pixels of the cut-out back to pixels of the photo.
    pub to_photo: Similarity,
    /// Landmarks in pixels of the cut-out; the head pose is that in the photo.
    pub landmarks: Option<Landmarks>,
}

impl AlignedFace {
    /// The same face in the mirrored photo of the given width in pixels.
    #[must_use]
    pub fn mirrored(&self, photo_width: f32) -> Self {
        let width = self.image.width() as f32;
        // Mirroring on both sides negates the rotation and moves the origin to the other edge.
        let Similarity { a, b, tx, ty } = self.to_photo;
        let to_photo = Similarity {
            a,
            b: -b,
            tx: photo_width - tx - a * width,
            ty: ty + b * width,
        };
        Self {
            image: self.image.mirrored(),
            to_photo,
            landmarks: self.landmarks.as_ref().map(|marks| marks.mirrored(width)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LANDMARK_COUNT, Point};

    #[test]
    fn size_and_bytes_must_fit() {
        assert!(Photo::new(2, 1, vec![0; 6]).is_ok());
        assert!(Photo::new(2, 1, vec![0; 5]).is_err());
        assert!(Photo::new(0, 7, vec![]).is_err());
        assert!(Photo::new(u32::MAX, u32::MAX, vec![]).is_err());
    }

    #[test]
    fn computed_colours_stand_row_by_row() {
        let (width, height) = (NonZeroU32::MIN.saturating_add(2), NonZeroU32::MIN);
        let photo = Photo::from_fn(width, height, |x, y| [x as u8, y as u8, 7]);
        assert_eq!(photo.pixels(), [0, 0, 7, 1, 0, 7, 2, 0, 7]);
    }

    #[test]
    fn mirroring_reverses_rows_of_pixels() {
        let photo = Photo::new(2, 2, (0..12).collect()).unwrap();
        assert_eq!(
            photo.mirrored().pixels(),
            [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]
        );
        assert_eq!(photo.mirrored().mirrored(), photo);
        assert_eq!(photo.pixel_clamped(-4, 99), [6, 7, 8]);
    }

    #[test]
    fn a_mirrored_face_maps_back_onto_the_mirrored_photo() {
        let points = [Point::new(3.0, 4.0); LANDMARK_COUNT];
        let face = AlignedFace {
            image: Photo::new(8, 8, vec![0; 192]).unwrap(),
            to_photo: Similarity {
                a: 2.0,
                b: 0.5,
                tx: 10.0,
                ty: 20.0,
            },
            landmarks: Some(Landmarks {
                points,
                head_pose: None,
            }),
        };
        let mirrored = face.mirrored(100.0);
        let there = face.to_photo.apply(Point::new(3.0, 4.0));
        let back = mirrored.to_photo.apply(Point::new(8.0 - 3.0, 4.0));
        assert!(back.distance(Point::new(100.0 - there.x, there.y)) < 1e-4);
    }
}
