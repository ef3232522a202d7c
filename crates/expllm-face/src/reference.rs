//! The reference preprocessing of the ExpLLM model.

use expllm_core::Photo;

/// Side of the model's input in pixels.
pub const REFERENCE_SIZE: usize = 224;

/// Colour of the padding: CLIP's mean colour, rounded up as the reference does.
const PADDING: [f32; 3] = [123.0, 117.0, 104.0];
/// CLIP's mean colour and its deviation, of values from 0 to 1.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// A photo as the vision encoder of ExpLLM expects it: padded to a square, 224 x 224 pixels (or
/// another side, for a model of another size), normalised with CLIP's mean and deviation.
///
/// Follows the reference preprocessing of the official code (`expand2square`, OpenCV's bilinear
/// `resize` without antialiasing, CLIP normalisation); the padding is centred and has the colour
/// (123, 117, 104). Feed it the upright crop of one face.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceInput {
    values: Vec<f32>,
}

impl ReferenceInput {
    /// Preprocesses a photo for the published model, at [`REFERENCE_SIZE`].
    #[must_use]
    pub fn new(photo: &Photo) -> Self {
        Self::with_side(photo, REFERENCE_SIZE)
    }

    /// Preprocesses a photo for a model whose input has `side` x `side` pixels.
    #[must_use]
    pub fn with_side(photo: &Photo, side: usize) -> Self {
        let square = Square::around(photo);
        let axis = axis(square.side, side);
        let mut values = vec![0.0; 3 * side * side];
        for (row, &(y, fy)) in axis.iter().enumerate() {
            for (column, &(x, fx)) in axis.iter().enumerate() {
                let colours = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)]
                    .map(|(x, y)| square.colour(photo, x, y));
                for channel in 0..3 {
                    let [a, b, c, d] = colours.map(|colour| colour[channel]);
                    let (above, below) = (a + fx * (b - a), c + fx * (d - c));
                    // The reference holds bytes after the resize.
                    let byte = (above + fy * (below - above)).round();
                    let at = (channel * side + row) * side + column;
                    values[at] = (byte / 255.0 - MEAN[channel]) / DEVIATION[channel];
                }
            }
        }
        Self { values }
    }

    /// The tensor `[3, side, side]` (channel, row, column; RGB) in row-major order.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values without the wrapping.
    #[must_use]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

/// The square around a photo, in pixels of the photo.
struct Square {
    side: i64,
    left: i64,
    top: i64,
}

impl Square {
    fn around(photo: &Photo) -> Self {
        let (width, height) = (i64::from(photo.width()), i64::from(photo.height()));
        let side = width.max(height);
        Self {
            side,
            left: (side - width) / 2,
            top: (side - height) / 2,
        }
    }

    /// Colour at a place of the square; beyond its edge the edge goes on.
    fn colour(&self, photo: &Photo, x: i64, y: i64) -> [f32; 3] {
        let x = x.clamp(0, self.side - 1) - self.left;
        let y = y.clamp(0, self.side - 1) - self.top;
        let inside = (0..i64::from(photo.width())).contains(&x)
            && (0..i64::from(photo.height())).contains(&y);
        if inside {
            photo.pixel_clamped(x, y).map(f32::from)
        } else {
            PADDING
        }
    }
}

/// For each of `to` output positions the pixel before it and the share of the one after.
fn axis(from: i64, to: usize) -> Vec<(i64, f32)> {
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|position| {
            let at = (position as f64 + 0.5) * scale - 0.5;
            (at.floor() as i64, (at - at.floor()) as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn equals_the_reference() {
        let fixture = "fixtures/preprocess/expand2square_resize224_clipnorm.safetensors";
        let Some(path) = expllm_testing::shared(fixture) else {
            return;
        };
        let bytes = std::fs::read(path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        for index in 0..6 {
            let image = tensors.tensor(&format!("image_{index}")).unwrap();
            let (height, width) = (image.shape()[0] as u32, image.shape()[1] as u32);
            let photo = Photo::new(width, height, image.data().to_vec()).unwrap();
            let found = ReferenceInput::new(&photo);
            let expected = tensors.tensor(&format!("tensor_{index}")).unwrap();
            let expected = expected.data().chunks_exact(4);
            let plane = REFERENCE_SIZE * REFERENCE_SIZE;
            let differences: Vec<f32> = expected
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .zip(found.values())
                .enumerate()
                .map(|(at, (e, f))| (e - f).abs() * DEVIATION[at / plane] * 255.0)
                .collect();
            assert_eq!(differences.len(), 3 * plane);
            let worst = differences.iter().copied().fold(0.0, f32::max);
            let mean = differences.iter().sum::<f32>() / differences.len() as f32;
            println!("image {index}: at most {worst:.3} / 255, on average {mean:.4} / 255");
            assert!(worst <= 1.5 && mean <= 0.2, "image {index}: {worst} {mean}");
        }
    }

    #[test]
    fn padding_is_centred_and_flat_colours_stay() {
        let wide = Photo::new(448, 224, vec![200; 3 * 448 * 224]).unwrap();
        let input = ReferenceInput::new(&wide);
        let at = |row: usize| input.values()[row * REFERENCE_SIZE + 100] * DEVIATION[0] + MEAN[0];
        assert!((at(10) * 255.0 - 123.0).abs() < 0.01);
        assert!((at(112) * 255.0 - 200.0).abs() < 0.01);
        assert!((at(213) * 255.0 - 123.0).abs() < 0.01);
        let dot = Photo::new(1, 1, vec![7, 8, 9]).unwrap();
        assert_eq!(ReferenceInput::new(&dot).into_values().len(), 3 * 224 * 224);
        let small = ReferenceInput::with_side(&wide, 14).into_values();
        assert_eq!(small.len(), 3 * 14 * 14);
        assert!(((small[7 * 14 + 6] * DEVIATION[0] + MEAN[0]) * 255.0 - 200.0).abs() < 0.01);
    }
}
