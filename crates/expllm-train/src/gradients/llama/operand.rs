//! Sides of a product: plain matrices, or tiles of bf16 where the processor multiplies those.

use expllm_kernels::{Isa, IsaKind, Store, TILE_LINE, TILE_LINES, Tiles, multiply_tiles};
use half::bf16;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

use super::pack::{TILE, pack_pairs, pack_rows};
use crate::gradients::product::{Into, product};

/// How matrices are multiplied.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// In tiles of bf16 with sums of f32.
    Tiles(Isa),
    /// In f32.
    Plain,
}

impl Way {
    /// Tiles where the processor has them.
    pub fn detect() -> Self {
        let isa = Isa::detect();
        match isa.kind() {
            IsaKind::Amx => Self::Tiles(isa),
            _ => Self::Plain,
        }
    }
}

/// Numbers in memory, row by row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub numbers: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    /// From a row to the next.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// Rows that lie one behind the other.
    pub fn new(numbers: &'a [f32], columns: usize) -> Self {
        Self {
            numbers,
            rows: numbers.len() / columns,
            columns,
            stride: columns,
        }
    }
}

/// A matrix as a product reads it, on its left or on its right.
#[derive(Debug, Clone, Default)]
pub(super) struct Operand {
    /// `[tiles across, steps, 16 lines, 16 pairs]`.
    tiles: Vec<u32>,
    numbers: Vec<f32>,
    /// Strides of `numbers`: across, then along what is summed over.
    strides: [usize; 2],
    /// Lines of a left side, columns of a right one.
    across: usize,
    /// What is summed over.
    depth: usize,
}

impl Operand {
    /// The left side of a product: sums run over columns.
    pub fn left(&mut self, way: Way, from: Rows<'_>) {
        (self.across, self.depth) = (from.rows, from.columns);
        match way {
            Way::Tiles(_) => pack_rows(from, false, &mut self.tiles),
            Way::Plain => self.copy(from, [from.columns, 1]),
        }
    }

    /// The left side of a product with a matrix on its side: sums run over rows.
    pub fn left_turned(&mut self, way: Way, from: Rows<'_>) {
        (self.across, self.depth) = (from.columns, from.rows);
        match way {
            Way::Tiles(_) => pack_pairs(from, true, &mut self.tiles),
            Way::Plain => self.copy(from, [1, from.columns]),
        }
    }

    /// The right side of a product: sums run over rows.
    pub fn right(&mut self, way: Way, from: Rows<'_>) {
        (self.across, self.depth) = (from.columns, from.rows);
        match way {
            Way::Tiles(_) => pack_pairs(from, false, &mut self.tiles),
            Way::Plain => self.copy(from, [1, from.columns]),
        }
    }

    /// The right side of a product with a matrix on its side: sums run over columns.
    pub fn right_turned(&mut self, way: Way, from: Rows<'_>) {
        (self.across, self.depth) = (from.rows, from.columns);
        match way {
            Way::Tiles(_) => pack_rows(from, true, &mut self.tiles),
            Way::Plain => self.copy(from, [from.columns, 1]),
        }
    }

    fn copy(&mut self, from: Rows<'_>, strides: [usize; 2]) {
        self.strides = strides;
        self.numbers.clear();
        let rows = from.numbers.chunks(from.stride.max(1)).take(from.rows);
        rows.for_each(|row| self.numbers.extend_from_slice(&row[..from.columns]));
    }

    fn as_tiles<'a>(&'a self, steps: &'a [usize], count: usize) -> Tiles<'a> {
        Tiles {
            numbers: as_numbers(&self.tiles),
            steps,
            line: TILE_LINE,
            next: self.depth.div_ceil(TILE_LINE) * 2 * TILE,
            count,
        }
    }
}

/// Multiplies on one thread.
#[derive(Debug)]
pub(super) struct Products {
    pub way: Way,
    steps: Vec<usize>,
    sums: Vec<f32>,
}

impl Products {
    pub fn new(way: Way) -> Self {
        Self {
            way,
            steps: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// `output = left · right`, or added to it, of the first `columns` of the right side. The right
    /// side may be deeper than the left one; its end is then left out.
    pub fn multiply(
        &mut self,
        (left, right): (&Operand, &Operand),
        columns: usize,
        (output, stride): (&mut [f32], usize),
        store: Store,
    ) {
        match self.way {
            Way::Tiles(isa) => self.tiles(isa, (left, right), columns, (output, stride), store),
            Way::Plain => plain((left, right), columns, (output, stride), store),
        }
    }

    fn tiles(
        &mut self,
        isa: Isa,
        (left, right): (&Operand, &Operand),
        columns: usize,
        (output, stride): (&mut [f32], usize),
        store: Store,
    ) {
        let depth = left.depth.div_ceil(TILE_LINE);
        (self.steps.len()..depth).for_each(|step| self.steps.push(step * 2 * TILE));
        let steps = &self.steps[..depth];
        let (tall, wide) = (
            left.across.div_ceil(TILE_LINES),
            columns.div_ceil(TILE_LINES),
        );
        let sides = (left.as_tiles(steps, tall), right.as_tiles(steps, wide));
        let whole = columns.is_multiple_of(TILE_LINES) && left.across.is_multiple_of(TILE_LINES);
        if whole {
            let (left, right) = sides;
            // Two lines of tiles at a time: output that lies close together is written together.
            let portions = output.chunks_mut(2 * TILE_LINES * stride);
            for (first, output) in (0..tall).step_by(2).zip(portions) {
                let left = Tiles {
                    numbers: &left.numbers[first * left.next..],
                    count: (tall - first).min(2),
                    ..left
                };
                let done = multiply_tiles(isa, (left, right), (output, stride), store);
                debug_assert!(done.is_ok(), "{done:?}");
            }
            return;
        }
        let width = wide * TILE_LINES;
        self.sums.resize(tall * TILE_LINES * width, 0.0);
        let done = multiply_tiles(isa, sides, (&mut self.sums, width), Store::Set);
        debug_assert!(done.is_ok(), "{done:?}");
        let lines = self.sums.chunks_exact(width).take(left.across);
        for (sums, output) in lines.zip(output.chunks_mut(stride)) {
            let pairs = output[..columns].iter_mut().zip(sums);
            match store {
                Store::Set => pairs.for_each(|(o, s)| *o = *s),
                Store::Add => pairs.for_each(|(o, s)| *o += s),
            }
        }
    }
}

fn plain(
    (left, right): (&Operand, &Operand),
    columns: usize,
    (output, stride): (&mut [f32], usize),
    store: Store,
) {
    let (lines, depth) = (left.across, left.depth);
    let [across, along] = left.strides;
    let a = ArrayView2::from_shape((lines, depth).strides((across, along)), &left.numbers);
    let [across, along] = right.strides;
    let b = ArrayView2::from_shape((depth, columns).strides((along, across)), &right.numbers);
    let c = ArrayViewMut2::from_shape((lines, columns).strides((stride, 1)), output);
    let (Ok(a), Ok(b), Ok(mut c)) = (a, b, c) else {
        debug_assert!(false, "sizes of a product");
        return;
    };
    let into = if store == Store::Add {
        Into::Sum
    } else {
        Into::New
    };
    product(&a, &b, into, &mut c);
}

/// Pairs as numbers, the first one of each in its low half.
#[allow(unsafe_code)] // The same memory under another type.
fn as_numbers(pairs: &[u32]) -> &[bf16] {
    // SAFETY: a pair is two numbers of 16 bits, for which every bit pattern is allowed, and is
    // aligned for them.
    unsafe { std::slice::from_raw_parts(pairs.as_ptr().cast(), 2 * pairs.len()) }
}
