//! The way back up to a quarter of the size, and the outputs.

use std::ops::Range;

use pulp::Simd;

use super::block::Map;
use super::weights::Weights;
use crate::FaceError;
use crate::simd::{Pointwise, Store};

/// Channels of the neck.
pub(super) const CHANNELS: usize = 24;

/// Numbers per cell of the output: score, two sizes, two offsets, five points.
pub(super) const OUTPUTS: usize = 15;

/// Doubles the size of a map and adds what an earlier layer saw at that size.
#[derive(Debug, Clone)]
pub(super) struct Up {
    /// The transposed convolution by the row that it makes: both pixels side by side.
    lines: [Pointwise; 2],
    lateral: Pointwise,
}

impl Up {
    pub(super) fn load(
        weights: &Weights<'_>,
        lanes: usize,
        (index, lateral): (usize, usize),
    ) -> Result<Self, FaceError> {
        let name = format!("neck.up.{index}");
        let (weight, bias) = weights.layer(&name, &[CHANNELS, CHANNELS, 2, 2])?;
        let line = |dy: usize| {
            let mut packed = Vec::with_capacity(2 * CHANNELS * CHANNELS);
            for dx in 0..2 {
                for output in 0..CHANNELS {
                    let at = |input| ((input * CHANNELS + output) * 2 + dy) * 2 + dx;
                    packed.extend((0..CHANNELS).map(|input| weight[at(input)]));
                }
            }
            Pointwise::pack(lanes, &packed, &bias.repeat(2), true)
        };
        let name = format!("neck.lateral.{index}");
        let (weight, bias) = weights.layer(&name, &[CHANNELS, lateral, 1, 1])?;
        Ok(Self {
            lines: [line(0), line(1)],
            lateral: Pointwise::pack(lanes, &weight, &bias, true),
        })
    }

    /// Some rows of the output.
    pub(super) fn rows<S: Simd>(
        &self,
        simd: S,
        (below, beside): (&Map, &Map),
        rows: Range<usize>,
        output: &mut [f32],
    ) {
        let length = beside.width * CHANNELS;
        for (y, output) in rows.zip(output.chunks_exact_mut(length)) {
            self.lines[y % 2].run(simd, below.row(y / 2), output, Store::Set);
            self.lateral.run(simd, beside.row(y), output, Store::Add);
        }
    }
}

/// From the neck to the outputs.
#[derive(Debug, Clone)]
pub(super) struct Head {
    shared: Pointwise,
    out: Pointwise,
}

impl Head {
    pub(super) fn load(weights: &Weights<'_>, lanes: usize) -> Result<Self, FaceError> {
        let (weight, bias) = weights.layer("head.shared", &[CHANNELS, CHANNELS, 3, 3])?;
        let mut packed = Vec::with_capacity(weight.len());
        for output in weight.chunks_exact(9 * CHANNELS) {
            for tap in 0..9 {
                packed.extend(output.chunks_exact(9).map(|input| input[tap]));
            }
        }
        let shared = Pointwise::pack(lanes, &packed, &bias, true);
        let (weight, bias) = weights.layer("head.out", &[OUTPUTS, CHANNELS, 1, 1])?;
        let out = Pointwise::pack(lanes, &weight, &bias, false);
        Ok(Self { shared, out })
    }

    /// Some rows of the output.
    pub(super) fn rows<S: Simd>(&self, simd: S, map: &Map, rows: Range<usize>, output: &mut [f32]) {
        let mut patches = vec![0.0; map.width * 9 * CHANNELS];
        let mut shared = vec![0.0; map.row_length()];
        for (y, output) in rows.zip(output.chunks_exact_mut(map.width * OUTPUTS)) {
            gather(map, y, &mut patches);
            self.shared.run(simd, &patches, &mut shared, Store::Set);
            self.out.run(simd, &shared, output, Store::Set);
        }
    }
}

/// The 3 x 3 pixels around each pixel of a row; zero beyond the edges.
fn gather(map: &Map, y: usize, patches: &mut [f32]) {
    const RUN: usize = 3 * CHANNELS;
    for dy in 0..3 {
        let line = (y + dy).checked_sub(1).filter(|&line| line < map.height);
        let row = line.map(|line| map.row(line));
        for (x, patch) in patches.chunks_exact_mut(3 * RUN).enumerate() {
            let patch = &mut patch[dy * RUN..(dy + 1) * RUN];
            let (skip, from) = if x == 0 {
                (CHANNELS, 0)
            } else {
                (0, (x - 1) * CHANNELS)
            };
            let to = ((x + 2) * CHANNELS).min(map.row_length());
            let inside = row.map_or(&[][..], |row| &row[from..to]);
            patch.fill(0.0);
            let end = (skip + inside.len()).min(RUN);
            if !inside.is_empty() {
                patch[skip..end].copy_from_slice(inside);
            }
        }
    }
}
