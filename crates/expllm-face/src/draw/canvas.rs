//! Shapes and text on an RGB raster.

use std::num::NonZeroU32;

use expllm_core::{Photo, Point};
use font8x8::{BASIC_FONTS, UnicodeFonts};

/// Side of a letter in pixels at scale 1.
pub(super) const LETTER: u32 = 8;

/// An RGB colour.
pub(super) type Colour = [u8; 3];

/// A raster that shapes are drawn on; what reaches over its edge is cut off.
pub(super) struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(width: NonZeroU32, height: NonZeroU32, background: Colour) -> Self {
        let photo = Photo::from_fn(width, height, |_, _| background);
        Self {
            width: width.get(),
            height: height.get(),
            pixels: photo.into_pixels(),
        }
    }

    pub(super) fn into_photo(self) -> Option<Photo> {
        Photo::new(self.width, self.height, self.pixels).ok()
    }

    /// Puts rows of pixels of the given width at the top left.
    pub(super) fn paste(&mut self, pixels: &[u8], width: u32) {
        let (from, to) = (3 * width as usize, 3 * self.width as usize);
        let shared = from.min(to);
        let rows = pixels.chunks_exact(from.max(1));
        for (line, row) in self.pixels.chunks_exact_mut(to).zip(rows) {
            line[..shared].copy_from_slice(&row[..shared]);
        }
    }

    fn blend(&mut self, x: i64, y: i64, colour: Colour, share: f32) {
        let inside =
            (0..i64::from(self.width)).contains(&x) && (0..i64::from(self.height)).contains(&y);
        if !inside {
            return;
        }
        let at = 3 * (y as usize * self.width as usize + x as usize);
        for (old, new) in self.pixels[at..at + 3].iter_mut().zip(colour) {
            let mixed =
                f32::from(*old) + share.clamp(0.0, 1.0) * (f32::from(new) - f32::from(*old));
            *old = mixed.round() as u8;
        }
    }

    /// Colours the rectangle from `from` to `to` with `share` of the colour.
    pub(super) fn fill(&mut self, from: Point, to: Point, colour: Colour, share: f32) {
        let clip = |v: f32, most: u32| (v.round() as i64).clamp(0, i64::from(most));
        for y in clip(from.y, self.height)..clip(to.y, self.height) {
            for x in clip(from.x, self.width)..clip(to.x, self.width) {
                self.blend(x, y, colour, share);
            }
        }
    }

    /// Draws an anti-aliased line with round ends; a line from a point to itself is a disc.
    pub(super) fn line(&mut self, from: Point, to: Point, thickness: f32, colour: Colour) {
        let radius = thickness / 2.0;
        let clip = |v: f32, most: u32| (v as i64).clamp(0, i64::from(most));
        let (x0, x1) = (
            from.x.min(to.x) - radius - 1.0,
            from.x.max(to.x) + radius + 2.0,
        );
        let (y0, y1) = (
            from.y.min(to.y) - radius - 1.0,
            from.y.max(to.y) + radius + 2.0,
        );
        for y in clip(y0, self.height)..clip(y1, self.height) {
            for x in clip(x0, self.width)..clip(x1, self.width) {
                let middle = Point::new(x as f32 + 0.5, y as f32 + 0.5);
                let share = radius + 0.5 - distance(middle, from, to);
                if share > 0.0 {
                    self.blend(x, y, colour, share);
                }
            }
        }
    }

    /// Draws the outline of the rectangle from `from` to `to`.
    pub(super) fn frame(&mut self, from: Point, to: Point, thickness: f32, colour: Colour) {
        let corners = [
            from,
            Point::new(to.x, from.y),
            to,
            Point::new(from.x, to.y),
            from,
        ];
        for pair in corners.windows(2) {
            self.line(pair[0], pair[1], thickness, colour);
        }
    }

    /// Writes a line of ASCII text with its top left corner at `at`; other characters become `?`.
    pub(super) fn text(&mut self, at: Point, text: &str, scale: u32, colour: Colour) {
        for (index, letter) in text.chars().enumerate() {
            let rows = BASIC_FONTS.get(letter).or_else(|| BASIC_FONTS.get('?'));
            let left = at.x + (index as u32 * LETTER * scale) as f32;
            for (row, bits) in rows.unwrap_or_default().into_iter().enumerate() {
                for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                    let corner = Point::new(
                        left + (column * scale) as f32,
                        at.y + (row as u32 * scale) as f32,
                    );
                    let size = scale as f32;
                    let end = Point::new(corner.x + size, corner.y + size);
                    self.fill(corner, end, colour, 1.0);
                }
            }
        }
    }
}

/// Distance of a point to the line between two others.
fn distance(p: Point, from: Point, to: Point) -> f32 {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 {
        (((p.x - from.x) * dx + (p.y - from.y) * dy) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    p.distance(Point::new(from.x + along * dx, from.y + along * dy))
}
