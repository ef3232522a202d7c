//! Cutting a turned and scaled square out of a photo.

use std::num::NonZeroU32;

use expllm_core::{Photo, Point, Similarity};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// The largest side of a crop in pixels.
pub const MAX_CROP: u32 = 8192;

/// Cuts a square of `size` x `size` pixels out of a photo.
///
/// `crop_to_photo` maps pixels of the crop to pixels of the photo. Colours are interpolated
/// bilinearly; where the crop is coarser than the photo they are averaged over the area of a crop
/// pixel, so that nothing aliases. Outside of the photo its edge pixels are repeated.
///
/// `size` is clamped to 1..=[`MAX_CROP`]. A transform that is not finite gives an image of
/// colours of the photo without meaning; it never panics.
///
/// ```
/// use expllm_core::{Photo, Similarity};
///
/// let photo = Photo::new(2, 1, vec![0, 0, 0, 100, 100, 100])?;
/// let shifted = Similarity { tx: 0.5, ..Similarity::IDENTITY };
/// let crop = expllm_face::warp(&photo, &shifted, 2);
/// assert_eq!(crop.pixels()[..6], [50, 50, 50, 100, 100, 100]);
/// # Ok::<(), expllm_core::CoreError>(())
/// ```
#[must_use]
pub fn warp(photo: &Photo, crop_to_photo: &Similarity, size: u32) -> Photo {
    let size = NonZeroU32::new(size.min(MAX_CROP)).unwrap_or(NonZeroU32::MIN);
    // Where the crop is coarser than the photo, the photo is brought to its scale first.
    let shrunk = (crop_to_photo.scale() > SAME_SCALE)
        .then(|| Source::shrunk(photo, crop_to_photo, size.get()))
        .flatten();
    let source = shrunk.as_ref().map_or_else(
        || Source::whole(photo),
        |(pixels, frame)| Source {
            pixels: pixels.buffer(),
            frame: *frame,
        },
    );
    Photo::from_fn(size, size, |x, y| {
        let middle = Point::new(x as f32 + 0.5, y as f32 + 0.5);
        let at = source.frame.place(crop_to_photo.apply(middle));
        source.sample(at.x, at.y)
    })
}

/// Photo pixels per crop pixel up to which nothing needs averaging.
const SAME_SCALE: f32 = 1.05;

/// Where a raster lies in the photo.
#[derive(Debug, Clone, Copy)]
struct Frame {
    width: usize,
    height: usize,
    /// Top left corner in photo pixels.
    origin: Point,
    /// Raster pixels per photo pixel along x and y.
    density: Point,
}

impl Frame {
    /// A place of the photo in raster pixels, counted from the centre of the first pixel.
    fn place(&self, p: Point) -> Point {
        Point::new(
            (p.x - self.origin.x) * self.density.x - 0.5,
            (p.y - self.origin.y) * self.density.y - 0.5,
        )
    }
}

/// A raster to sample from: the photo, or a shrunk part of it.
struct Source<'a> {
    pixels: &'a [u8],
    frame: Frame,
}

impl<'a> Source<'a> {
    fn whole(photo: &'a Photo) -> Self {
        Self {
            pixels: photo.pixels(),
            frame: Frame {
                width: photo.width() as usize,
                height: photo.height() as usize,
                origin: Point::new(0.0, 0.0),
                density: Point::new(1.0, 1.0),
            },
        }
    }

    /// The part of the photo under the crop, shrunk to the crop's scale.
    ///
    /// `None` when there is nothing to shrink; the photo itself is then good enough.
    fn shrunk(photo: &Photo, to_photo: &Similarity, size: u32) -> Option<(Image<'static>, Frame)> {
        let factor = f64::from(to_photo.scale());
        let side = size as f32;
        let corners = [(0.0, 0.0), (side, 0.0), (0.0, side), (side, side)]
            .map(|(x, y)| to_photo.apply(Point::new(x, y)));
        let (left, width) = span(corners.map(|p| p.x), factor, photo.width())?;
        let (top, height) = span(corners.map(|p| p.y), factor, photo.height())?;
        let shrink = |length: f64| ((length / factor).ceil() as u32).max(1);
        let (columns, rows) = (shrink(width), shrink(height));
        let from = ImageRef::new(
            photo.width(),
            photo.height(),
            photo.pixels(),
            PixelType::U8x3,
        )
        .ok()?;
        let mut to = Image::new(columns, rows, PixelType::U8x3);
        let options = ResizeOptions::new()
            .crop(left, top, width, height)
            .resize_alg(ResizeAlg::Convolution(FilterType::Box));
        Resizer::new().resize(&from, &mut to, &options).ok()?;
        let frame = Frame {
            width: columns as usize,
            height: rows as usize,
            origin: Point::new(left as f32, top as f32),
            density: Point::new(
                (f64::from(columns) / width) as f32,
                (f64::from(rows) / height) as f32,
            ),
        };
        Some((to, frame))
    }

    /// The bilinear colour at a place; places outside count as the nearest edge.
    fn sample(&self, x: f32, y: f32) -> [u8; 3] {
        let (x, right, fx) = neighbours(x, self.frame.width);
        let (y, below, fy) = neighbours(y, self.frame.height);
        let at = |x: usize, y: usize| -> [f32; 3] {
            let pixel = &self.pixels[3 * (y * self.frame.width + x)..][..3];
            [pixel[0].into(), pixel[1].into(), pixel[2].into()]
        };
        let mix = |l: [f32; 3], r: [f32; 3], share: f32| {
            [0, 1, 2].map(|channel| l[channel] + share * (r[channel] - l[channel]))
        };
        let above = mix(at(x, y), at(right, y), fx);
        let under = mix(at(x, below), at(right, below), fx);
        // The mean of bytes is in 0..=255, so that rounding is all that is left to do.
        mix(above, under, fy).map(|channel| (channel + 0.5) as u8)
    }
}

/// The two raster positions around a coordinate and the weight of the second.
fn neighbours(coordinate: f32, count: usize) -> (usize, usize, f32) {
    let last = count.saturating_sub(1);
    // Also turns not-a-number into 0.
    let inside = coordinate.max(0.0).min(last as f32);
    let first = (inside as usize).min(last);
    (first, (first + 1).min(last), inside - first as f32)
}

/// Start and length, in whole photo pixels, of what the crop covers along one axis.
fn span(corners: [f32; 4], factor: f64, length: u32) -> Option<(f64, f64)> {
    if corners.iter().any(|c| !c.is_finite()) {
        return None;
    }
    let low = corners.into_iter().fold(f32::INFINITY, f32::min);
    let high = corners.into_iter().fold(f32::NEG_INFINITY, f32::max);
    // A margin of two shrunk pixels keeps the interpolation away from the cut.
    let end = f64::from(length);
    let start = (f64::from(low) - 2.0 * factor)
        .floor()
        .clamp(0.0, end - 1.0);
    let stop = (f64::from(high) + 2.0 * factor)
        .ceil()
        .clamp(start + 1.0, end);
    Some((start, stop - start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn photo(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Photo {
        let side = |n| NonZeroU32::new(n).unwrap();
        Photo::from_fn(side(width), side(height), colour)
    }

    fn turned(scale: f32, angle: f32, tx: f32, ty: f32) -> Similarity {
        Similarity {
            a: scale * angle.cos(),
            b: scale * angle.sin(),
            tx,
            ty,
        }
    }

    #[test]
    fn identity_and_whole_shifts_copy_pixels() {
        let noise = photo(20, 20, |x, y| {
            [(x * 13) as u8, (y * 7) as u8, (x * y) as u8]
        });
        assert_eq!(warp(&noise, &Similarity::IDENTITY, 20), noise);
        let crop = warp(&noise, &turned(1.0, 0.0, 3.0, -2.0), 20);
        for y in 0..20 {
            for x in 0..20 {
                assert_eq!(crop.pixel_clamped(x, y), noise.pixel_clamped(x + 3, y - 2));
            }
        }
    }

    #[test]
    fn shrinking_averages_instead_of_aliasing() {
        // One-pixel checks: every point sample is 0 or 200, the area average is 100.
        let checks = photo(2000, 2000, |x, y| {
            [if (x + y) % 2 == 0 { 0 } else { 200 }; 3]
        });
        for angle in [0.0, 0.3] {
            for scale in [2.3f32, 4.0, 9.7] {
                let crop = warp(&checks, &turned(scale, angle, 500.0, 300.0), 128);
                let worst = crop.pixels().iter().map(|&v| v.abs_diff(100)).max();
                assert!(worst <= Some(30), "scale {scale}, angle {angle}: {worst:?}");
            }
        }
    }

    #[test]
    fn a_ramp_stays_where_it_is_at_every_scale() {
        // Linear colours are interpolated exactly, so that any misplaced sample shows.
        let ramp = photo(1000, 1000, |x, y| [(x / 4) as u8, (y / 4) as u8, 0]);
        for scale in [0.3f32, 1.0, 1.6, 2.0, 3.7, 6.5] {
            let map = turned(scale, 0.4, 300.0, 100.0);
            let crop = warp(&ramp, &map, 96);
            for (x, y) in [(5, 5), (48, 48), (90, 20), (20, 90)] {
                let p = map.apply(Point::new(x as f32 + 0.5, y as f32 + 0.5));
                let [red, green, _] = crop.pixel_clamped(x, y);
                // Four photo pixels share a level, so that the ramp is 0.375 below p / 4.
                let inside = |v: f32| v > 8.0 && v < 990.0;
                if inside(p.x) && inside(p.y) {
                    assert!((f32::from(red) - (p.x / 4.0 - 0.5)).abs() < 1.0);
                    assert!((f32::from(green) - (p.y / 4.0 - 0.5)).abs() < 1.0);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_transform_gives_colours_of_the_photo(
            a in prop::num::f32::ANY, b in prop::num::f32::ANY,
            tx in prop::num::f32::ANY, ty in prop::num::f32::ANY,
            width in 1u32..40, height in 1u32..40,
        ) {
            let flat = photo(width, height, |x, y| [40 + x as u8, 100 + y as u8, 9]);
            let crop = warp(&flat, &Similarity { a, b, tx, ty }, 6);
            for rgb in crop.pixels().chunks_exact(3) {
                prop_assert!((40..80).contains(&rgb[0]) && (100..140).contains(&rgb[1]));
                prop_assert_eq!(rgb[2], 9);
            }
        }
    }
}
