//! Blocks of MobileNetV2, row by row: the wide middle of a block never exists as a whole.

use std::ops::Range;

use pulp::Simd;

use super::depthwise::Depthwise;
use crate::simd::{Pointwise, Store};

/// An image with channels last, `[height, width, channels]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Map {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) values: Vec<f32>,
}

impl Map {
    pub(super) fn zeros(height: usize, width: usize, channels: usize) -> Self {
        Self {
            height,
            width,
            channels,
            values: vec![0.0; height * width * channels],
        }
    }

    /// Numbers per row.
    pub(super) fn row_length(&self) -> usize {
        self.width * self.channels
    }

    pub(super) fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.row_length()..][..self.row_length()]
    }
}

/// Makes rows of the wide image that a depthwise convolution slides over.
pub(super) trait Widen: Sync {
    /// Height and width of the wide image.
    fn size(&self) -> (usize, usize);

    /// Row `y`, `[width, channels]`; the scratch keeps its memory between calls.
    fn row<S: Simd>(&self, simd: S, y: usize, scratch: &mut Vec<f32>, row: &mut [f32]);
}

/// Pixels of a map through a pointwise convolution.
pub(super) struct Expanded<'a> {
    pub(super) map: &'a Map,
    pub(super) layer: &'a Pointwise,
}

impl Widen for Expanded<'_> {
    fn size(&self) -> (usize, usize) {
        (self.map.height, self.map.width)
    }

    fn row<S: Simd>(&self, simd: S, y: usize, _: &mut Vec<f32>, row: &mut [f32]) {
        self.layer.run(simd, self.map.row(y), row, Store::Set);
    }
}

/// Depthwise convolution and projection.
#[derive(Debug, Clone)]
pub(super) struct Narrow {
    pub(super) depthwise: Depthwise,
    pub(super) project: Pointwise,
}

/// Some rows of an output, and whether they are written or added to what is there.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) rows: Range<usize>,
    pub(super) store: Store,
}

/// Memory of one thread, kept from block to block.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Three wide rows and one of zeros, each with a pixel of padding at both ends.
    ring: Vec<f32>,
    row: Vec<f32>,
    patches: Vec<f32>,
}

impl Narrow {
    /// Size and channels of what comes out of a wide image of the given size.
    pub(super) fn output(&self, (height, width): (usize, usize)) -> Map {
        let stride = self.depthwise.stride();
        Map::zeros(height / stride, width / stride, self.project.outputs())
    }

    /// Writes some rows of the output, one after the other, into `output`; adds them to what is
    /// there where the part says so.
    pub(super) fn rows<S: Simd>(
        &self,
        simd: S,
        wide: &impl Widen,
        part: Part,
        scratch: &mut Scratch,
        output: &mut [f32],
    ) {
        let Part { rows, store } = part;
        let (height, width) = wide.size();
        let (stride, channels) = (self.depthwise.stride(), self.depthwise.channels());
        let padded = (width + 2) * channels;
        scratch.ring.clear();
        scratch.ring.resize(4 * padded, 0.0);
        scratch.row.resize(width / stride * channels, 0.0);
        let mut made = (stride * rows.start).saturating_sub(1);
        let length = output.len() / rows.len().max(1);
        for (y, output) in rows.zip(output.chunks_exact_mut(length.max(1))) {
            let below = (stride * y + 2).min(height);
            for row in made..below {
                let place = row % 3 * padded + channels;
                let to = &mut scratch.ring[place..place + width * channels];
                wide.row(simd, row, &mut scratch.patches, to);
            }
            made = made.max(below);
            let taps = [0, 1, 2].map(|dy| {
                // Row -1 and the row below the last are zero.
                let row = (stride * y + dy).checked_sub(1).filter(|&row| row < height);
                let slot = row.map_or(3, |row| row % 3);
                &scratch.ring[slot * padded..(slot + 1) * padded]
            });
            self.depthwise.row(simd, taps, &mut scratch.row);
            self.project.run(simd, &scratch.row, output, store);
        }
    }
}
