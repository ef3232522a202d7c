//! Random looks at a face: moved as detectors err, and degraded as photographs are.

use expllm_core::Similarity;
use expllm_face::{ALIGNED_SIZE, GreyImage};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat};
use rand::{Rng, RngExt};

use super::gather::TaughtFace;
use super::lesson::Lesson;
use crate::augment::{Jitter, coarse_crop, hide_patch, mirror, tone};

/// How far most crops stray: as landmarks err.
const NEAR: Jitter = Jitter {
    turn: 7.0,
    zoom: 1.1,
    shift: 0.04,
};

/// How far a few stray: as landmarks err on faces in profile, hidden or tiny.
const FAR: Jitter = Jitter {
    turn: 16.0,
    zoom: 1.25,
    shift: 0.09,
};

/// Shares of the looks that are changed in each way.
const FAR_SHARE: f64 = 0.15;
const COARSE_SHARE: f64 = 0.25;
const SOFT_SHARE: f64 = 0.15;
const DARK_SHARE: f64 = 0.08;
const NOISE_SHARE: f64 = 0.2;
const JPEG_SHARE: f64 = 0.12;
const HIDDEN_SHARE: f64 = 0.25;

/// Share of the looks that are only moved.
const PLAIN_SHARE: f64 = 0.25;

/// A look of `side` pixels, values from 0 to 255, with what is known of it; landmarks are in
/// pixels of the look.
pub(super) fn look(face: &TaughtFace, side: usize, rng: &mut impl Rng) -> (Vec<f32>, Lesson) {
    let view = &face.views[rng.random_range(0..face.views.len())];
    let proper = view.after(&expllm_au::face_crop(ALIGNED_SIZE, side));
    let jitter = if rng.random_bool(FAR_SHARE) {
        FAR
    } else {
        NEAR
    };
    let crop = jitter.apply(&proper, side, rng);
    let mut pixels = match rng.random_bool(PLAIN_SHARE) {
        true => face.image.crop(&crop, side),
        false => degraded(&face.image, &crop, side, rng),
    };
    let mut lesson = face.lesson.clone();
    lesson.landmarks = lesson
        .landmarks
        .map(|marks| crate::landmarks::in_crop(&marks, &crop));
    if rng.random_bool(0.5) {
        mirror(&mut pixels, side);
        lesson = lesson.mirrored(side as f32);
    }
    (pixels, lesson)
}

fn degraded(image: &GreyImage, crop: &Similarity, side: usize, rng: &mut impl Rng) -> Vec<f32> {
    let mut pixels = match rng.random_bool(COARSE_SHARE) {
        true => coarse_crop(image, crop, side, rng),
        false => image.crop(crop, side),
    };
    if rng.random_bool(SOFT_SHARE) {
        soften(&mut pixels, side);
    }
    tone(&mut pixels, rng);
    if rng.random_bool(HIDDEN_SHARE) {
        hide_patch(&mut pixels, side, rng);
    }
    if rng.random_bool(DARK_SHARE) {
        let light = rng.random_range(0.1f32..0.4);
        pixels.iter_mut().for_each(|v| *v = (*v * light).round());
    }
    if rng.random_bool(NOISE_SHARE) {
        let sigma = rng.random_range(1.0f32..9.0);
        for v in &mut pixels {
            *v += sigma * (rng.random_range(-1.0f32..1.0) + rng.random_range(-1.0f32..1.0));
        }
    }
    if rng.random_bool(JPEG_SHARE) {
        let quality = rng.random_range(15..70);
        compress(&mut pixels, side, quality);
    }
    pixels
}

/// A slight blur: means of three by three pixels.
fn soften(pixels: &mut [f32], side: usize) {
    let source = pixels.to_vec();
    let at = |x: usize, y: usize| source[y * side + x];
    for y in 1..side - 1 {
        for x in 1..side - 1 {
            let rows = (y - 1..=y + 1).map(|y| at(x - 1, y) + at(x, y) + at(x + 1, y));
            pixels[y * side + x] = rows.sum::<f32>() / 9.0;
        }
    }
}

/// Leaves what a JPEG file of this quality keeps.
fn compress(pixels: &mut [f32], side: usize, quality: u8) {
    let bytes: Vec<u8> = pixels
        .iter()
        .map(|v| v.round().clamp(0.0, 255.0) as u8)
        .collect();
    let mut file = Vec::new();
    let edge = side as u32;
    let written = JpegEncoder::new_with_quality(&mut file, quality).encode(
        &bytes,
        edge,
        edge,
        ExtendedColorType::L8,
    );
    let read = written.and_then(|()| image::load_from_memory_with_format(&file, ImageFormat::Jpeg));
    // A look that cannot be written stays as it is.
    if let Ok(read) = read {
        for (v, &byte) in pixels.iter_mut().zip(read.into_luma8().as_raw()) {
            *v = f32::from(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(side: usize) -> Vec<f32> {
        (0..side * side)
            .map(|i| (i % side * 255 / side) as f32)
            .collect()
    }

    #[test]
    fn a_strongly_compressed_look_stays_near_and_changes() {
        let mut pixels = ramp(32);
        compress(&mut pixels, 32, 20);
        let error: f32 = pixels
            .iter()
            .zip(ramp(32))
            .map(|(a, b)| (a - b).abs())
            .sum();
        assert!(error > 0.0 && error / 1024.0 < 20.0);
    }

    #[test]
    fn a_blur_keeps_a_ramp_and_evens_out_a_point() {
        let mut pixels = vec![0.0; 25];
        pixels[12] = 9.0;
        soften(&mut pixels, 5);
        assert_eq!((pixels[12], pixels[6], pixels[0]), (1.0, 1.0, 0.0));
    }
}
