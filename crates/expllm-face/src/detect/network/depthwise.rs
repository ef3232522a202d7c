//! Convolutions of 3 x 3 pixels within each channel.
// Loops over registers of several arrays at once, unrolled.
#![allow(clippy::needless_range_loop)]

use pulp::{Simd, WithSimd};

use crate::simd::multiply_add;

/// Weights and bias of a depthwise convolution with padding of one pixel, then the rectifier.
#[derive(Debug, Clone)]
pub(super) struct Depthwise {
    channels: usize,
    stride: usize,
    /// For each vector of channels, the vectors of nine weights and of the bias.
    packed: Vec<f32>,
}

/// Vectors per vector of channels: nine weights and a bias.
const PACKED: usize = 10;

impl Depthwise {
    /// Packs `weight`, `[channels, 3, 3]` with a multiple of `lanes` channels.
    pub(super) fn pack(lanes: usize, weight: &[f32], bias: &[f32], stride: usize) -> Self {
        let mut packed = Vec::with_capacity(PACKED * bias.len());
        for (weights, biases) in weight.chunks(9 * lanes).zip(bias.chunks(lanes)) {
            for tap in 0..9 {
                packed.extend(weights.chunks(9).map(|channel| channel[tap]));
            }
            packed.extend(biases);
        }
        Self {
            channels: bias.len(),
            stride,
            packed,
        }
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// One row of the output, `[width, channels]`, from three rows of the input with one pixel of
    /// padding at both ends, `[stride * width + 2, channels]`.
    pub(super) fn row<S: Simd>(&self, simd: S, rows: [&[f32]; 3], output: &mut [f32]) {
        match self.stride {
            1 => simd.vectorize(Row::<1>(self, rows, output)),
            _ => simd.vectorize(Row::<2>(self, rows, output)),
        }
    }
}

struct Row<'a, const STRIDE: usize>(&'a Depthwise, [&'a [f32]; 3], &'a mut [f32]);

impl<const STRIDE: usize> WithSimd for Row<'_, STRIDE> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Row(layer, rows, output) = self;
        let width = layer.channels / S::F32_LANES;
        let packed = S::as_simd_f32s(&layer.packed).0.as_chunks::<PACKED>().0;
        let rows = rows.map(|row| S::as_simd_f32s(row).0);
        let output = S::as_mut_simd_f32s(output).0;
        let zero = simd.splat_f32s(0.0);
        // Weights stay in registers along the row, and a column of pixels is read once.
        for (c, weights) in packed[..width].iter().enumerate() {
            let column = |pixels: [&[S::f32s]; 3]| pixels.map(|pixel| pixel[c]);
            let mut next = rows.map(|row| row.chunks_exact(width));
            let mut read = || column(next.each_mut().map(|row| row.next().unwrap_or_default()));
            let (mut left, mut middle) = (read(), [zero; 3]);
            if STRIDE == 1 {
                middle = read();
            }
            for pixel in output.chunks_exact_mut(width) {
                if STRIDE == 2 {
                    middle = read();
                }
                let right = read();
                let mut sum = weights[9];
                for y in 0..3 {
                    sum = multiply_add(simd, left[y], weights[3 * y], sum);
                    sum = multiply_add(simd, middle[y], weights[3 * y + 1], sum);
                    sum = multiply_add(simd, right[y], weights[3 * y + 2], sum);
                }
                pixel[c] = simd.max_f32s(sum, zero);
                (left, middle) = if STRIDE == 1 {
                    (middle, right)
                } else {
                    (right, middle)
                };
            }
        }
    }
}
