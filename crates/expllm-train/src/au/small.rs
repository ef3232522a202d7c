//! Rendered faces made into what most labelled photographs are: small, blurred and deblurred again.

use expllm_core::Similarity;
use expllm_face::GreyImage;
use expllm_face::encoder::shrinking;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::data::AuFace;
use crate::deblur::{BLUR, deblurred};

/// Edge of a FER2013 photograph in pixels.
const SIDE: usize = 48;

/// Largest error of a grey level, as JPEG leaves it.
const NOISE: f32 = 1.0;

/// A square face as FER2013 would hold it, its labels unchanged; equal seeds give equal noise.
pub(super) fn shrunk(face: &AuFace, seed: u64) -> AuFace {
    let from = face.image.width();
    let ratio = SIDE as f32 / from as f32;
    let shrink = shrinking(from, SIDE, BLUR / ratio);
    let pixels: Vec<f32> = face.image.pixels().iter().map(|&v| f32::from(v)).collect();
    let narrow = transposed_product(&pixels, &shrink, from);
    let small = transposed_product(&narrow, &shrink, from);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let bytes = small
        .iter()
        .map(|v| {
            (v + rng.random_range(-NOISE..=NOISE))
                .round()
                .clamp(0.0, 255.0) as u8
        })
        .collect();
    let Some(image) = GreyImage::new(SIDE, SIDE, bytes) else {
        return face.clone();
    };
    let to_small = Similarity {
        a: ratio,
        b: 0.0,
        tx: 0.0,
        ty: 0.0,
    };
    let mut landmarks = face.landmarks.clone();
    if let Some(marks) = &mut landmarks {
        marks.points = marks.points.map(|point| to_small.apply(point));
    }
    AuFace {
        image: deblurred(&image),
        to_image: to_small.after(&face.to_image),
        landmarks,
        ..face.clone()
    }
}

/// Every row of `from` pixels times the rows of `matrix`, transposed: twice of it treats both
/// directions.
fn transposed_product(rows: &[f32], matrix: &[f32], from: usize) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum();
    matrix
        .chunks_exact(from)
        .flat_map(|line| rows.chunks_exact(from).map(move |row| dot(row, line)))
        .collect()
}

#[cfg(test)]
mod tests {
    use expllm_core::{LANDMARK_COUNT, Landmarks, Point};

    use super::*;

    /// A bright disc around a point of a picture of 160 pixels.
    fn disc(x: f32, y: f32) -> AuFace {
        let pixels = (0..160 * 160)
            .map(|i| Point::new((i % 160) as f32, (i / 160) as f32))
            .map(|p| {
                if p.distance(Point::new(x, y)) < 25.0 {
                    220
                } else {
                    20
                }
            })
            .collect();
        AuFace {
            image: GreyImage::new(160, 160, pixels).unwrap(),
            to_image: Similarity::IDENTITY,
            landmarks: Some(Landmarks {
                points: [Point::new(x, y); LANDMARK_COUNT],
                head_pose: None,
            }),
            units: Some([0.5; 24]),
            geometry: None,
            expression: None,
        }
    }

    #[test]
    fn landmarks_and_pixels_shrink_alike() {
        let small = shrunk(&disc(50.0, 100.0), 1);
        assert_eq!(small.image.width(), SIDE);
        let bright: Vec<Point> = (small.image.pixels().iter().enumerate())
            .filter(|(_, v)| **v > 120)
            .map(|(i, _)| Point::new((i % SIDE) as f32, (i / SIDE) as f32))
            .collect();
        let n = bright.len() as f32;
        let sum = |f: fn(&Point) -> f32| bright.iter().map(f).sum::<f32>() / n;
        let centre = Point::new(sum(|p| p.x), sum(|p| p.y));
        let mark = small.landmarks.unwrap().points[0];
        assert!(centre.distance(mark) < 1.0, "{centre:?} {mark:?}");
        assert!(small.to_image.apply(Point::new(50.0, 100.0)).distance(mark) < 1e-3);
        assert_eq!(small.units, Some([0.5; 24]));
    }

    #[test]
    fn a_seed_gives_the_same_face() {
        let pixels = |seed| shrunk(&disc(80.0, 80.0), seed).image;
        assert_eq!(pixels(3), pixels(3));
        assert_ne!(pixels(3), pixels(4));
    }
}
