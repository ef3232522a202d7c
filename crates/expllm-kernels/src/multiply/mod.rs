//! Products of weights and activations.
#![allow(unsafe_code)] // Threads write parts of one output, and kernels need their instructions.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
pub(crate) mod registers;
#[cfg(test)]
mod tests;
pub(crate) mod tile;

use std::cell::RefCell;
use std::ops::Range;

use tile::{Kernel, Tile};

use crate::buffer::Numbers;
use crate::disjoint::SharedMut;
use crate::format::{Format, LANES, PanelLayout};
use crate::input::InputKind;
use crate::isa::IsaKind;
use crate::parallel::for_each_index;
use crate::{Input, Isa, KernelError, Matrix};

/// Bytes of weights that are multiplied with all tiles of tokens before the next ones, so that
/// they stay in the first-level cache.
const BYTES_AT_A_TIME: usize = 16 << 10;

/// Groups of panels that are multiplied with a stretch of activations before the next one, so that
/// it is fetched into the second-level cache once for all of them.
const GROUPS_AT_A_TIME: usize = 4;

/// Tokens whose sums are gathered before the next ones: with those of [`GROUPS_AT_A_TIME`] they
/// fill a quarter of a second-level cache of 1 MiB. A multiple of all tiles.
const TOKENS_AT_A_TIME: usize = 480;

/// Bytes of weights that one thread takes at once for a single tile of tokens, at least.
const PIECE: usize = 192 << 10;

/// Products below which sharing the work among threads costs more than it saves.
const SERIAL_PRODUCTS: usize = 1 << 16;

/// What becomes of the numbers that are in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// They are replaced.
    Set,
    /// Products are added to them: biases, or the residual path.
    Add,
}

/// Where the rows of a matrix stand in each row of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The first of them.
    pub first: usize,
    /// Numbers of a row of the output.
    pub width: usize,
}

/// `output = input · weightsᵀ`: one row of `weights.rows()` numbers for each row of the input.
///
/// # Errors
///
/// [`KernelError::Size`] when the input was prepared for another width or format, or the output
/// has another size.
pub fn multiply(
    isa: Isa,
    weights: &Matrix,
    input: &Input,
    output: &mut [f32],
    store: Store,
) -> Result<(), KernelError> {
    let place = Place {
        first: 0,
        width: weights.rows(),
    };
    multiply_at(isa, weights, input, (output, place), store)
}

/// As [`multiply`], into a part of each row of the output, so that several matrices of different
/// formats can stand side by side there.
///
/// # Errors
///
/// As [`multiply`], and [`KernelError::Size`] when the rows of the output are too short.
pub fn multiply_at(
    isa: Isa,
    weights: &Matrix,
    input: &Input,
    (output, place): (&mut [f32], Place),
    store: Store,
) -> Result<(), KernelError> {
    check(isa, weights, input, output.len(), place)?;
    let (rows, tokens) = (weights.rows(), input.tokens());
    if tokens == 0 {
        return Ok(());
    }
    let output = SharedMut::new(output);
    let panels_at_once = panels_of(isa);
    let group_bytes = panels_at_once * weights.panel_bytes();
    let groups = rows.div_ceil(LANES * panels_at_once);
    let tiled = input.kind() == InputKind::Tiles;
    let single = tokens <= input.tile() && !tiled;
    let groups_at_once = match single {
        true => (PIECE / group_bytes).clamp(1, groups.div_ceil(8).max(1)),
        false => GROUPS_AT_A_TIME,
    };
    let run_piece = |piece: usize| {
        let groups = piece * groups_at_once..groups.min((piece + 1) * groups_at_once);
        let part = Part::of(isa, weights, groups);
        let output = output.pointer(place.first + part.first_row());
        // SAFETY: the parts of one call write different rows, and the output has room for
        // `tokens` times `width`, which was checked. `Isa` holds only what the processor has.
        unsafe {
            match single {
                #[cfg(target_arch = "x86_64")]
                _ if tiled => amx::multiply(&part, input, (output, place.width), store),
                true => part.multiply_tile(input, output, place.width, store),
                false => part.multiply_all(input, output, place.width, store),
            }
        }
    };
    let pieces = groups.div_ceil(groups_at_once);
    match rows
        .saturating_mul(weights.columns())
        .saturating_mul(tokens)
        < SERIAL_PRODUCTS
    {
        true => (0..pieces).for_each(run_piece),
        false => for_each_index(pieces, &run_piece),
    }
    Ok(())
}

fn check(
    isa: Isa,
    weights: &Matrix,
    input: &Input,
    output: usize,
    place: Place,
) -> Result<(), KernelError> {
    let fail = |what, found, expected| {
        Err(KernelError::Size {
            what,
            found,
            expected,
        })
    };
    if input.columns() != weights.columns() {
        return fail("width of the input", input.columns(), weights.columns());
    }
    if !input.fits(isa, weights.format()) {
        return fail("input of another format", 0, 1);
    }
    let end = place.first.saturating_add(weights.rows());
    if end > place.width {
        return fail("width of the output", place.width, end);
    }
    let expected = input.tokens().saturating_mul(place.width);
    if output != expected {
        return fail("output", output, expected);
    }
    Ok(())
}

thread_local! {
    /// Sums of a part, which keep their memory from call to call.
    static SUMS: RefCell<Numbers<f32>> = RefCell::default();
}

/// Where sums are written: a row for each token, `stride` numbers apart.
#[derive(Clone, Copy)]
struct Rows {
    output: *mut f32,
    stride: usize,
}

/// Neighbouring panels that one thread multiplies.
pub(crate) struct Part<'a> {
    pub(crate) isa: Isa,
    pub(crate) layout: PanelLayout,
    pub(crate) panels: &'a [u8],
    pub(crate) panel_bytes: usize,
    /// The first panel in its matrix.
    pub(crate) first: usize,
    /// How many panels there are.
    pub(crate) count: usize,
    /// Rows that are no padding.
    pub(crate) rows: usize,
}

impl<'a> Part<'a> {
    /// Some groups of as many panels as a kernel multiplies at once.
    fn of(isa: Isa, weights: &'a Matrix, groups: Range<usize>) -> Self {
        let at_once = panels_of(isa);
        let panels = weights.rows().div_ceil(LANES);
        let (first, end) = (groups.start * at_once, panels.min(groups.end * at_once));
        let bytes = weights.panel_bytes();
        Self {
            isa,
            layout: weights.layout(),
            panels: &weights.panels()[first * bytes..end * bytes],
            panel_bytes: bytes,
            first,
            count: end - first,
            rows: weights.rows().min(end * LANES) - first * LANES,
        }
    }

    fn first_row(&self) -> usize {
        self.first * LANES
    }

    /// Multiplies with an input of one tile, group after group.
    ///
    /// # Safety
    ///
    /// `rows` numbers may be read and written at `output` for each token, `stride` apart, and no
    /// other thread uses them.
    unsafe fn multiply_tile(&self, input: &Input, output: *mut f32, stride: usize, store: Store) {
        let (tokens, blocks) = (0..input.tokens(), 0..self.layout.blocks);
        // SAFETY: the promise of the caller.
        unsafe { self.multiply_groups(input, tokens, blocks, Rows { output, stride }, store) };
    }

    /// Multiplies with an input of many tiles.
    ///
    /// Sums grow in memory of the thread, over stretches of columns that are short enough for
    /// their weights to stay in the first-level cache while all tokens meet them. In the output
    /// itself, whose rows often lie a power of two apart, they would push each other out of it.
    ///
    /// # Safety
    ///
    /// As [`multiply_tile`](Self::multiply_tile).
    unsafe fn multiply_all(&self, input: &Input, output: *mut f32, stride: usize, store: Store) {
        let blocks = self.layout.blocks;
        let block_bytes = panels_of(self.isa) * PanelLayout::block_bytes(self.layout.format);
        let step = (BYTES_AT_A_TIME / block_bytes).clamp(1, blocks);
        // Equal steps, so that the last one is not short.
        let step = blocks.div_ceil(blocks.div_ceil(step));
        SUMS.with_borrow_mut(|sums| {
            for first in (0..input.tokens()).step_by(TOKENS_AT_A_TIME) {
                let tokens = first..input.tokens().min(first + TOKENS_AT_A_TIME);
                sums.resize(tokens.len() * self.rows);
                for start in (0..blocks).step_by(step) {
                    let store = if start == 0 { Store::Set } else { Store::Add };
                    let range = start..blocks.min(start + step);
                    let rows = Rows {
                        output: sums.as_mut_ptr(),
                        stride: self.rows,
                    };
                    // SAFETY: the sums belong to this thread and have room for these tokens.
                    unsafe { self.multiply_groups(input, tokens.clone(), range, rows, store) };
                }
                for (token, sums) in tokens.zip(sums.chunks_exact(self.rows)) {
                    // SAFETY: the promise of the caller.
                    let output = unsafe {
                        std::slice::from_raw_parts_mut(output.add(token * stride), self.rows)
                    };
                    match store {
                        Store::Set => output.copy_from_slice(sums),
                        Store::Add => output.iter_mut().zip(sums).for_each(|(o, s)| *o += s),
                    }
                }
            }
        });
    }

    /// Multiplies all groups of panels with some tokens over some blocks of columns.
    ///
    /// # Safety
    ///
    /// As [`multiply_tile`](Self::multiply_tile), for the tokens in question; the output is that
    /// of the first of them.
    unsafe fn multiply_groups(
        &self,
        input: &Input,
        tokens: Range<usize>,
        blocks: Range<usize>,
        rows: Rows,
        store: Store,
    ) {
        let Rows { output, stride } = rows;
        let at_once = panels_of(self.isa);
        for first in (0..self.count).step_by(at_once) {
            let count = at_once.min(self.count - first);
            let place = output.wrapping_add(first * LANES);
            for token in tokens.clone().step_by(input.tile()) {
                let width = input.tile().min(tokens.end - token);
                let tile = Tile {
                    layout: self.layout,
                    panels: &self.panels[first * self.panel_bytes..][..count * self.panel_bytes],
                    panel_bytes: self.panel_bytes,
                    blocks: blocks.clone(),
                    input: input.tile_at(token, width),
                    output: place.wrapping_add((token - tokens.start) * stride),
                    stride,
                    rows: (self.rows - first * LANES).min(count * LANES),
                    add: store == Store::Add,
                };
                // SAFETY: the promise of the caller, for these rows and tokens.
                unsafe { run(self.isa, &tile, input.kind(), [count, width]) };
            }
        }
    }
}

/// Multiplies one tile of some panels and tokens.
///
/// # Safety
///
/// As [`Kernel`] says of the output.
pub(crate) unsafe fn run(isa: Isa, tile: &Tile<'_>, kind: InputKind, sizes: [usize; 2]) {
    let [panels, tokens] = sizes;
    tile.assert_fits(panels, tokens);
    let kernel = kernel(isa, tile.layout.format, kind, sizes);
    debug_assert!(kernel.is_some(), "{kind:?} {panels} x {tokens}");
    if let Some(kernel) = kernel {
        // SAFETY: `Isa` holds only what the processor has, the tile was checked, and the output
        // is the promise of the caller.
        unsafe { kernel(tile) };
    }
}

/// Panels that a kernel multiplies at once.
pub(crate) fn panels_of(isa: Isa) -> usize {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 | IsaKind::Avx512Bf16 | IsaKind::Amx => avx512::PANELS,
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx2 => avx2::PANELS,
        #[cfg(target_arch = "aarch64")]
        IsaKind::Neon => neon::PANELS,
        _ => portable::PANELS,
    }
}

fn kernel(
    isa: Isa,
    format: Format,
    kind: InputKind,
    [panels, tokens]: [usize; 2],
) -> Option<Kernel> {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 | IsaKind::Avx512Bf16 | IsaKind::Amx => {
            avx512::kernel(format, kind, panels, tokens)
        }
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx2 if panels == 1 => avx2::kernel(format, kind, tokens),
        #[cfg(target_arch = "aarch64")]
        IsaKind::Neon if panels == 1 => neon::kernel(format, kind, tokens),
        IsaKind::Portable if panels == 1 => portable::kernel(format, kind, tokens),
        _ => None,
    }
}
