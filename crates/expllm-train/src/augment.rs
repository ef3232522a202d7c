//! Random changes to grey crops that leave their labels true.

use expllm_core::{Point, Similarity};
use expllm_face::{GreyImage, standardise};
use rand::{Rng, RngExt};

/// How far a crop is moved away from its proper place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jitter {
    /// Largest turn in degrees, either way.
    pub turn: f32,
    /// Largest change of scale as a factor, either way.
    pub zoom: f32,
    /// Largest shift as a share of the side, either way.
    pub shift: f32,
}

impl Jitter {
    /// A crop near the proper one: `proper` maps a crop of `side` pixels to the image.
    pub(crate) fn apply(self, proper: &Similarity, side: usize, rng: &mut impl Rng) -> Similarity {
        let mut spread = |limit: f32| rng.random_range(-1.0f32..=1.0) * limit;
        let turn = spread(self.turn).to_radians();
        let scale = spread(self.zoom.ln()).exp();
        let (dx, dy) = (
            spread(self.shift) * side as f32,
            spread(self.shift) * side as f32,
        );
        let (a, b) = (scale * turn.cos(), scale * turn.sin());
        let half = side as f32 / 2.0;
        let around = Similarity {
            a,
            b,
            tx: half + dx - (a * half - b * half),
            ty: half + dy - (b * half + a * half),
        };
        proper.after(&around)
    }
}

/// Cuts a crop at a random resolution and degrades it: soft, noisy, partly hidden.
pub(crate) fn degraded_crop(
    image: &GreyImage,
    crop: &Similarity,
    side: usize,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let mut pixels = if rng.random_bool(0.3) {
        coarse_crop(image, crop, side, rng)
    } else {
        image.crop(crop, side)
    };
    tone(&mut pixels, rng);
    if rng.random_bool(0.3) {
        let sigma = rng.random_range(1.0f32..10.0);
        for v in &mut pixels {
            *v += sigma * (rng.random_range(-1.0f32..1.0) + rng.random_range(-1.0f32..1.0));
        }
    }
    if rng.random_bool(0.15) {
        hide_patch(&mut pixels, side, rng);
    }
    pixels
}

/// The crop as if the photo had been small: cut at fewer pixels and enlarged.
pub(crate) fn coarse_crop(
    image: &GreyImage,
    crop: &Similarity,
    side: usize,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let coarse = rng.random_range(side * 3 / 8..side);
    let ratio = side as f32 / coarse as f32;
    let to_fine = Similarity {
        a: ratio,
        ..Similarity::IDENTITY
    };
    let to_fine = Similarity {
        b: 0.0,
        tx: 0.0,
        ty: 0.0,
        ..to_fine
    };
    let small = image.crop(&crop.after(&to_fine), coarse);
    let bytes = small
        .iter()
        .map(|v| v.round().clamp(0.0, 255.0) as u8)
        .collect();
    let back = Similarity {
        a: 1.0 / ratio,
        ..Similarity::IDENTITY
    };
    match GreyImage::new(coarse, coarse, bytes) {
        Some(small) => small.crop(&back, side),
        None => image.crop(crop, side),
    }
}

/// A random gamma, and light that falls from one side.
pub(crate) fn tone(pixels: &mut [f32], rng: &mut impl Rng) {
    let gamma = rng.random_range(-0.5f32..0.5).exp();
    let side = (pixels.len() as f32).sqrt() as usize;
    let (gx, gy) = (
        rng.random_range(-0.4f32..0.4),
        rng.random_range(-0.4f32..0.4),
    );
    for (i, v) in pixels.iter_mut().enumerate() {
        let (x, y) = (
            (i % side) as f32 / side as f32 - 0.5,
            (i / side) as f32 / side as f32 - 0.5,
        );
        let light = 1.0 + gx * x + gy * y;
        *v = 255.0 * (*v / 255.0).clamp(0.0, 1.0).powf(gamma) * light;
    }
}

/// Covers a rectangle with one value.
pub(crate) fn hide_patch(pixels: &mut [f32], side: usize, rng: &mut impl Rng) {
    let (w, h) = (
        rng.random_range(side / 10..side / 3),
        rng.random_range(side / 10..side / 3),
    );
    let (x, y) = (rng.random_range(0..side - w), rng.random_range(0..side - h));
    let value = rng.random_range(0.0f32..255.0);
    for row in pixels.chunks_exact_mut(side).skip(y).take(h) {
        row[x..x + w].fill(value);
    }
}

/// Exchanges left and right of a square crop.
pub(crate) fn mirror(pixels: &mut [f32], side: usize) {
    for row in pixels.chunks_exact_mut(side) {
        row.reverse();
    }
}

/// Standardises a finished crop and appends it to a batch.
pub(crate) fn push(batch: &mut Vec<f32>, mut pixels: Vec<f32>) {
    standardise(&mut pixels);
    batch.extend(pixels);
}

/// The position of an image point within a crop, in units of its side from its middle.
pub(crate) fn centred(to_crop: &Similarity, p: Point, side: usize) -> Point {
    let q = to_crop.apply(p);
    Point::new(q.x / side as f32 - 0.5, q.y / side as f32 - 0.5)
}
