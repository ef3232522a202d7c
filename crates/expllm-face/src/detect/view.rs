//! Images that the network looks at: a photo at another size and turned by right angles.

use expllm_core::{Photo, Point};

use super::network::{Pixels, UNIT};
use super::resized;

/// A photo made smaller or larger, turned, and filled up with black to whole units.
pub(super) struct View {
    height: usize,
    width: usize,
    bytes: Vec<u8>,
    /// Size of the upright image in it.
    inner: (f32, f32),
    /// Photo pixels per pixel of the image, along x and y.
    step: (f32, f32),
    quarters: usize,
}

impl View {
    /// The photo at a scale, turned clockwise by some quarters.
    pub(super) fn new(photo: &Photo, scale: f64, quarters: usize) -> Self {
        let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        let (width, height) = (side(photo.width()), side(photo.height()));
        let shrunk = resized(photo, width, height);
        let pixels = shrunk
            .as_ref()
            .map_or(photo.pixels(), |image| image.buffer());
        let size = (width as usize, height as usize);
        let (outer_width, outer_height, bytes) = placed(pixels, size, quarters);
        Self {
            height: outer_height,
            width: outer_width,
            bytes,
            inner: (width as f32, height as f32),
            step: (
                photo.width() as f32 / width as f32,
                photo.height() as f32 / height as f32,
            ),
            quarters: quarters % 4,
        }
    }

    pub(super) fn pixels(&self) -> Pixels<'_> {
        Pixels {
            height: self.height,
            width: self.width,
            bytes: &self.bytes,
        }
    }

    /// A place of the view in pixels of the photo.
    pub(super) fn place(&self, p: Point) -> Point {
        let (width, height) = self.inner;
        let (x, y) = match self.quarters {
            0 => (p.x, p.y),
            1 => (p.y, height - p.x),
            2 => (width - p.x, height - p.y),
            _ => (width - p.y, p.x),
        };
        Point::new(x * self.step.0, y * self.step.1)
    }
}

/// An image turned clockwise and laid into the corner of a black one: its width, height, bytes.
fn placed(
    pixels: &[u8],
    (width, height): (usize, usize),
    quarters: usize,
) -> (usize, usize, Vec<u8>) {
    let (across, down) = if quarters.is_multiple_of(2) {
        (width, height)
    } else {
        (height, width)
    };
    let (outer, lines) = (across.next_multiple_of(UNIT), down.next_multiple_of(UNIT));
    let mut bytes = vec![0; 3 * outer * lines];
    let rows = bytes.chunks_exact_mut(3 * outer).take(down);
    for (y, row) in rows.enumerate() {
        if quarters.is_multiple_of(4) {
            row[..3 * width].copy_from_slice(&pixels[3 * y * width..3 * (y + 1) * width]);
            continue;
        }
        for (x, to) in row.chunks_exact_mut(3).take(across).enumerate() {
            let (from_x, from_y) = match quarters % 4 {
                1 => (y, height - 1 - x),
                2 => (width - 1 - x, height - 1 - y),
                _ => (width - 1 - y, x),
            };
            let at = 3 * (from_y * width + from_x);
            to.copy_from_slice(&pixels[at..at + 3]);
        }
    }
    (outer, lines, bytes)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn places_of_turned_views_are_those_of_the_photo() {
        let side = |n| NonZeroU32::new(n).unwrap();
        let photo = Photo::from_fn(side(40), side(24), |x, y| [x as u8, y as u8, 7]);
        for quarters in 0..4 {
            let view = View::new(&photo, 1.0, quarters);
            let mut seen = 0;
            for (i, colour) in view.bytes.chunks_exact(3).enumerate() {
                if colour[2] == 7 {
                    let (x, y) = (i % view.width, i / view.width);
                    let place = view.place(Point::new(x as f32 + 0.5, y as f32 + 0.5));
                    let wanted = (f32::from(colour[0]) + 0.5, f32::from(colour[1]) + 0.5);
                    assert_eq!((place.x, place.y), wanted);
                    seen += 1;
                }
            }
            assert_eq!(seen, 40 * 24);
        }
    }
}
