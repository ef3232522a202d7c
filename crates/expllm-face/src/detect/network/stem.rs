//! The first convolution: 3 x 3 pixels of colour bytes to 32 channels at half the size.

use pulp::Simd;

use super::block::Widen;
use super::weights::Weights;
use crate::FaceError;
use crate::simd::{Pointwise, STEP, Store};

/// Numbers under one tap of the convolution, row by row.
const TAPS: usize = 27;

/// Numbers per output pixel, filled up with zeros.
const PATCH: usize = TAPS.next_multiple_of(STEP);

/// An image of colour bytes, row by row.
#[derive(Debug, Clone, Copy)]
pub(in crate::detect) struct Pixels<'a> {
    pub(in crate::detect) height: usize,
    pub(in crate::detect) width: usize,
    /// `[height, width, 3]`.
    pub(in crate::detect) bytes: &'a [u8],
}

/// The convolution as a product of patches and weights.
pub(super) fn load(
    weights: &Weights<'_>,
    lanes: usize,
    outputs: usize,
) -> Result<Pointwise, FaceError> {
    let (weight, bias) = weights.layer("stem", &[outputs, 3, 3, 3])?;
    let mut packed = vec![0.0; outputs * PATCH];
    for (to, from) in packed
        .chunks_exact_mut(PATCH)
        .zip(weight.chunks_exact(TAPS))
    {
        for (channel, from) in from.chunks_exact(9).enumerate() {
            for (tap, &number) in from.iter().enumerate() {
                to[3 * tap + channel] = number;
            }
        }
    }
    Ok(Pointwise::pack(lanes, &packed, &bias, true))
}

/// An image through the convolution.
pub(super) struct Seen<'a> {
    pub(super) pixels: Pixels<'a>,
    pub(super) layer: &'a Pointwise,
}

impl Widen for Seen<'_> {
    fn size(&self) -> (usize, usize) {
        (self.pixels.height / 2, self.pixels.width / 2)
    }

    fn row<S: Simd>(&self, simd: S, y: usize, patches: &mut Vec<f32>, row: &mut [f32]) {
        let length = 3 * self.pixels.width;
        patches.clear();
        patches.resize(self.pixels.width / 2 * PATCH, 0.0);
        for dy in 0..3 {
            // Above the image everything is zero; below, an even height leaves nothing.
            let Some(line) = (2 * y + dy).checked_sub(1) else {
                continue;
            };
            let line = &self.pixels.bytes[line * length..(line + 1) * length];
            let inner = patches
                .chunks_exact_mut(PATCH)
                .map(|patch| &mut patch[9 * dy..9 * dy + 9]);
            for (x, patch) in inner.enumerate() {
                // The first patch begins left of the image.
                let (skip, from) = if x == 0 { (3, 0) } else { (0, 6 * x - 3) };
                let bytes = &line[from..6 * x + 6];
                for (number, &byte) in patch[skip..].iter_mut().zip(bytes) {
                    *number = f32::from(byte);
                }
            }
        }
        self.layer.run(simd, patches, row, Store::Set);
    }
}
