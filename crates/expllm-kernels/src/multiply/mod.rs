//! Products of weights and activations.
#![allow(unsafe_code)] // Threads write parts of one output, and kernels need their instructions.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(test)]
mod tests;
pub(crate) mod tile;

use tile::{Kernel, Tile};

use crate::format::{Format, LANES, PanelLayout};
use crate::input::InputKind;
use crate::isa::IsaKind;
use crate::parallel::for_each_index;
use crate::shared::SharedMut;
use crate::{Input, Isa, KernelError, Matrix};

/// Bytes of weights that are multiplied with all tiles of tokens before the next ones, so that
/// they stay in the second-level cache.
const BYTES_AT_A_TIME: usize = 384 << 10;

/// Bytes of weights that one thread takes at once, at least.
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
    check(isa, weights, input, output.len())?;
    let (rows, tokens) = (weights.rows(), input.tokens());
    if tokens == 0 {
        return Ok(());
    }
    let layout = weights.layout();
    let output = SharedMut::new(output);
    let panels_at_once = panels_of(isa);
    let group_bytes = panels_at_once * weights.panel_bytes();
    let groups = rows.div_ceil(LANES * panels_at_once);
    let groups_at_once = (PIECE / group_bytes).clamp(1, groups.div_ceil(8).max(1));
    let run_group = |group: usize| {
        let first = group * panels_at_once;
        let panels = rows.div_ceil(LANES).min(first + panels_at_once) - first;
        let part = Part {
            isa,
            layout,
            panels: &weights.panels()[first * weights.panel_bytes()..]
                [..panels * weights.panel_bytes()],
            panel_bytes: weights.panel_bytes(),
            count: panels,
            rows: (rows - first * LANES).min(panels * LANES),
        };
        // SAFETY: the parts of one call write different rows, and the output has room for
        // `tokens` times `rows`, which was checked.
        unsafe { part.multiply(input, output.pointer(first * LANES), rows, store) };
    };
    let pieces = groups.div_ceil(groups_at_once);
    let run_piece = |piece: usize| {
        let end = groups.min((piece + 1) * groups_at_once);
        (piece * groups_at_once..end).for_each(run_group);
    };
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

fn check(isa: Isa, weights: &Matrix, input: &Input, output: usize) -> Result<(), KernelError> {
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
    let kind = InputKind::of(isa, weights.format(), input.tokens());
    // f32 activations meet all weights that are not quantised.
    let fits = input.kind() == kind
        || (input.kind() == InputKind::F32 && !weights.format().is_quantised());
    if !fits || input.tile() != input.kind().tile(isa) {
        return fail("input of another format", 0, 1);
    }
    let expected = input.tokens().saturating_mul(weights.rows());
    if output != expected {
        return fail("output", output, expected);
    }
    Ok(())
}

/// Panels that one thread multiplies with all tokens before the next ones.
pub(crate) struct Part<'a> {
    pub(crate) isa: Isa,
    pub(crate) layout: PanelLayout,
    pub(crate) panels: &'a [u8],
    pub(crate) panel_bytes: usize,
    /// How many panels there are; at most [`panels_of`] the instruction set.
    pub(crate) count: usize,
    /// Rows that are no padding.
    pub(crate) rows: usize,
}

impl Part<'_> {
    /// Multiplies with all tokens of an input.
    ///
    /// # Safety
    ///
    /// `rows` numbers may be read and written at `output` for each token, `stride` apart, and no
    /// other thread uses them.
    unsafe fn multiply(&self, input: &Input, output: *mut f32, stride: usize, store: Store) {
        let blocks = self.layout.blocks;
        let block_bytes = self.count * PanelLayout::block_bytes(self.layout.format);
        let step = (BYTES_AT_A_TIME / block_bytes).clamp(1, blocks);
        // Equal steps, so that the last one is not short.
        let step = blocks.div_ceil(blocks.div_ceil(step));
        for start in (0..blocks).step_by(step) {
            let range = start..blocks.min(start + step);
            let mut token = 0;
            while token < input.tokens() {
                let width = input.tile().min(input.tokens() - token);
                let tile = Tile {
                    layout: self.layout,
                    panels: self.panels,
                    panel_bytes: self.panel_bytes,
                    blocks: range.clone(),
                    input: input.tile_at(token, width),
                    output: output.wrapping_add(token * stride),
                    stride,
                    rows: self.rows,
                    add: store == Store::Add || start > 0,
                };
                // SAFETY: the promise of the caller, for these tokens.
                unsafe { self.run(&tile, input.kind(), width) };
                token += width;
            }
        }
    }

    /// Multiplies one tile.
    ///
    /// # Safety
    ///
    /// As [`Kernel`] says of the output.
    pub(crate) unsafe fn run(&self, tile: &Tile<'_>, kind: InputKind, tokens: usize) {
        tile.assert_fits(self.count, tokens);
        let kernel = kernel(self.isa, self.layout.format, kind, [self.count, tokens]);
        debug_assert!(kernel.is_some(), "{kind:?} {} x {tokens}", self.count);
        if let Some(kernel) = kernel {
            // SAFETY: `Isa` holds only what the processor has, the tile was checked, and the
            // output is the promise of the caller.
            unsafe { kernel(tile) };
        }
    }
}

/// Panels that a kernel multiplies at once.
pub(crate) fn panels_of(isa: Isa) -> usize {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 | IsaKind::Avx512Bf16 => avx512::PANELS,
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
        IsaKind::Avx512 | IsaKind::Avx512Bf16 => avx512::kernel(format, kind, panels, tokens),
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx2 if panels == 1 => avx2::kernel(format, kind, tokens),
        #[cfg(target_arch = "aarch64")]
        IsaKind::Neon if panels == 1 => neon::kernel(format, kind, tokens),
        IsaKind::Portable if panels == 1 => portable::kernel(format, kind, tokens),
        _ => None,
    }
}
