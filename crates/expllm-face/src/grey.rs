//! Grey images and the normalised crops that the networks look at.

use expllm_core::{Photo, Point, Similarity};

/// A grey image with values from 0 to 255, row by row from the top.
#[derive(Clone, PartialEq, Eq)]
pub struct GreyImage {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl GreyImage {
    /// An image from its bytes; `None` unless there are `width * height` of them, at least one.
    #[must_use]
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Self> {
        let fits = width.checked_mul(height) == Some(pixels.len()) && !pixels.is_empty();
        fits.then_some(Self {
            width,
            height,
            pixels,
        })
    }

    /// The luma of a photo (ITU-R BT.601 weights).
    #[must_use]
    pub fn from_photo(photo: &Photo) -> Self {
        let pixels = photo
            .pixels()
            .chunks_exact(3)
            .map(|c| {
                let sum = 77 * u32::from(c[0]) + 150 * u32::from(c[1]) + 29 * u32::from(c[2]);
                (sum >> 8) as u8
            })
            .collect();
        Self {
            width: photo.width() as usize,
            height: photo.height() as usize,
            pixels,
        }
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The value between pixel centres; beyond an edge the edge goes on.
    fn bilinear(&self, p: Point) -> f32 {
        let limit = |v: f32, n: usize| (v - 0.5).clamp(0.0, (n - 1) as f32);
        let (x, y) = (limit(p.x, self.width), limit(p.y, self.height));
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = ((x0 + 1).min(self.width - 1), (y0 + 1).min(self.height - 1));
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        let at = |x: usize, y: usize| f32::from(self.pixels[y * self.width + x]);
        let top = at(x0, y0) + fx * (at(x1, y0) - at(x0, y0));
        let bottom = at(x0, y1) + fx * (at(x1, y1) - at(x0, y1));
        top + fy * (bottom - top)
    }

    /// Cuts out a square crop of `side` pixels by a transform from crop to image, averaging
    /// several samples per pixel where the crop shrinks the image.
    ///
    /// Returns `side * side` values from 0 to 255.
    #[must_use]
    pub fn crop(&self, to_image: &Similarity, side: usize) -> Vec<f32> {
        // More than four samples a side buys nothing that shows at the networks' sizes.
        let samples = (to_image.scale().round() as usize).clamp(1, 4);
        let step = 1.0 / samples as f32;
        let weight = step * step;
        let mut out = Vec::with_capacity(side * side);
        for y in 0..side {
            for x in 0..side {
                let mut sum = 0.0;
                for sy in 0..samples {
                    for sx in 0..samples {
                        let p = Point::new(
                            x as f32 + (sx as f32 + 0.5) * step,
                            y as f32 + (sy as f32 + 0.5) * step,
                        );
                        sum += self.bilinear(to_image.apply(p));
                    }
                }
                out.push(sum * weight);
            }
        }
        out
    }
}

impl std::fmt::Debug for GreyImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GreyImage({} x {})", self.width, self.height)
    }
}

/// Shifts and scales values to mean 0 and standard deviation 1, so that exposure and contrast
/// do not matter; a flat crop becomes all zero.
pub fn standardise(values: &mut [f32]) {
    let n = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
    // Four grey levels of noise must not be blown up to full contrast.
    let scale = 1.0 / (variance + 16.0).sqrt();
    for v in values {
        *v = (*v - mean) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> GreyImage {
        GreyImage::new(8, 8, (0..64).map(|i| (i % 8 * 20) as u8).collect()).unwrap()
    }

    #[test]
    fn the_identity_crop_is_the_image() {
        let crop = ramp().crop(&Similarity::IDENTITY, 8);
        assert!(
            crop.iter()
                .zip(ramp().pixels())
                .all(|(a, &b)| *a == f32::from(b))
        );
    }

    #[test]
    fn shrinking_averages() {
        let half = Similarity {
            a: 2.0,
            ..Similarity::IDENTITY
        };
        assert_eq!(ramp().crop(&half, 4)[..4], [10.0, 50.0, 90.0, 130.0]);
    }

    #[test]
    fn standardised_values_ignore_exposure() {
        let mut a: Vec<f32> = (0..64).map(|i| i as f32).collect();
        let mut b: Vec<f32> = a.iter().map(|v| v + 100.0).collect();
        standardise(&mut a);
        standardise(&mut b);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
        let mut flat = vec![9.0; 4];
        standardise(&mut flat);
        assert_eq!(flat, [0.0; 4]);
    }

    #[test]
    fn sizes_must_fit() {
        assert!(GreyImage::new(0, 0, vec![]).is_none());
        assert!(GreyImage::new(2, 2, vec![0; 3]).is_none());
    }
}
