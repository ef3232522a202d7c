//! Numbers of f32 as tiles of bf16, each of which lies whole in memory.

use expllm_kernels::{TILE_LINE, TILE_LINES};

use super::operand::Rows;
use super::vector::vectorised;

/// Pairs of a tile.
pub(super) const TILE: usize = TILE_LINES * TILE_LINES;

type Tile = [u32; TILE];

/// Tiles whose lines are rows and whose pairs are neighbours in a row, `[rows / 16, columns / 32]`;
/// `turned` makes lines of their columns of pairs.
pub(super) fn pack_rows(from: Rows<'_>, turned: bool, tiles: &mut Vec<u32>) {
    let steps = from.columns.div_ceil(TILE_LINE);
    // Every number is written below.
    tiles.resize(from.rows.div_ceil(TILE_LINES) * steps * TILE, 0);
    let tiles = tiles.as_chunks_mut::<TILE>().0;
    vectorised!({
        for (index, tile) in tiles.iter_mut().enumerate() {
            let (row, column) = (index / steps * TILE_LINES, index % steps * TILE_LINE);
            tile_of_rows(from, (row, column), tile);
            if turned {
                turn(tile);
            }
        }
    });
}

#[inline(always)]
fn tile_of_rows(from: Rows<'_>, (row, column): (usize, usize), tile: &mut Tile) {
    let lines = tile.as_chunks_mut::<TILE_LINES>().0.iter_mut();
    let width = TILE_LINE.min(from.columns - column);
    for (row, line) in (row..).zip(lines) {
        if row >= from.rows {
            line.fill(0);
            continue;
        }
        let numbers = &from.numbers[row * from.stride + column..][..width];
        match numbers.as_array::<TILE_LINE>() {
            Some(numbers) => pair_line(numbers, line),
            None => {
                let mut whole = [0.0; TILE_LINE];
                whole[..width].copy_from_slice(numbers);
                pair_line(&whole, line);
            }
        }
    }
}

/// Neighbours as pairs.
#[inline(always)]
fn pair_line(numbers: &[f32; TILE_LINE], line: &mut [u32; TILE_LINES]) {
    // Lanes by value: nothing else lies in their memory, which compilers must know.
    *halves(line) = std::array::from_fn(|i| (rounded(numbers[i]) >> 16) as u16);
}

/// Pairs as numbers, the first one of each in its low half.
#[allow(unsafe_code)] // The same memory under another type.
#[inline(always)]
fn halves(line: &mut [u32; TILE_LINES]) -> &mut [u16; TILE_LINE] {
    // SAFETY: as long, less aligned, and every bit pattern is a number of either.
    unsafe { &mut *line.as_mut_ptr().cast() }
}

/// Tiles whose lines are pairs of rows and whose pairs are columns, `[columns / 16, rows / 32]`;
/// `turned` makes lines of their columns.
pub(super) fn pack_pairs(from: Rows<'_>, turned: bool, tiles: &mut Vec<u32>) {
    let steps = from.rows.div_ceil(TILE_LINE);
    tiles.resize(from.columns.div_ceil(TILE_LINES) * steps * TILE, 0);
    let tiles = tiles.as_chunks_mut::<TILE>().0;
    vectorised!({
        for (index, tile) in tiles.iter_mut().enumerate() {
            let (column, row) = (index / steps * TILE_LINES, index % steps * TILE_LINE);
            tile_of_pairs(from, (row, column), tile);
            if turned {
                turn(tile);
            }
        }
    });
}

#[inline(always)]
fn tile_of_pairs(from: Rows<'_>, (row, column): (usize, usize), tile: &mut Tile) {
    let width = TILE_LINES.min(from.columns - column);
    let read = |row: usize| {
        if row >= from.rows {
            return [0.0; TILE_LINES];
        }
        let numbers = &from.numbers[row * from.stride + column..][..width];
        numbers
            .as_array::<TILE_LINES>()
            .copied()
            .unwrap_or_else(|| {
                let mut whole = [0.0; TILE_LINES];
                whole[..width].copy_from_slice(numbers);
                whole
            })
    };
    let lines = tile.as_chunks_mut::<TILE_LINES>().0.iter_mut();
    for (index, line) in lines.enumerate() {
        let (one, other) = (read(row + 2 * index), read(row + 2 * index + 1));
        *line = std::array::from_fn(|i| rounded(one[i]) >> 16 | rounded(other[i]) & 0xffff_0000);
    }
}

/// Exchanges lines and columns of a tile.
#[inline(always)]
fn turn(tile: &mut Tile) {
    let from = *tile;
    for (line, pairs) in tile.as_chunks_mut::<TILE_LINES>().0.iter_mut().enumerate() {
        for (column, pair) in pairs.iter_mut().enumerate() {
            *pair = from[column * TILE_LINES + line];
        }
    }
}

/// Bits whose upper half is the nearest bf16 number.
#[inline(always)]
fn rounded(value: f32) -> u32 {
    let bits = value.to_bits();
    bits.wrapping_add(0x7fff + (bits >> 16 & 1))
}
