//! Maps as tiles read them, and sums as maps.

use expllm_kernels::TILE_LINES;

use super::{Maps, Padded, TiledConv, TiledScratch};

impl TiledConv {
    /// The input as pairs of channels.
    #[inline(always)]
    pub(super) fn pack_input(
        &self,
        input: Maps<'_>,
        first: usize,
        padded: &Padded,
        packed: &mut Vec<u32>,
    ) {
        let planes = self.blocks()[0] * TILE_LINES;
        let area = self.shape.side * self.shape.side;
        let phases = self.phases().count();
        packed.clear();
        packed.resize(phases * planes * padded.length, 0);
        for (index, phase) in self.phases().enumerate() {
            for (pair, two) in input.values.chunks(2 * area * input.faces).enumerate() {
                let plane = (index * planes + pair) * padded.length;
                let plane = &mut packed[plane..plane + padded.length];
                let (one, other) = two.split_at(area * input.faces);
                self.each_line(first, phase, padded, |line, at| {
                    let own = &mut plane[padded.lead + line..][..padded.side];
                    let other = other.get(at..).unwrap_or(&[]);
                    self.pair_line(&one[at..], other, phase[1], own);
                });
            }
        }
    }

    /// The input channel by channel.
    #[inline(always)]
    pub(super) fn pack_lines(
        &self,
        input: Maps<'_>,
        first: usize,
        padded: &Padded,
        packed: &mut Vec<u16>,
    ) {
        let planes = self.tiles()[0] * TILE_LINES;
        let area = self.shape.side * self.shape.side;
        let phases = self.phases().count();
        packed.clear();
        packed.resize(phases * planes * padded.length, 0);
        let stride = self.shape.stride;
        for (index, phase) in self.phases().enumerate() {
            for (channel, input) in input.values.chunks(area * input.faces).enumerate() {
                let plane = (index * planes + channel) * padded.length;
                let plane = &mut packed[plane..plane + padded.length];
                self.each_line(first, phase, padded, |line, at| {
                    let own = &mut plane[padded.lead + line..][..padded.side];
                    let read = &input[at..at + self.shape.side];
                    if stride == 1 {
                        for (o, &v) in own.iter_mut().zip(read) {
                            *o = rounded(v) as u16;
                        }
                    } else {
                        let read = read.iter().skip(phase[1]).step_by(stride);
                        for (o, &v) in own.iter_mut().zip(read) {
                            *o = rounded(v) as u16;
                        }
                    }
                });
            }
        }
    }

    /// Visits lines of a phase: where a line begins in a padded map, and in the input's.
    #[inline(always)]
    pub(super) fn each_line(
        &self,
        first: usize,
        phase: [usize; 2],
        padded: &Padded,
        mut visit: impl FnMut(usize, usize),
    ) {
        let side = self.shape.side;
        for face in 0..padded.faces {
            for y in 0..padded.side {
                let from = y * self.shape.stride + phase[0];
                if from < side {
                    let at = ((first + face) * side + from) * side;
                    visit(padded.line(face, y), at);
                }
            }
        }
    }

    #[inline(always)]
    pub(super) fn pair_line(&self, one: &[f32], other: &[f32], column: usize, own: &mut [u32]) {
        let (side, stride) = (self.shape.side, self.shape.stride);
        let one = &one[..side];
        if other.is_empty() {
            let read = one.iter().skip(column).step_by(stride);
            own.iter_mut().zip(read).for_each(|(o, &v)| *o = rounded(v));
            return;
        }
        let other = &other[..side];
        if stride == 1 {
            for ((o, &a), &b) in own.iter_mut().zip(one).zip(other) {
                *o = rounded(a) | rounded(b) << 16;
            }
        } else {
            let pairs = one.iter().zip(other).skip(column).step_by(stride);
            for (o, (&a, &b)) in own.iter_mut().zip(pairs) {
                *o = rounded(a) | rounded(b) << 16;
            }
        }
    }

    /// The gradient of the output as pairs of channels.
    #[inline(always)]
    pub(super) fn pack_above(
        &self,
        above: Maps<'_>,
        first: usize,
        padded: &Padded,
        packed: &mut Vec<u32>,
    ) {
        let planes = self.blocks()[1] * TILE_LINES;
        let area = padded.side * padded.side;
        packed.clear();
        packed.resize(planes * padded.length, 0);
        for (two, plane) in above
            .values
            .chunks(2 * area * above.faces)
            .zip(packed.chunks_exact_mut(padded.length))
        {
            let (one, other) = two.split_at(area * above.faces);
            for face in 0..padded.faces {
                for y in 0..padded.side {
                    let at = ((first + face) * padded.side + y) * padded.side;
                    let own = &mut plane[padded.lead + padded.line(face, y)..][..padded.side];
                    let one = &one[at..at + padded.side];
                    match other.get(at..at + padded.side) {
                        Some(other) => {
                            for ((o, &a), &b) in own.iter_mut().zip(one).zip(other) {
                                *o = rounded(a) | rounded(b) << 16;
                            }
                        }
                        None => {
                            own.iter_mut().zip(one).for_each(|(o, &v)| *o = rounded(v));
                        }
                    }
                }
            }
        }
    }

    /// The gradient of the output as pairs of positions, `[positions / 2, channels]`.
    #[inline(always)]
    pub(super) fn pack_across(
        &self,
        above: Maps<'_>,
        first: usize,
        padded: &Padded,
        scratch: &mut TiledScratch,
    ) {
        let columns = self.tiles()[1] * TILE_LINES;
        let area = padded.side * padded.side;
        let half = padded.positions / 2;
        let lines = &mut scratch.sums;
        lines.clear();
        lines.resize(columns * padded.positions, 0.0);
        for (channel, own) in above
            .values
            .chunks(area * above.faces)
            .zip(lines.chunks_exact_mut(padded.positions))
        {
            for face in 0..padded.faces {
                for y in 0..padded.side {
                    let at = ((first + face) * padded.side + y) * padded.side;
                    own[padded.line(face, y)..][..padded.side]
                        .copy_from_slice(&channel[at..at + padded.side]);
                }
            }
        }
        scratch.across.resize(half * columns, 0);
        for start in (0..half).step_by(TILE_LINES) {
            for column in 0..columns {
                let from = &lines[column * padded.positions + 2 * start..][..2 * TILE_LINES];
                let mut pairs = [0u32; TILE_LINES];
                for (pair, two) in pairs.iter_mut().zip(from.chunks_exact(2)) {
                    *pair = rounded(two[0]) | rounded(two[1]) << 16;
                }
                for (row, pair) in pairs.into_iter().enumerate() {
                    scratch.across[(start + row) * columns + column] = pair;
                }
            }
        }
    }

    /// Takes the output out of the sums.
    #[inline(always)]
    pub(super) fn take_out(
        &self,
        padded: &Padded,
        sums: &[f32],
        (output, faces, first): (&mut [f32], usize, usize),
    ) {
        let area = padded.side * padded.side;
        let channels = output.chunks_exact_mut(area * faces);
        for (output, sums) in channels.zip(sums.chunks_exact(padded.positions)) {
            for face in 0..padded.faces {
                for y in 0..padded.side {
                    let at = ((first + face) * padded.side + y) * padded.side;
                    let line = &sums[padded.line(face, y)..][..padded.side];
                    output[at..at + padded.side].copy_from_slice(line);
                }
            }
        }
    }

    /// Adds sums to the gradient of the input pixels of a phase.
    #[inline(always)]
    pub(super) fn put_back(
        &self,
        phase: [usize; 2],
        padded: &Padded,
        sums: &[f32],
        (below, faces, first): (&mut [f32], usize, usize),
    ) {
        let (side, stride) = (self.shape.side, self.shape.stride);
        let channels = below.chunks_exact_mut(side * side * faces);
        for (below, sums) in channels.zip(sums.chunks_exact(padded.positions)) {
            self.each_line(first, phase, padded, |line, at| {
                let sums = &sums[line..line + padded.side];
                let below = &mut below[at..at + side];
                if stride == 1 {
                    below.iter_mut().zip(sums).for_each(|(b, s)| *b += s);
                } else {
                    let below = below.iter_mut().skip(phase[1]).step_by(stride);
                    below.zip(sums).for_each(|(b, s)| *b += s);
                }
            });
        }
    }
}

/// The bits of the nearest bf16 number.
#[inline(always)]
fn rounded(value: f32) -> u32 {
    let bits = value.to_bits();
    bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16
}
