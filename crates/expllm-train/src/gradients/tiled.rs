//! Convolution of a group of faces as products of bf16 tiles, forth and back.
//!
//! Where the processor multiplies tiles, unfolding a map costs more than its product. Here maps lie
//! in lines with one zero between them, so that a map moved by a place of the kernel is the map
//! itself, read from another place (see [`expllm_kernels::multiply_tiles`]). A convolution that halves
//! the side reads one of four maps, each of which holds every second pixel of every second line.
//! Weights, maps and gradients are rounded to bf16 for the products; sums are f32.

mod pack;
mod padded;
#[cfg(test)]
mod tests;

use expllm_kernels::{Isa, IsaKind, Store, TILE_LINE, TILE_LINES, Tiles, multiply_tiles};
use half::bf16;

use super::conv::{ConvGradients, ConvShape, Maps};
use padded::Padded;

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

    /// The convolution of some faces, laid out by channel, face and position.
    pub fn forward(
        &self,
        kernel: &TiledKernel,
        input: Maps<'_>,
        scratch: &mut TiledScratch,
        output: &mut Vec<f32>,
    ) {
        let faces = input.faces;
        output.resize(
            self.shape.channels_out * self.shape.positions() * faces,
            0.0,
        );
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for some in self.portions(faces) {
                    let padded = Padded::new(self.shape.side_out(), some.len());
                    self.pack_input(input, some.start, &padded, &mut scratch.input);
                    self.multiply_forth(kernel, &padded, scratch);
                    self.take_out(&padded, &scratch.sums, (output, faces, some.start));
                }
            },
        );
    }

    /// Adds the gradients that are asked for, from that of the output.
    pub fn backward(
        &self,
        kernel: &TiledKernel,
        input: Maps<'_>,
        above: &[f32],
        mut gradients: ConvGradients<'_>,
        scratch: &mut TiledScratch,
    ) {
        let faces = input.faces;
        let above = Maps {
            values: above,
            faces,
        };
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for some in self.portions(faces) {
                    let padded = Padded::new(self.shape.side_out(), some.len());
                    let first = some.start;
                    self.pack_lines(input, first, &padded, &mut scratch.lines);
                    self.pack_across(above, first, &padded, scratch);
                    self.multiply_weights(&padded, scratch, gradients.weights);
                    let Some(below) = gradients.input.as_deref_mut() else {
                        continue;
                    };
                    self.pack_above(above, first, &padded, &mut scratch.above);
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
