//! Many queries at a time: keys and values of a head are unpacked into f32 panels, which the kernels
//! of weights multiply.
#![allow(unsafe_code)] // Heads write parts of one output.

use std::ops::Range;

use half::slice::HalfFloatSliceExt;

use super::{Attention, CachedNumbers, Scratch};
use crate::disjoint::SharedMut;
use crate::elementwise::softmax;
use crate::format::{Format, LANES, PanelLayout};
use crate::input::{InputKind, TileInput, interleave};
use crate::multiply::tile::Tile;
use crate::multiply::{panels_of, run};
use crate::{BLOCK, Isa};

impl Attention<'_> {
    /// Keys and values of a head as panels: keys with positions as rows, values with channels.
    pub(super) fn unpack(&self, kv: usize, scratch: &mut Scratch) {
        let (width, length) = (self.shape.head_dim, self.cached.length);
        let columns = width.next_multiple_of(BLOCK);
        let positions = length.next_multiple_of(BLOCK);
        scratch.row.resize(width, 0.0);
        scratch
            .keys
            .resize(length.next_multiple_of(LANES) * columns);
        scratch.keys.fill(0.0);
        scratch
            .values
            .resize(width.next_multiple_of(LANES) * positions);
        scratch.values.fill(0.0);
        for position in 0..length {
            let start = kv * self.cached.head_stride + position * self.cached.position_stride;
            let range = start..start + width;
            let panel = &mut scratch.keys[position / LANES * LANES * columns..];
            let row = read(self.cached.keys, range.clone(), &mut scratch.row);
            let lane = panel.iter_mut().skip(position % LANES).step_by(LANES);
            lane.zip(row).for_each(|(to, from)| *to = *from);
            let row = read(self.cached.values, range, &mut scratch.row);
            for (panel, numbers) in row.chunks(LANES).enumerate() {
                let place = (panel * positions + position) * LANES;
                scratch.values[place..place + numbers.len()].copy_from_slice(numbers);
            }
        }
    }

    /// A few queries of one head, with unpacked keys and values.
    ///
    /// # Safety
    ///
    /// No other thread uses the numbers of this head.
    pub(super) unsafe fn run_tile(
        &self,
        isa: Isa,
        tokens: Range<usize>,
        head: usize,
        scratch: &mut Scratch,
        output: &SharedMut<'_, f32>,
    ) {
        let (token, width) = (tokens.start, tokens.len());
        let (head_dim, length) = (self.shape.head_dim, self.cached.length);
        let columns = head_dim.next_multiple_of(BLOCK);
        let positions = length.next_multiple_of(BLOCK);
        let end = self.visible.end(token + width - 1, length);
        scratch.rows.clear();
        for inner in 0..width {
            scratch
                .rows
                .extend_from_slice(self.query(token + inner, head));
        }
        scratch.packed.resize(width * columns);
        interleave::<_, 1>(&scratch.rows, head_dim, &mut scratch.packed, |x| x);
        scratch.scores.resize(width * positions, 0.0);
        let product = Panels {
            isa,
            layout: PanelLayout::new(Format::F32, head_dim),
            panels: &scratch.keys,
            rows: end,
        };
        // SAFETY: the scores belong to this thread and have room.
        unsafe {
            let place = (scratch.scores.as_mut_ptr(), positions);
            product.multiply(&scratch.packed, width, columns / BLOCK, place);
        }
        for (inner, scores) in scratch.scores.chunks_exact_mut(positions).enumerate() {
            let (seen, hidden) = scores.split_at_mut(self.visible.end(token + inner, length));
            self.visible.hide(token + inner, length, seen);
            softmax(isa, seen, self.scale());
            hidden.fill(0.0);
        }
        scratch.packed.resize(width * positions);
        interleave::<_, 1>(&scratch.scores, positions, &mut scratch.packed, |x| x);
        let product = Panels {
            isa,
            layout: PanelLayout::new(Format::F32, length),
            panels: &scratch.values,
            rows: head_dim,
        };
        let stride = self.shape.heads * head_dim;
        let place = output.pointer(token * stride + head * head_dim);
        // SAFETY: the numbers of this head are within the output, by its size, and are the
        // caller's promise.
        unsafe {
            product.multiply(&scratch.packed, width, end.div_ceil(BLOCK), (place, stride));
        }
    }
}

/// Unpacked f32 panels.
struct Panels<'a> {
    isa: Isa,
    layout: PanelLayout,
    panels: &'a [f32],
    rows: usize,
}

impl Panels<'_> {
    /// Multiplies the first blocks of columns of the first rows with one tile of tokens.
    ///
    /// # Safety
    ///
    /// `rows` numbers may be written at the output for each token, which no other thread uses.
    unsafe fn multiply(
        &self,
        input: &[f32],
        tokens: usize,
        blocks: usize,
        (output, stride): (*mut f32, usize),
    ) {
        let numbers = self.layout.blocks * BLOCK * LANES;
        let at_once = panels_of(self.isa);
        let panels = self.rows.div_ceil(LANES);
        for first in (0..panels).step_by(at_once) {
            let count = at_once.min(panels - first);
            let floats = &self.panels[first * numbers..(first + count) * numbers];
            // SAFETY: numbers looked at as bytes.
            let bytes =
                unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) };
            let tile = Tile {
                layout: self.layout,
                panels: bytes,
                panel_bytes: 4 * numbers,
                blocks: 0..blocks,
                input: TileInput::F32(input),
                output: output.wrapping_add(first * LANES),
                stride,
                rows: (self.rows - first * LANES).min(count * LANES),
                add: false,
            };
            // SAFETY: the promise of the caller.
            unsafe { run(self.isa, &tile, InputKind::F32, [count, tokens]) };
        }
    }
}

fn read<'a>(numbers: CachedNumbers<'a>, range: Range<usize>, row: &'a mut [f32]) -> &'a [f32] {
    match numbers {
        CachedNumbers::F32(numbers) => &numbers[range],
        CachedNumbers::F16(numbers) => {
            numbers[range].convert_to_f32_slice(row);
            row
        }
    }
}
