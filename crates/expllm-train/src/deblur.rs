//! Taking the known blur out of small photographs.
//!
//! The training images of FER2013 at hand were blurred: beside the validation images their power
//! spectrum falls off like a normal distribution of 3 pixels' deviation, down to the noise of
//! JPEG at about 14 pixels of detail a side. A Wiener filter (Wiener 1949) gives back what lies
//! above that noise; what lies below it is gone.

use expllm_face::GreyImage;

/// Deviation of the blur in pixels.
pub(crate) const BLUR: f32 = 3.0;

/// Deviation of the blur that is left, in pixels: with less, sharp images that are blurred by as
/// much would keep detail that the deblurred ones have lost in the noise.
const LEFT: f32 = 2.2;

/// Power of the noise beside that of a sharp picture, where the blurred picture drowns in it.
const NOISE: f32 = 2e-4;

/// Mean size of the second difference, in grey levels, below which an image counts as blurred:
/// the blurred ones have about 1, sharp ones about 20.
const SHARP: f32 = 5.0;

/// The image with its blur taken out; sharp images and those that are not square stay as they are.
#[must_use]
pub fn deblurred(image: &GreyImage) -> GreyImage {
    let side = image.width();
    if image.height() != side || sharpness(image) > SHARP {
        return image.clone();
    }
    let filter = filter(side);
    let pixels: Vec<f32> = image.pixels().iter().map(|&v| f32::from(v)).collect();
    let across = product(&pixels, &filter, side);
    let both = product(&transposed(&across, side), &filter, side);
    let bytes = transposed(&both, side)
        .iter()
        .map(|v| v.round().clamp(0.0, 255.0) as u8)
        .collect();
    GreyImage::new(side, side, bytes).unwrap_or_else(|| image.clone())
}

/// Mean absolute second difference along the rows.
fn sharpness(image: &GreyImage) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0f32);
    for row in image.pixels().chunks_exact(image.width()) {
        for w in row.windows(3) {
            sum += (f32::from(w[0]) - 2.0 * f32::from(w[1]) + f32::from(w[2])).abs();
            count += 1.0;
        }
    }
    sum / count.max(1.0)
}

/// The filter of a line of pixels as a symmetric matrix: cosines (a line continued by its mirror
/// image) are weakened or strengthened each on its own.
fn filter(side: usize) -> Vec<f32> {
    let n = side as f32;
    let mut matrix = vec![0.0; side * side];
    for k in 0..side {
        let frequency = k as f32 / (2.0 * n);
        let damping =
            |deviation: f32| (-2.0 * (std::f32::consts::PI * deviation * frequency).powi(2)).exp();
        let gain = damping(LEFT) * damping(BLUR) / (damping(BLUR).powi(2) + NOISE);
        // The mean stays as it is.
        let gain = if k == 0 { 1.0 } else { gain };
        let norm = if k == 0 { 1.0 / n } else { 2.0 / n };
        let wave: Vec<f32> = (0..side)
            .map(|x| (std::f32::consts::PI * k as f32 * (x as f32 + 0.5) / n).cos())
            .collect();
        for (row, a) in matrix.chunks_exact_mut(side).zip(&wave) {
            row.iter_mut()
                .zip(&wave)
                .for_each(|(m, b)| *m += gain * norm * a * b);
        }
    }
    matrix
}

/// Every row times a symmetric matrix.
fn product(rows: &[f32], matrix: &[f32], side: usize) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum();
    rows.chunks_exact(side)
        .flat_map(|row| {
            matrix
                .chunks_exact(side)
                .map(move |column| dot(row, column))
        })
        .collect()
}

fn transposed(values: &[f32], side: usize) -> Vec<f32> {
    (0..side * side)
        .map(|i| values[(i % side) * side + i / side])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(sharp: bool) -> GreyImage {
        // A bright square on dark ground, blurred by a normal distribution or not.
        let soft = |v: f32| {
            let steps = (-30..=30).map(|d| d as f32 * 0.5);
            let (mut sum, mut weight) = (0.0, 0.0);
            for d in steps {
                let w = if sharp {
                    f32::from(d == 0.0)
                } else {
                    (-(d / BLUR).powi(2) / 2.0).exp()
                };
                sum += w * f32::from((v + d - 24.0).abs() < 8.0);
                weight += w;
            }
            sum / weight
        };
        let bytes = (0..48 * 48)
            .map(|i| (30.0 + 180.0 * soft((i % 48) as f32) * soft((i / 48) as f32)) as u8);
        GreyImage::new(48, 48, bytes.collect()).unwrap()
    }

    fn distance(a: &GreyImage, b: &GreyImage) -> f32 {
        let pairs = a.pixels().iter().zip(b.pixels());
        pairs
            .map(|(a, b)| (f32::from(*a) - f32::from(*b)).abs())
            .sum::<f32>()
            / 2304.0
    }

    #[test]
    fn a_blurred_picture_comes_nearer_to_the_sharp_one() {
        let (sharp, blurred) = (picture(true), picture(false));
        assert!(distance(&deblurred(&blurred), &sharp) < 0.8 * distance(&blurred, &sharp));
    }

    #[test]
    fn sharp_and_oblong_pictures_stay() {
        let noisy =
            GreyImage::new(48, 48, (0..2304).map(|i| (i * 97 % 251) as u8).collect()).unwrap();
        assert_eq!(deblurred(&noisy), noisy);
        let oblong = GreyImage::new(24, 48, vec![9; 24 * 48]).unwrap();
        assert_eq!(deblurred(&oblong), oblong);
    }
}
