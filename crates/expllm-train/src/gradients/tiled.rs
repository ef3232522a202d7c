//! Convolution of a group of faces as products of bf16 tiles, forth and back.
//!
//! Where the processor multiplies tiles, unfolding a map costs more than its product. Here maps lie
//! in lines with one zero between them, so that a map moved by a place of the kernel is the map
//! itself, read from another place (see [`expllm_kernels::multiply_tiles`]). A convolution that halves
//! the side reads one of four maps, each of which holds every second pixel of every second line.
//! Weights, maps and gradients are rounded to bf16 for the products; sums are f32.

use expllm_kernels::{Isa, IsaKind, Store, TILE_LINE, TILE_LINES, Tiles, multiply_tiles};
use half::bf16;

use super::conv::ConvShape;

/// Numbers of a tile.
const TILE: usize = TILE_LINES * TILE_LINE;

/// About how many positions are multiplied at once, so that maps stay in the cache.
const POSITIONS: usize = 640;

/// Fewer channels than this are not worth tiles of 32.
const FEWEST_CHANNELS: usize = 16;

/// A convolution and its places.
#[derive(Debug, Clone)]
pub(super) struct TiledConv {
    shape: ConvShape,
    isa: Isa,
    taps: Vec<Tap>,
}

/// A place of the kernel.
#[derive(Debug, Clone, Copy)]
struct Tap {
    /// Which of the maps of every second pixel it reads: lines, columns.
    phase: [usize; 2],
    /// How far behind the output position it reads: lines, columns.
    shift: [isize; 2],
}

/// Weights as tiles.
#[derive(Debug, Clone, Default)]
pub(super) struct TiledKernel {
    /// From input to output channels.
    forth: Vec<bf16>,
    /// From output to input channels.
    back: Vec<bf16>,
}

/// Scratch memory of a thread.
#[derive(Debug, Default)]
pub(super) struct TiledScratch {
    input: Vec<u32>,
    lines: Vec<u16>,
    above: Vec<u32>,
    across: Vec<u32>,
    sums: Vec<f32>,
}

/// Where the positions of some faces lie in a padded map.
#[derive(Debug, Clone, Copy)]
struct Padded {
    faces: usize,
    side: usize,
    /// From a line to the next.
    width: usize,
    /// From a face to the next.
    area: usize,
    /// Zeros before the first face.
    lead: usize,
    /// Positions of all faces, whole tiles.
    positions: usize,
    /// Numbers of a channel.
    length: usize,
}

impl Padded {
    fn new(side: usize, faces: usize) -> Self {
        let width = side + 1;
        let (area, lead) = (width * width, width + 1);
        let positions = (faces * area).next_multiple_of(TILE_LINE);
        // Not a multiple of a page, which would put all lines of a tile in one place of the cache.
        let length = (lead + positions + width + 1).next_multiple_of(TILE_LINE) + TILE_LINES;
        Self {
            faces,
            side,
            width,
            area,
            lead,
            positions,
            length,
        }
    }

    /// Where a line begins, the zeros before the first face not counted.
    fn line(&self, face: usize, y: usize) -> usize {
        face * self.area + y * self.width
    }

    /// Where what a place reads for the first position begins, or what it wrote it from.
    fn moved(&self, [lines, columns]: [isize; 2]) -> usize {
        let by = lines * self.width as isize + columns;
        self.lead.saturating_add_signed(by)
    }
}

impl TiledConv {
    /// A convolution that tiles speed up on this processor.
    pub fn new(shape: ConvShape) -> Option<Self> {
        let isa = Isa::detect();
        let worth = isa.kind() == IsaKind::Amx && shape.channels_in >= FEWEST_CHANNELS;
        (worth && shape.kernel <= 3 && shape.stride <= 2).then(|| Self::with(shape, isa))
    }

    fn with(shape: ConvShape, isa: Isa) -> Self {
        let (pad, stride) = ((shape.kernel / 2) as isize, shape.stride as isize);
        let along = |k: usize| {
            let by = k as isize - pad;
            (by.rem_euclid(stride) as usize, by.div_euclid(stride))
        };
        let taps = (0..shape.kernel * shape.kernel).map(|k| {
            let ((py, sy), (px, sx)) = (along(k / shape.kernel), along(k % shape.kernel));
            Tap {
                phase: [py, px],
                shift: [sy, sx],
            }
        });
        Self {
            shape,
            isa,
            taps: taps.collect(),
        }
    }

    /// Phases that any place reads.
    fn phases(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let stride = self.shape.stride.min(self.shape.kernel);
        (0..stride * stride).map(move |i| [i / stride, i % stride])
    }

    fn phase_index(&self, [y, x]: [usize; 2]) -> usize {
        y * self.shape.stride.min(self.shape.kernel) + x
    }

    /// Numbers of the gradient of the weights, place by place, `[taps, channels in, channels out]`,
    /// channels in whole tiles.
    pub fn gradient_len(&self) -> usize {
        let [inward, outward] = self.tiles().map(|tiles| tiles * TILE_LINES);
        self.taps.len() * inward * outward
    }

    /// Tiles of channels, in and out.
    fn tiles(&self) -> [usize; 2] {
        [self.shape.channels_in, self.shape.channels_out].map(|c| c.div_ceil(TILE_LINES))
    }

    /// Blocks of channels that one step sums over, in and out.
    fn blocks(&self) -> [usize; 2] {
        [self.shape.channels_in, self.shape.channels_out].map(|c| c.div_ceil(TILE_LINE))
    }

    /// Weights `[channels out, channels in, kernel, kernel]` as tiles.
    pub fn pack(&self, weights: &[f32]) -> TiledKernel {
        let (inward, outward) = (self.shape.channels_in, self.shape.channels_out);
        let taps = self.taps.len();
        let weight =
            |out: usize, channel: usize, tap: usize| weights[(out * inward + channel) * taps + tap];
        let ([in_tiles, out_tiles], [in_blocks, out_blocks]) = (self.tiles(), self.blocks());
        let sizes = (out_tiles, in_blocks, taps);
        let forth = pack_tiles(sizes, (outward, inward), |out, channel, tap| {
            weight(out, channel, tap)
        });
        let sizes = (in_tiles, out_blocks, taps);
        let back = pack_tiles(sizes, (inward, outward), |channel, out, tap| {
            weight(out, channel, tap)
        });
        TiledKernel { forth, back }
    }

    /// The gradient of the weights as burn lays them out.
    pub fn unpack(&self, gradient: &[f32]) -> Vec<f32> {
        let (inward, outward) = (self.shape.channels_in, self.shape.channels_out);
        let [lines, columns] = self.tiles().map(|tiles| tiles * TILE_LINES);
        let taps = self.taps.len();
        let mut found = vec![0.0; outward * inward * taps];
        for (out, found) in found.chunks_exact_mut(inward * taps).enumerate() {
            for (channel, found) in found.chunks_exact_mut(taps).enumerate() {
                for (tap, found) in found.iter_mut().enumerate() {
                    *found = gradient[(tap * lines + channel) * columns + out];
                }
            }
        }
        found
    }

    /// Ranges of faces that are multiplied together.
    fn portions(&self, faces: usize) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let area = (self.shape.side_out() + 1).pow(2);
        let size = (POSITIONS / area).max(1);
        (0..faces)
            .step_by(size)
            .map(move |first| first..(first + size).min(faces))
    }

    /// The convolution of `faces` faces, laid out by channel, face and position.
    pub fn forward(
        &self,
        kernel: &TiledKernel,
        (input, faces): (&[f32], usize),
        scratch: &mut TiledScratch,
        output: &mut Vec<f32>,
    ) {
        output.resize(
            self.shape.channels_out * self.shape.positions() * faces,
            0.0,
        );
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for some in self.portions(faces) {
                    let padded = Padded::new(self.shape.side_out(), some.len());
                    self.pack_input((input, faces), some.start, &padded, &mut scratch.input);
                    self.multiply_forth(kernel, &padded, scratch);
                    self.take_out(&padded, &scratch.sums, (output, faces, some.start));
                }
            },
        );
    }

    /// Adds the gradient of the weights; with `input_gradient` also that of the input.
    pub fn backward(
        &self,
        (kernel, weight_gradient): (&TiledKernel, &mut [f32]),
        (input, faces, mut input_gradient): (&[f32], usize, Option<&mut [f32]>),
        output_gradient: &[f32],
        scratch: &mut TiledScratch,
    ) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for some in self.portions(faces) {
                    let padded = Padded::new(self.shape.side_out(), some.len());
                    let first = some.start;
                    self.pack_lines((input, faces), first, &padded, &mut scratch.lines);
                    self.pack_across((output_gradient, faces), first, &padded, scratch);
                    self.multiply_weights(&padded, scratch, weight_gradient);
                    let Some(below) = input_gradient.as_deref_mut() else {
                        continue;
                    };
                    let above = &mut scratch.above;
                    self.pack_above((output_gradient, faces), first, &padded, above);
                    for phase in self.phases() {
                        self.multiply_back(kernel, phase, &padded, scratch);
                        self.put_back(phase, &padded, &scratch.sums, (below, faces, first));
                    }
                }
            },
        );
    }

    #[inline(always)]
    fn multiply_forth(&self, kernel: &TiledKernel, padded: &Padded, scratch: &mut TiledScratch) {
        let ([_, tiles], [blocks, _]) = (self.tiles(), self.blocks());
        let channels = blocks * TILE_LINES;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for tap in &self.taps {
            for block in 0..blocks {
                left.push(left.len() * TILE);
                let plane = self.phase_index(tap.phase) * channels + block * TILE_LINES;
                right.push(2 * (plane * padded.length + padded.moved(tap.shift)));
            }
        }
        let left = Tiles {
            numbers: &kernel.forth,
            steps: &left,
            line: TILE_LINE,
            next: left.len() * TILE,
            count: tiles,
        };
        let right = pairs(&scratch.input, &right, padded);
        product(self.isa, (left, right), padded, &mut scratch.sums);
    }

    #[inline(always)]
    fn multiply_back(
        &self,
        kernel: &TiledKernel,
        phase: [usize; 2],
        padded: &Padded,
        scratch: &mut TiledScratch,
    ) {
        let ([tiles, _], [_, blocks]) = (self.tiles(), self.blocks());
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (index, tap) in self.taps.iter().enumerate() {
            if tap.phase != phase {
                continue;
            }
            for block in 0..blocks {
                left.push((index * blocks + block) * TILE);
                let moved = padded.moved(tap.shift.map(|by| -by));
                right.push(2 * (block * TILE_LINES * padded.length + moved));
            }
        }
        let left = Tiles {
            numbers: &kernel.back,
            steps: &left,
            line: TILE_LINE,
            next: self.taps.len() * blocks * TILE,
            count: tiles,
        };
        let right = pairs(&scratch.above, &right, padded);
        product(self.isa, (left, right), padded, &mut scratch.sums);
    }

    #[inline(always)]
    fn multiply_weights(&self, padded: &Padded, scratch: &mut TiledScratch, gradient: &mut [f32]) {
        let [in_tiles, out_tiles] = self.tiles();
        let columns = out_tiles * TILE_LINES;
        let size = in_tiles * TILE_LINES * columns;
        let blocks = padded.positions / TILE_LINE;
        let right: Vec<usize> = (0..blocks)
            .map(|block| block * TILE_LINES * 2 * columns)
            .collect();
        let right = Tiles {
            numbers: as_numbers(&scratch.across),
            steps: &right,
            line: 2 * columns,
            next: TILE_LINE,
            count: out_tiles,
        };
        for (tap, gradient) in self.taps.iter().zip(gradient.chunks_exact_mut(size)) {
            let plane = self.phase_index(tap.phase) * in_tiles * TILE_LINES;
            let start = plane * padded.length + padded.moved(tap.shift);
            let left: Vec<usize> = (0..blocks).map(|block| start + block * TILE_LINE).collect();
            let left = Tiles {
                numbers: as_bf16(&scratch.lines),
                steps: &left,
                line: padded.length,
                next: TILE_LINES * padded.length,
                count: in_tiles,
            };
            let done = multiply_tiles(self.isa, (left, right), (gradient, columns), Store::Add);
            debug_assert!(done.is_ok(), "{done:?}");
        }
    }

    /// The input as pairs of channels.
    #[inline(always)]
    fn pack_input(
        &self,
        (input, faces): (&[f32], usize),
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
            for (pair, two) in input.chunks(2 * area * faces).enumerate() {
                let plane = (index * planes + pair) * padded.length;
                let plane = &mut packed[plane..plane + padded.length];
                let (one, other) = two.split_at(area * faces);
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
    fn pack_lines(
        &self,
        (input, faces): (&[f32], usize),
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
            for (channel, input) in input.chunks(area * faces).enumerate() {
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
    fn each_line(
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
    fn pair_line(&self, one: &[f32], other: &[f32], column: usize, own: &mut [u32]) {
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
    fn pack_above(
        &self,
        (above, faces): (&[f32], usize),
        first: usize,
        padded: &Padded,
        packed: &mut Vec<u32>,
    ) {
        let planes = self.blocks()[1] * TILE_LINES;
        let area = padded.side * padded.side;
        packed.clear();
        packed.resize(planes * padded.length, 0);
        for (two, plane) in above
            .chunks(2 * area * faces)
            .zip(packed.chunks_exact_mut(padded.length))
        {
            let (one, other) = two.split_at(area * faces);
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
    fn pack_across(
        &self,
        (above, faces): (&[f32], usize),
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
            .chunks(area * faces)
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
    fn take_out(
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
    fn put_back(
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

/// Tiles `[tiles, taps, blocks]` of a matrix of `lines` times `columns` for every tap.
fn pack_tiles(
    (tiles, blocks, taps): (usize, usize, usize),
    (lines, columns): (usize, usize),
    weight: impl Fn(usize, usize, usize) -> f32,
) -> Vec<bf16> {
    let mut packed = vec![bf16::ZERO; tiles * taps * blocks * TILE];
    for (index, packed) in packed.chunks_exact_mut(TILE).enumerate() {
        let (tile, tap, block) = (
            index / (taps * blocks),
            index / blocks % taps,
            index % blocks,
        );
        for (line, packed) in packed.chunks_exact_mut(TILE_LINE).enumerate() {
            let line = tile * TILE_LINES + line;
            if line >= lines {
                break;
            }
            for (column, packed) in packed.iter_mut().enumerate() {
                let column = block * TILE_LINE + column;
                if column < columns {
                    *packed = bf16::from_f32(weight(line, column, tap));
                }
            }
        }
    }
    packed
}

/// A row of tiles of pairs, one for every sixteen positions.
fn pairs<'a>(packed: &'a [u32], steps: &'a [usize], padded: &Padded) -> Tiles<'a> {
    Tiles {
        numbers: as_numbers(packed),
        steps,
        line: 2 * padded.length,
        next: TILE_LINE,
        count: padded.positions / TILE_LINES,
    }
}

#[inline(always)]
fn product(isa: Isa, (left, right): (Tiles<'_>, Tiles<'_>), padded: &Padded, sums: &mut Vec<f32>) {
    sums.resize(left.count * TILE_LINES * padded.positions, 0.0);
    let done = multiply_tiles(isa, (left, right), (sums, padded.positions), Store::Set);
    debug_assert!(done.is_ok(), "{done:?}");
}

/// The bits of the nearest bf16 number.
#[inline(always)]
fn rounded(value: f32) -> u32 {
    let bits = value.to_bits();
    bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16
}

/// Pairs as numbers, the first one of each in its low half.
#[allow(unsafe_code)] // The same memory under another type.
fn as_numbers(pairs: &[u32]) -> &[bf16] {
    // SAFETY: a pair is two numbers of 16 bits, for which every bit pattern is allowed, and is
    // aligned for them.
    unsafe { std::slice::from_raw_parts(pairs.as_ptr().cast(), 2 * pairs.len()) }
}

fn as_bf16(bits: &[u16]) -> &[bf16] {
    use half::slice::HalfBitsSliceExt;
    bits.reinterpret_cast()
}

#[cfg(test)]
mod tests {
    use super::super::conv;
    use super::*;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0)
            .collect()
    }

    fn close(found: &[f32], wanted: &[f32], what: &str) {
        assert_eq!(found.len(), wanted.len(), "{what}");
        let most = wanted.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
            assert!(
                (a - b).abs() <= 0.01 * most,
                "{what} at {i}: {a} is not {b}"
            );
        }
    }

    fn agrees(shape: ConvShape, faces: usize) {
        let weights = values(
            shape.channels_out * shape.channels_in * shape.kernel * shape.kernel,
            1,
        );
        let input = values(shape.channels_in * shape.side * shape.side * faces, 2);
        let above = values(shape.channels_out * shape.positions() * faces, 3);
        let (mut columns, mut wanted) = (Vec::new(), Vec::new());
        conv::forward(&shape, &weights, (&input, faces), &mut columns, &mut wanted);
        let mut wanted_weights = vec![0.0; weights.len()];
        let mut wanted_input = vec![1.0; input.len()];
        conv::backward(
            &shape,
            (&weights, &mut wanted_weights),
            (&input, faces, Some(&mut wanted_input)),
            &above,
            &mut columns,
        );
        for isa in Isa::available() {
            let conv = TiledConv::with(shape, isa);
            let kernel = conv.pack(&weights);
            let (mut scratch, mut found) = (TiledScratch::default(), Vec::new());
            conv.forward(&kernel, (&input, faces), &mut scratch, &mut found);
            close(&found, &wanted, "output");
            let mut gradient = vec![0.0; conv.gradient_len()];
            let mut below = vec![1.0; input.len()];
            conv.backward(
                (&kernel, &mut gradient),
                (&input, faces, Some(&mut below)),
                &above,
                &mut scratch,
            );
            close(&conv.unpack(&gradient), &wanted_weights, "weights");
            close(&below, &wanted_input, "input");
        }
    }

    #[test]
    fn tiles_give_what_products_of_unfolded_maps_give() {
        for (channels_in, channels_out) in [(16, 16), (24, 48), (35, 17)] {
            for (kernel, stride) in [(3, 1), (3, 2), (1, 1), (1, 2)] {
                for (side, faces) in [(6, 3), (13, 5), (24, 2), (3, 1)] {
                    let shape = ConvShape {
                        channels_in,
                        channels_out,
                        kernel,
                        stride,
                        side,
                    };
                    agrees(shape, faces);
                }
            }
        }
    }
}
