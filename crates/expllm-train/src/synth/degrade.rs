//! From linear light to a photo as cameras, scans and the web make it.

use expllm_core::Photo;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ExtendedColorType};

use super::math::{Draw, Vec3, hash};

/// How a picture was taken and stored.
#[derive(Debug, Clone)]
pub(crate) struct Quality {
    exposure: f32,
    gamma: f32,
    saturation: f32,
    contrast: f32,
    /// Standard deviation of the blur in pixels; 0 is none.
    blur: f32,
    /// Edge in pixels of the smaller picture that this one was enlarged from.
    low_resolution: Option<usize>,
    noise: f32,
    jpeg: Option<u8>,
    seed: u64,
}

impl Quality {
    /// Draws a quality for a face of the given mean linear brightness, to which the camera
    /// adapts in part.
    pub fn sample(size: usize, brightness: f32, draw: &mut Draw) -> Self {
        let adapted = 0.24 / brightness.clamp(0.02, 2.0);
        let grey = draw.chance(0.45);
        Self {
            exposure: adapted.powf(draw.uniform(0.55, 1.0)) * 2.0f32.powf(draw.normal(0.4)),
            gamma: 2.2 * (1.0 + draw.normal(0.1)),
            saturation: if grey { 0.0 } else { draw.uniform(0.3, 1.05) },
            contrast: 1.05 + draw.normal(0.14),
            blur: if draw.chance(0.75) {
                draw.uniform(0.35, 1.35)
            } else {
                0.0
            },
            low_resolution: draw
                .chance(0.22)
                .then(|| (size as f32 * draw.uniform(0.32, 0.8)) as usize),
            noise: if draw.chance(0.4) {
                draw.uniform(0.0, 1.0).powi(3) * 0.045
            } else {
                0.002
            },
            jpeg: draw.chance(0.5).then(|| draw.uniform(35.0, 95.0) as u8),
            seed: draw.seed(),
        }
    }

    /// Makes the photo of `size * size` linear colours.
    pub fn develop(&self, linear: &[Vec3], size: usize) -> Photo {
        let curve = ToneCurve::new(self.gamma, self.contrast);
        let mut pixels: Vec<Vec3> = linear
            .iter()
            .map(|c| {
                let c = c.map(|x| curve.at(x * self.exposure));
                let grey = 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2];
                c.map(|x| grey + self.saturation * (x - grey))
            })
            .collect();
        if let Some(small) = self.low_resolution {
            let small = small.clamp(8, size);
            pixels = resize(&resize(&pixels, size, small), small, size);
        }
        if self.blur > 0.0 {
            blur(&mut pixels, size, self.blur);
        }
        let bytes = self.quantise(&pixels);
        let bytes = match self.jpeg {
            Some(quality) => through_jpeg(&bytes, size, quality).unwrap_or(bytes),
            None => bytes,
        };
        photo(size, bytes)
    }

    /// Adds sensor noise and rounds to bytes.
    fn quantise(&self, pixels: &[Vec3]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3 * pixels.len());
        let grey = self.saturation == 0.0;
        for (i, c) in pixels.iter().enumerate() {
            let bits = hash(self.seed.wrapping_add(i as u64));
            for (channel, x) in c.iter().enumerate() {
                // The sum of two uniform bytes per channel is close enough to a bell.
                let shift = if grey { 0 } else { 16 * channel };
                let pair = bits >> shift;
                let bell = ((pair & 255) + (pair >> 8 & 255)) as f32 / 255.0 - 1.0;
                let value = x + bell * 2.4 * self.noise;
                bytes.push((value * 255.0 + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
        bytes
    }
}

/// A table for the curve from linear light to display values.
struct ToneCurve(Vec<f32>);

impl ToneCurve {
    const STEPS: usize = 1024;
    /// Largest input; brighter is white.
    const MOST: f32 = 2.0;

    fn new(gamma: f32, contrast: f32) -> Self {
        let value = |i: usize| {
            // Quadratic spacing gives the shadows enough entries.
            let x = Self::MOST * (i as f32 / Self::STEPS as f32).powi(2);
            // A soft shoulder instead of hard clipping.
            let soft = if x > 0.8 {
                0.8 + 0.2 * (1.0 - (-(x - 0.8) / 0.2).exp())
            } else {
                x
            };
            ((soft.powf(1.0 / gamma) - 0.5) * contrast + 0.5).clamp(0.0, 1.0)
        };
        Self((0..=Self::STEPS).map(value).collect())
    }

    fn at(&self, x: f32) -> f32 {
        let share = (x.max(0.0) / Self::MOST).sqrt().min(1.0);
        self.0[(share * Self::STEPS as f32) as usize]
    }
}

/// Area-averaging or bilinear change of size.
fn resize(pixels: &[Vec3], from: usize, to: usize) -> Vec<Vec3> {
    let ratio = from as f32 / to as f32;
    // Each output pixel averages `taps` bilinear samples per axis.
    let taps = ratio.ceil().max(1.0) as usize;
    let sample = |x: f32, y: f32| {
        let clip = |c: f32| c.clamp(0.0, (from - 1) as f32);
        let (x, y) = (clip(x), clip(y));
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = ((x0 + 1).min(from - 1), (y0 + 1).min(from - 1));
        let (tx, ty) = (x - x0 as f32, y - y0 as f32);
        let at = |x: usize, y: usize| pixels[y * from + x];
        let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
        [0, 1, 2].map(|i| {
            (a[i] * (1.0 - tx) + b[i] * tx) * (1.0 - ty) + (c[i] * (1.0 - tx) + d[i] * tx) * ty
        })
    };
    let share = 1.0 / (taps * taps) as f32;
    (0..to * to)
        .map(|i| {
            let mut sum = [0.0f32; 3];
            for k in 0..taps * taps {
                let offset = |k: usize| (k as f32 + 0.5) / taps as f32;
                let x = ((i % to) as f32 + offset(k % taps)) * ratio - 0.5;
                let y = ((i / to) as f32 + offset(k / taps)) * ratio - 0.5;
                let c = sample(x, y);
                sum = [0, 1, 2].map(|j| sum[j] + c[j] * share);
            }
            sum
        })
        .collect()
}

/// A separable Gaussian blur.
fn blur(pixels: &mut [Vec3], size: usize, sigma: f32) {
    let reach = (2.5 * sigma).ceil() as i64;
    let mut kernel: Vec<f32> = (-reach..=reach)
        .map(|d| (-(d * d) as f32 / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|k| *k /= sum);
    let last = size as i64 - 1;
    for horizontal in [true, false] {
        let source = pixels.to_owned();
        for (i, out) in pixels.iter_mut().enumerate() {
            let (x, y) = ((i % size) as i64, (i / size) as i64);
            let mut total = [0.0f32; 3];
            for (k, weight) in kernel.iter().enumerate() {
                let d = k as i64 - reach;
                let (sx, sy) = if horizontal {
                    ((x + d).clamp(0, last), y)
                } else {
                    (x, (y + d).clamp(0, last))
                };
                let c = source[sy as usize * size + sx as usize];
                total = [0, 1, 2].map(|j| total[j] + weight * c[j]);
            }
            *out = total;
        }
    }
}

/// Encodes and decodes; `None` should the codec refuse.
fn through_jpeg(bytes: &[u8], size: usize, quality: u8) -> Option<Vec<u8>> {
    let mut file = Vec::with_capacity(16 << 10);
    let side = u32::try_from(size).ok()?;
    JpegEncoder::new_with_quality(&mut file, quality)
        .encode(bytes, side, side, ExtendedColorType::Rgb8)
        .ok()?;
    let decoder = JpegDecoder::new(std::io::Cursor::new(file)).ok()?;
    Some(
        DynamicImage::from_decoder(decoder)
            .ok()?
            .into_rgb8()
            .into_raw(),
    )
}

/// A square photo; one black pixel should the sizes not fit, which the callers rule out.
fn photo(size: usize, bytes: Vec<u8>) -> Photo {
    match Photo::new(size as u32, size as u32, bytes) {
        Ok(photo) => photo,
        Err(_) => unreachable!("a canvas has three bytes per pixel and at least one pixel"),
    }
}
