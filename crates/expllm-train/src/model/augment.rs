//! The augmentation of the official code, made safe for left and right.
//!
//! The list and its numbers are those of the published training scripts: mirroring; one of
//! colour changes and grey; turning with cropping; shifting with blur; erasing. Where the
//! official code mirrors pixels alone, here boxes, points and words change sides with them. Crops
//! keep the shape of the face (the official ones stretch it by up to a third).

use expllm_core::{FaceBox, Photo, Point, Similarity};
use expllm_face::warp;
use rand::{Rng, RngExt};

/// Largest side of an augmented image in pixels.
const LARGEST: u32 = 512;

/// Colour of erased patches, the mean of the training images of the encoder.
const ERASED: [u8; 3] = [123, 117, 104];

/// Random changes that leave what is said of a face true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// Whether left and right are exchanged.
    pub mirrored: bool,
    /// From pixels of the new square image to those of the photo (mirrored, if it is).
    to_photo: Similarity,
    /// Side of the new image in pixels.
    side: u32,
    /// Width of the photo in pixels.
    width: f32,
    colour: Colour,
    blur: bool,
    /// Left, top, width and height of an erased patch, as shares of the side.
    erased: Option<[f32; 4]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Colour {
    Kept,
    Grey,
    /// Factors of brightness, contrast and saturation.
    Jitter([f32; 3]),
}

impl Augmentation {
    /// The image as it is, on a square.
    #[must_use]
    pub fn none(photo: &Photo) -> Self {
        let longest = photo.width().max(photo.height());
        let side = longest.min(LARGEST);
        let scale = longest as f32 / side as f32;
        let (w, h) = (photo.width() as f32, photo.height() as f32);
        Self {
            mirrored: false,
            to_photo: Similarity {
                a: scale,
                b: 0.0,
                tx: (w - longest as f32) / 2.0,
                ty: (h - longest as f32) / 2.0,
            },
            side,
            width: w,
            colour: Colour::Kept,
            blur: false,
            erased: None,
        }
    }

    /// A draw from the list.
    pub fn draw(photo: &Photo, rng: &mut impl Rng) -> Self {
        let mut drawn = Self::none(photo);
        drawn.mirrored = rng.random_bool(0.5);
        drawn.colour = if rng.random_bool(0.5) {
            Colour::Jitter([(); 3].map(|()| rng.random_range(0.75..1.25)))
        } else if rng.random_bool(0.2) {
            Colour::Grey
        } else {
            Colour::Kept
        };
        let side = drawn.side as f32;
        if rng.random_bool(0.5) {
            let area: f32 = rng.random_range(0.8..1.0);
            let shift = side * (1.0 - area.sqrt()) / 2.0 + side * 12.0 / 224.0;
            let turn: f32 = rng.random_range(-5.0..5.0);
            drawn.change(
                turn,
                area.sqrt(),
                [(); 2].map(|()| rng.random_range(-shift..shift)),
            );
        }
        if rng.random_bool(0.5) {
            let turn: f32 = rng.random_range(-15.0..15.0);
            let scale = 1.0 / rng.random_range(0.9f32..1.1);
            let shift = 0.1 * side;
            drawn.change(
                turn,
                scale,
                [(); 2].map(|()| rng.random_range(-shift..shift)),
            );
            drawn.blur = rng.random_bool(0.5);
        }
        if rng.random_bool(0.5) {
            let area: f32 = rng.random_range(0.05..0.12);
            let ratio: f32 = rng.random_range(-1.2f32..1.2).exp();
            let (w, h) = (
                (area * ratio).sqrt().min(0.9),
                (area / ratio).sqrt().min(0.9),
            );
            let (x, y) = (
                rng.random_range(0.0..1.0 - w),
                rng.random_range(0.0..1.0 - h),
            );
            drawn.erased = Some([x, y, w, h]);
        }
        drawn
    }

    /// Turns by degrees and scales around the middle, then moves by pixels of the new image.
    fn change(&mut self, turn: f32, scale: f32, [dx, dy]: [f32; 2]) {
        let half = self.side as f32 / 2.0;
        let turn = turn.to_radians();
        let (a, b) = (scale * turn.cos(), scale * turn.sin());
        let around = Similarity {
            a,
            b,
            tx: half + dx - (a * half - b * half),
            ty: half + dy - (b * half + a * half),
        };
        self.to_photo = self.to_photo.after(&around);
    }

    /// The new image.
    #[must_use]
    pub fn apply(&self, photo: &Photo) -> Photo {
        let image = if self.mirrored {
            warp(&photo.mirrored(), &self.to_photo, self.side)
        } else {
            warp(photo, &self.to_photo, self.side)
        };
        let (width, height) = (image.width(), image.height());
        let mut pixels = image.into_pixels();
        pixels
            .chunks_exact_mut(3)
            .for_each(|pixel| self.colour.change(pixel));
        if self.blur {
            pixels = blurred(&pixels, width as usize);
        }
        if let Some(patch) = self.erased {
            erase(&mut pixels, width as usize, patch);
        }
        Photo::new(width, height, pixels).unwrap_or(photo.clone())
    }

    /// Where a point of the photo lies in the new image; sides are those of the photo still.
    #[must_use]
    pub fn point(&self, point: Point) -> Point {
        let x = if self.mirrored {
            self.width - point.x
        } else {
            point.x
        };
        match self.to_photo.inverse() {
            Some(back) => back.apply(Point::new(x, point.y)),
            None => point,
        }
    }

    /// The upright box around a box of the photo in the new image.
    #[must_use]
    pub fn face_box(&self, face: &FaceBox) -> FaceBox {
        let (right, bottom) = (face.x + face.width, face.y + face.height);
        let corners = [
            (face.x, face.y),
            (right, face.y),
            (face.x, bottom),
            (right, bottom),
        ];
        let corners = corners.map(|(x, y)| self.point(Point::new(x, y)));
        let least = |of: fn(&Point) -> f32| corners.iter().map(of).fold(f32::MAX, f32::min);
        let most = |of: fn(&Point) -> f32| corners.iter().map(of).fold(f32::MIN, f32::max);
        let (x, y) = (least(|p| p.x), least(|p| p.y));
        FaceBox {
            x,
            y,
            width: most(|p| p.x) - x,
            height: most(|p| p.y) - y,
            score: face.score,
            points: None,
        }
    }

    /// Eyes, nose and corners of the mouth in the new image; of a mirrored face, left and right
    /// change places.
    #[must_use]
    pub fn five_points(&self, points: &[Point; 5]) -> [Point; 5] {
        let moved = points.map(|point| self.point(point));
        match self.mirrored {
            true => [1, 0, 2, 4, 3].map(|at| moved[at]),
            false => moved,
        }
    }
}

impl Colour {
    fn change(self, pixel: &mut [u8]) {
        let grey = |pixel: &[u8]| {
            0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2])
        };
        match self {
            Self::Kept => {}
            Self::Grey => {
                let value = grey(pixel).round() as u8;
                pixel.fill(value);
            }
            Self::Jitter([brightness, contrast, saturation]) => {
                let luma = grey(pixel);
                for value in pixel {
                    let vivid = luma + saturation * (f32::from(*value) - luma);
                    let bright = vivid * brightness;
                    *value = (127.5 + contrast * (bright - 127.5)).clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
}

/// A blur with a width of five pixels, about that of the official one.
fn blurred(pixels: &[u8], width: usize) -> Vec<u8> {
    const WEIGHTS: [u32; 5] = [1, 4, 6, 4, 1];
    let height = pixels.len() / (3 * width);
    let pass = |pixels: &[u8], at: &dyn Fn(usize, usize, isize) -> usize| -> Vec<u8> {
        let mut out = vec![0; pixels.len()];
        for y in 0..height {
            for x in 0..width {
                for colour in 0..3 {
                    let sum: u32 = WEIGHTS
                        .iter()
                        .zip(-2..)
                        .map(|(weight, offset)| {
                            weight * u32::from(pixels[3 * at(x, y, offset) + colour])
                        })
                        .sum();
                    out[3 * (y * width + x) + colour] = (sum / 16) as u8;
                }
            }
        }
        out
    };
    let across = pass(pixels, &|x, y, offset| {
        y * width + x.saturating_add_signed(offset).min(width - 1)
    });
    pass(&across, &|x, y, offset| {
        y.saturating_add_signed(offset).min(height - 1) * width + x
    })
}

fn erase(pixels: &mut [u8], width: usize, [x, y, w, h]: [f32; 4]) {
    let at = |share: f32| (share * width as f32) as usize;
    for row in pixels.chunks_exact_mut(3 * width).skip(at(y)).take(at(h)) {
        for pixel in row.chunks_exact_mut(3).skip(at(x)).take(at(w)) {
            pixel.copy_from_slice(&ERASED);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A dark photo with one bright dot.
    fn dot(x: u32, y: u32) -> Photo {
        let mut pixels = vec![20; 3 * 90 * 70];
        for (dy, dx) in (0..5).flat_map(|dy| (0..5).map(move |dx| (dy, dx))) {
            let at = 3 * ((y + dy - 2) * 90 + x + dx - 2) as usize;
            pixels[at..at + 3].fill(250);
        }
        Photo::new(90, 70, pixels).unwrap()
    }

    fn brightest(photo: &Photo) -> Point {
        let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
        for (index, pixel) in photo.pixels().chunks_exact(3).enumerate() {
            let weight = (f32::from(pixel[0]) - 80.0).max(0.0);
            sum += weight;
            x += weight * ((index as u32 % photo.width()) as f32 + 0.5);
            y += weight * ((index as u32 / photo.width()) as f32 + 0.5);
        }
        Point::new(x / sum, y / sum)
    }

    #[test]
    fn points_go_where_their_pixels_go() {
        let photo = dot(50, 30);
        let (mut mirrored, mut plain) = (0, 0);
        for seed in 0..60 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut change = Augmentation::draw(&photo, &mut rng);
            (change.erased, change.colour) = (None, Colour::Kept);
            let expected = change.point(Point::new(50.5, 30.5));
            let found = brightest(&change.apply(&photo));
            assert!(
                found.distance(expected) < 1.2,
                "{change:?}: {found:?} {expected:?}"
            );
            *(if change.mirrored {
                &mut mirrored
            } else {
                &mut plain
            }) += 1;
        }
        assert!(mirrored > 15 && plain > 15);
    }

    #[test]
    fn mirrored_points_and_boxes_change_sides() {
        let photo = dot(50, 30);
        let change = Augmentation {
            mirrored: true,
            ..Augmentation::none(&photo)
        };
        let at = |x| Point::new(x, 30.0);
        let points = [at(60.0), at(30.0), at(45.0), at(55.0), at(35.0)];
        let moved = change.five_points(&points);
        // The subject's left eye stays on the right of the picture.
        assert!(moved[0].x > moved[1].x && moved[3].x > moved[4].x);
        let face = FaceBox {
            x: 10.0,
            y: 5.0,
            width: 20.0,
            height: 30.0,
            score: 1.0,
            points: None,
        };
        let moved = change.face_box(&face);
        assert_eq!((moved.x, moved.width, moved.height), (60.0, 20.0, 30.0));
    }

    #[test]
    fn nothing_is_changed_without_augmentation() {
        let pixels = (0..3 * 64 * 64).map(|i| (i * 13 % 251) as u8).collect();
        let photo = Photo::new(64, 64, pixels).unwrap();
        assert_eq!(
            Augmentation::none(&photo).apply(&photo).pixels(),
            photo.pixels()
        );
    }
}
