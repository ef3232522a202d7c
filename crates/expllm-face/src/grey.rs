//! Grey images and the normalised crops that the networks look at.

use std::ops::Range;

use expllm_core::{Photo, Point, Similarity};
use pulp::{Simd, WithSimd};

use crate::simd::{Isa, Work};

/// Most pixels a side that are averaged to one, so that sums stay far from their limit.
const LARGEST_BLOCK: usize = 256;

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
        let isa = Isa::available()[0];
        let pixels = isa.run(Luma(photo.pixels()));
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
    /// over the area of a pixel where the crop shrinks the image.
    ///
    /// Returns `side * side` values from 0 to 255.
    #[must_use]
    pub fn crop(&self, to_image: &Similarity, side: usize) -> Vec<f32> {
        // Whole factors are taken out by averages of blocks; samples cover what is left.
        match self.shrunk(to_image, side) {
            Some((image, to_shrunk)) => image.sampled(&to_shrunk, side),
            None => self.sampled(to_image, side),
        }
    }

    /// The part under a crop, shrunk by the whole factor in the crop's scale, and the transform
    /// from the crop to it; `None` where there is nothing to shrink.
    fn shrunk(&self, to_image: &Similarity, side: usize) -> Option<(Self, Similarity)> {
        let factor = (to_image.scale() as usize).min(LARGEST_BLOCK);
        let far = side as f32;
        let corners = [(0.0, 0.0), (far, 0.0), (0.0, far), (far, far)];
        let corners = corners.map(|(x, y)| to_image.apply(Point::new(x, y)));
        if factor < 2 || !corners.iter().all(|p| p.x.is_finite() && p.y.is_finite()) {
            return None;
        }
        let columns = blocks(corners.map(|p| p.x), factor, self.width)?;
        let rows = blocks(corners.map(|p| p.y), factor, self.height)?;
        let (left, top) = (columns.start as f32, rows.start as f32);
        let share = 1.0 / factor as f32;
        let to_shrunk = Similarity {
            a: to_image.a * share,
            b: to_image.b * share,
            tx: (to_image.tx - left) * share,
            ty: (to_image.ty - top) * share,
        };
        let image = Self {
            width: columns.len().div_ceil(factor),
            height: rows.len().div_ceil(factor),
            pixels: self.averages(columns, rows, factor),
        };
        Some((image, to_shrunk))
    }

    /// The means of blocks of `factor` pixels a side, the last ones of what is left.
    fn averages(&self, columns: Range<usize>, rows: Range<usize>, factor: usize) -> Vec<u8> {
        let mut sums = vec![0_u32; columns.len().div_ceil(factor)];
        let mut means = Vec::with_capacity(sums.len() * rows.len().div_ceil(factor));
        for top in rows.clone().step_by(factor) {
            let lines = top..(top + factor).min(rows.end);
            sums.fill(0);
            for y in lines.clone() {
                let line = &self.pixels[y * self.width..][columns.clone()];
                for (sum, block) in sums.iter_mut().zip(line.chunks(factor)) {
                    *sum += block.iter().map(|&pixel| u32::from(pixel)).sum::<u32>();
                }
            }
            let blocks = columns.clone().step_by(factor);
            means.extend(blocks.zip(&sums).map(|(left, sum)| {
                let count = (lines.len() * (columns.end - left).min(factor)) as u32;
                ((sum + count / 2) / count) as u8
            }));
        }
        means
    }

    /// A crop of samples between pixels, several a side where it shrinks the image.
    fn sampled(&self, to_image: &Similarity, side: usize) -> Vec<f32> {
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

/// The luma of colours.
struct Luma<'a>(&'a [u8]);

impl Work for Luma<'_> {
    type Output = Vec<u8>;

    fn with<S: Simd>(self, simd: S) -> Vec<u8> {
        simd.vectorize(self)
    }
}

impl WithSimd for Luma<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<u8> {
        let colours = self.0.as_chunks::<3>().0;
        let mut pixels = vec![0; colours.len()];
        for (pixel, &[red, green, blue]) in pixels.iter_mut().zip(colours) {
            // The sum of the weights is 256, so that 16 bits hold it.
            let sum = 77 * u16::from(red) + 150 * u16::from(green) + 29 * u16::from(blue);
            *pixel = (sum >> 8) as u8;
        }
        pixels
    }
}

/// Blocks of `factor` pixels that hold what a crop covers along an axis of `length` pixels, and a
/// block beside it; `None` where the axis has no whole block.
fn blocks(corners: [f32; 4], factor: usize, length: usize) -> Option<Range<usize>> {
    let low = corners.into_iter().fold(f32::INFINITY, f32::min);
    let high = corners.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let last = (length / factor).checked_sub(1)?;
    // Casts of numbers beyond the image stop at its edges.
    let first = ((low / factor as f32) as usize).saturating_sub(1).min(last);
    let end = ((high / factor as f32) as usize).saturating_add(2);
    let end = end.max(first + 1).saturating_mul(factor).min(length);
    Some(first * factor..end)
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
    fn a_ramp_stays_where_it_is_at_every_scale() {
        // Linear values are averaged exactly, so that any misplaced sample shows.
        let side = 600;
        let pixels = (0..side * side).map(|i| (i % side / 4 + i / side / 4) as u8 / 2);
        let ramp = GreyImage::new(side, side, pixels.collect()).unwrap();
        for scale in [0.4, 1.0, 1.6, 2.0, 3.7, 6.5] {
            let (a, b) = (scale * 0.9, scale * 0.43);
            let (tx, ty) = (200.0, 40.0);
            let map = Similarity { a, b, tx, ty };
            let crop = ramp.crop(&map, 48);
            for (x, y) in [(5, 5), (24, 24), (40, 10), (10, 40)] {
                let p = map.apply(Point::new(x as f32 + 0.5, y as f32 + 0.5));
                if [p.x, p.y].iter().all(|v| (20.0..580.0).contains(v)) {
                    // Steps of four pixels and the halving round down.
                    let wanted = (p.x / 4.0 + p.y / 4.0) / 2.0 - 0.6;
                    let found = crop[y * 48 + x];
                    assert!((found - wanted).abs() < 0.8, "{scale}: {found} {wanted}");
                }
            }
        }
    }

    #[test]
    fn crops_beyond_the_image_go_on_with_its_edge() {
        let far = |tx: f32, scale: f32| {
            let map = Similarity {
                a: scale,
                b: 0.0,
                tx,
                ty: 0.0,
            };
            ramp().crop(&map, 4)
        };
        assert!(far(-900.0, 3.0).iter().all(|v| *v < 21.0));
        assert!(far(900.0, 3.0).iter().all(|v| *v > 100.0));
        assert_eq!(far(0.0, 90.0).len(), 16);
        assert_eq!(far(f32::NAN, 3.0).len(), 16);
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
